"""Images of somebody's own as a task: every form, the splits that are made, and everything that can be wrong with them."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_sets import CLASSES, SIZES, jpeg, splits, write

from bench.data.load import load
from bench.errors import UserError
from bench.points import Checkpoint, Transfer
from bench.points.files import DATA, PURPOSES
from vtab import own
from vtab.own_cut import cut, shares

KINDS = ("lynx", "heron", "otter", "train")  # a class may be called as a split


def folders(place, count=20, kinds=KINDS, first=0):
    """Writes class folders of different images; returns the folder."""
    for number, kind in enumerate(kinds):
        (place / kind).mkdir(parents=True)
        for i in range(count):
            (place / kind / f"{i:03}.jpg").write_bytes(jpeg(first + 1000 * number + i))
    return place


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA, str(tmp_path / "work" / "data"))
    return tmp_path / "work" / "data"


def loaded(task, resolution=8):
    """Returns the three splits by the loader that training uses."""
    return load(task.name, task.files, {p: getattr(task, p) for p in PURPOSES}, task.classes, resolution, crop=False)


def listed(root, task, purpose):
    """Returns {path: label} of a split that was written down."""
    rows = [line.split("\t") for line in (root / task.name / f"{purpose}.txt").read_text().splitlines()]
    return {path: int(label) for path, label in rows}


# Forms


def test_class_folders_become_a_task_with_splits_of_70_15_15_percent_of_every_class(tmp_path, root):
    task = own.prepare(folders(tmp_path / "My animals-2"), root)
    assert (task.name, task.group, task.classes, task.crop) == ("My_animals_2", "own", 4, False)
    assert (task.train, task.val, task.test) == (56, 12, 12)
    rows = {purpose: listed(root, task, purpose) for purpose in PURPOSES}
    for purpose, of_each in zip(PURPOSES, (14, 3, 3), strict=True):
        assert Counter(rows[purpose].values()) == dict.fromkeys(range(4), of_each)
    every = [path for each in rows.values() for path in each]
    assert len(set(every)) == len(every) == 80
    # Numbered in alphabetical order.
    names = sorted(KINDS)
    assert all(f"/{names[label]}/" in path for each in rows.values() for path, label in each.items())
    assert own.about(root, task.name)["classes"] == names
    assert own.line(root, task.name) == (
        "My_animals_2: 4 classes, train 56, val 12, test 12 images (val and test cut off by content, stratified)"
    )
    data = loaded(task)
    assert [len(split) for split in (data.train, data.val, data.test)] == [56, 12, 12]
    labels = np.concatenate([seen.labels for seen in data.val.in_order(5)])
    assert labels.tolist() == list(rows["val"].values())
    # It is a task like any other, its facts in the config itself.
    config = Transfer(Checkpoint("ViT-mu", "x", "0" * 16), task.name, 10, 0.1, 28, own=task)
    assert Transfer.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_splits_depend_on_the_images_and_neither_on_their_names_nor_on_their_place(tmp_path, root):
    first = own.prepare(folders(tmp_path / "one"), root, "a")
    other = folders(tmp_path / "other")
    for i, path in enumerate(sorted(other.rglob("*.jpg"), reverse=True)):
        path.rename(path.with_name(f"{i}-again.jpg"))
    second = own.prepare(other, root, "b")
    assert first.version == second.version
    a, b = loaded(first), loaded(second)
    assert a.facts() == b.facts()


def test_splits_that_are_there_are_taken_and_only_the_missing_one_is_made(tmp_path, root):
    place = tmp_path / "birds"
    folders(place / "train", 17, ("b", "a"))
    folders(place / "valid", 4, ("a",), first=5000)
    task = own.prepare(place, root)
    # 15 of 85 percent of 17 images.
    assert (task.train, task.val, task.test) == (28, 4, 6)
    assert set(listed(root, task, "val").values()) == {0}  # "a" is class 0, as in train
    assert all("/valid/" in path for path in listed(root, task, "val"))
    assert Counter(listed(root, task, "test").values()) == {0: 3, 1: 3}
    assert own.about(root, "birds")["made"] == ["test"]


@pytest.mark.parametrize("form", ["lists", "folders", "npz"])
def test_the_forms_of_sets_on_disk_are_taken_as_they_are(form, tmp_path, root):
    made = splits()
    task = own.prepare(write(tmp_path / "sets", form, made, "given"), root)
    assert (task.name, task.classes, task.train, task.val, task.test) == ("given", CLASSES, *SIZES.values())
    for purpose, split in ((p, getattr(loaded(task), p)) for p in PURPOSES):
        seen = list(split.source.read(np.arange(len(split))).images)
        _, labels = made[purpose]
        found = split.source.read(np.arange(len(split))).labels.tolist()
        assert Counter(zip(seen, found, strict=True)) == Counter(zip(made[purpose][0], labels, strict=True))


def test_vtabs_lists_are_read(tmp_path, root):
    place = write(tmp_path / "sets", "lists", name="given")
    (place / "train.txt").rename(place / "train800.txt")
    (place / "val.txt").rename(place / "val200.txt")
    task = own.prepare(place, root)
    assert (task.train, task.val, task.test) == tuple(SIZES.values())


@pytest.mark.parametrize("at", ["list.txt", "mine.txt"])
def test_one_list_is_cut(at, tmp_path, root):
    place = folders(tmp_path / "pictures", 10, ("x", "with space"))
    lines = [f"{path.relative_to(place)} {int('space' in str(path))}" for path in sorted(place.rglob("*.jpg"))]
    (place / at).write_text("\n".join(lines) + "\n")
    task = own.prepare(place if at == "list.txt" else place / at, root, "name")
    assert (task.classes, task.train, task.val, task.test) == (2, 12, 4, 4)  # 1.5 is rounded to 2
    assert all(("space" in path) == label for path, label in listed(root, task, "train").items())


def test_arrays_of_pixels_are_cut(tmp_path, root):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "grey.npz", train_x=images, train_y=np.arange(40) % 2)
    task = own.prepare(tmp_path / "grey.npz", root)
    assert (task.name, task.train, task.val, task.test) == ("grey", 28, 6, 6)
    data = loaded(task)
    seen = np.concatenate([next(iter(split.in_order(40))).images for split in (data.train, data.val, data.test)])
    assert {image.tobytes() for image in seen} == {image.tobytes() for image in np.repeat(images, 3, axis=3)}
    assert own.prepare(tmp_path / "grey.npz", root) == task


# Again


def test_what_was_prepared_is_prepared_no_more_and_may_have_moved(tmp_path, root, monkeypatch):
    place = folders(tmp_path / "one", 5)
    task = own.prepare(place, root)
    moved = place.rename(tmp_path / "moved")
    monkeypatch.setattr(own.check, "look", None)  # nothing is decoded again
    assert own.prepare(moved, root, "one") == task
    assert all("/moved/" in path for path in listed(root, task, "train"))


def test_other_images_are_another_task(tmp_path, root):
    place = folders(tmp_path / "one", 5)
    task = own.prepare(place, root)
    (place / "lynx" / "new.jpg").write_bytes(jpeg(77_777))
    with pytest.raises(UserError, match=r"\(20 images then, 21 now\): results of the two are never mixed; use another --name"):
        own.prepare(place, root)
    assert own.prepare(place, root, "two").version != task.version


def test_a_preparation_that_was_broken_off_is_made_anew(tmp_path, root):
    place = folders(tmp_path / "one", 5)
    (root / "one").mkdir(parents=True)
    (root / "one" / "train.txt").write_text("half")
    task = own.prepare(place, root)
    assert len(loaded(task).train) == task.train


def test_copies_of_an_image_stay_in_one_split_and_shared_images_are_counted(tmp_path, root):
    place = folders(tmp_path / "one", 6)
    for kind in KINDS:
        for path in list((place / kind).iterdir()):
            for copy in range(3):
                path.with_name(f"copy{copy}-{path.name}").write_bytes(path.read_bytes())
    task = own.prepare(place, root)
    assert own.about(root, "one")["shared"] == {}
    assert (task.train, task.val, task.test) == (64, 16, 16)
    given = tmp_path / "given"
    folders(given / "train", 6)
    folders(given / "test", 4)
    folders(given / "val", 2, first=50_000)
    own.prepare(given, root)
    assert own.line(root, "given").endswith("test 16 images; 16 images of test are in train as well")


# What is wrong with them


def changed(tmp_path, how):
    """Returns a source with something wrong."""
    place = tmp_path / "set"
    match how:
        case "nowhere":
            return place
        case "empty":
            place.mkdir()
        case "empty class":
            folders(place)
            (place / "zebra").mkdir()
        case "two images":
            folders(place, 3)
            (place / "lynx" / "000.jpg").unlink()
        case "copies":
            folders(place, 3)
            (place / "lynx" / "000.jpg").write_bytes((place / "lynx" / "001.jpg").read_bytes())
        case "one class":
            folders(place, 5, ("lynx",))
        case "loose":
            folders(place)
            (place / "x.jpg").write_bytes(jpeg(0))
        case "mixed":
            folders(place / "train", 5, ("a", "b"))
            folders(place, 5, ("c",))
        case "no train":
            folders(place / "val", 5)
        case "twice":
            folders(place / "val", 5)
            folders(place / "valid", 5)
            folders(place / "train", 5)
        case "strange class":
            folders(place / "train", 5, ("a", "b"))
            folders(place / "test", 5, ("a", "c"))
        case "webp":
            folders(place)
            (place / "lynx" / "x.webp").write_bytes(b"x")
        case "damaged":
            folders(place)
            (place / "lynx" / "007.jpg").write_bytes(jpeg(7)[:200])
        case "cut to nothing":
            folders(place)
            (place / "lynx" / "007.jpg").write_bytes(b"")
        case "both lists":
            folders(place)
            (place / "list.txt").write_text("lynx/000.jpg 0\n")
            (place / "train.txt").write_text("lynx/000.jpg 0\n")
        case "gap":
            folders(place)
            (place / "list.txt").write_text("".join(f"lynx/{i:03}.jpg {i % 2 + 1}\n" for i in range(10)))
        case "no number":
            folders(place)
            (place / "list.txt").write_text("lynx/000.jpg lynx\n")
        case "gone":
            folders(place)
            (place / "list.txt").write_text("".join(f"lynx/{i:03}.jpg {i % 2}\n" for i in (0, 1, 2, 99, 4, 5, 6, 7, 8, 9)))
        case "line break":
            folders(place)
            (place / "lynx" / "000.jpg").rename(place / "lynx" / "0\n0.jpg")
        case "csv":
            place = tmp_path / "set.csv"
            place.write_text("a,0")
        case "negative":
            place = tmp_path / "set.npz"
            np.savez(place, train_x=np.zeros((4, 2, 2, 3), np.uint8), train_y=np.array([0, 1, -1, 0]))
        case "empty split":
            place = tmp_path / "set.npz"
            none = {"val_x": np.zeros((0, 2, 2, 3), np.uint8), "val_y": np.zeros(0, np.int64)}
            np.savez(place, train_x=np.zeros((4, 2, 2, 3), np.uint8), train_y=np.array([0, 1, 1, 0]), **none)
        case "pickle":
            place = tmp_path / "set.npz"
            np.savez(place, train_x=np.array([{}], object), train_y=np.array([0]))
    return place


WRONG = {
    "nowhere": "no such folder or file; expected one folder a class",
    "empty": "holds no images that are found; expected one folder a class",
    "empty class": "zebra: no images .* of this class: restore them or remove the folder",
    "two images": "class 'lynx' has 2 different images: at least 3 are needed, one for each of train, val, test",
    "copies": "class 'lynx' has 2 different images",
    "one class": "has only the class 'lynx': there is nothing to tell apart",
    "loose": "x.jpg: lies in no class's folder",
    "mixed": r"mixes splits \(train\) with other folders \(c\)",
    "no train": r"holds val but no images to learn from \(train\)",
    "twice": "holds both val and valid: which one is the split val",
    "strange class": "test/c: there are no images of this class to learn from",
    "webp": "x.webp: .webp images are not read: convert them",
    "damaged": "lynx/007.jpg .*fetch it again, or convert it",
    "cut to nothing": "007.jpg: the file is empty; restore it",
    "both lists": "holds both list.txt and train.txt",
    "gap": "class 0 has no image to learn from, but labels go up to 2: number the classes from 0",
    "no number": "list.txt, line 1: expected 'path label'",
    "gone": "099.jpg .*line 4 .* cannot be read",
    "line break": "a list of images cannot hold this name: rename the file",
    "csv": "is no folder, list or .npz file",
    "negative": "holds the label -1: number the classes from 0",
    "empty split": "the split val has no images",
    "pickle": "cannot be read as an .npz file of plain arrays",
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_is_said_and_nothing_counts_as_prepared(how, tmp_path, root):
    with pytest.raises(UserError, match=WRONG[how]):
        own.prepare(changed(tmp_path, how), root, "mine")
    assert not (root / "mine" / own.FACTS).exists()


@pytest.mark.parametrize("name", ["digits", "cifar100", "imagenet_v2", "mnist5k"])
def test_the_name_of_a_known_set_is_taken(name, tmp_path, root):
    with pytest.raises(UserError, match=f"'{name}' is the name of a set that is known here; give another one with --name"):
        own.prepare(folders(tmp_path / name, 3), root)


def test_a_name_that_names_of_runs_cannot_hold(tmp_path, root):
    with pytest.raises(UserError, match="must be letters, digits and _"):
        own.prepare(folders(tmp_path / "one", 3), root, "two--three")


# Cutting


@given(
    st.lists(st.integers(3, 30), min_size=1, max_size=5),
    st.sampled_from([("val", "test"), ("val",), ("test",)]),
    st.randoms(use_true_random=False),
)
def test_every_cut_is_a_partition_with_every_class_in_every_part(counts, missing, rng):
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    digests = [f"{i:08x}" for i in rng.sample(range(10**6), len(labels))]
    parts = cut(labels, digests, [str(i) for i in range(len(counts))], shares(missing))
    assert list(parts) == ["train", *missing]
    assert sorted(i for part in parts.values() for i in part) == list(range(len(labels)))
    share = 0.15 if len(missing) == 2 else 0.15 / 0.85
    for label, count in enumerate(counts):
        for part in missing:
            assert (labels[parts[part]] == label).sum() == max(1, round(share * count))
        assert (labels[parts["train"]] == label).sum() >= 1
    # The order in which images are listed changes nothing.
    order = rng.sample(range(len(labels)), len(labels))
    again = cut(labels[order], [digests[i] for i in order], [str(i) for i in range(len(counts))], shares(missing))
    for part, indices in parts.items():
        assert [digests[order[i]] for i in again[part]] == [digests[i] for i in indices]
