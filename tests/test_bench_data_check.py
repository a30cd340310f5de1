"""Checking a set finds each thing that can be wrong with it, and says which and where."""

import shutil

import made_sets
import numpy as np
import pytest
from made_sets import CLASSES, FILES, NAME

from bench.data import check, disk, numbering
from bench.data.sources.arrays import Arrays
from bench.data.sources.source import Source, fingerprint
from bench.errors import UserError
from bench.points.files import DATA, Files

V2 = Files("imagenet_v2/matched-frequency:3", test="test")


def arrays(labels, seed=0):
    """Returns a source of different images of 2 pixels a side."""
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 2, 2, 3), np.uint8)
    return Arrays(images, np.array(labels))


def look(source, classes, sample=None, progress=lambda *_: None):
    return check.look("some_set", "val", source, classes, sample, progress)


def refused(call, *arguments):
    """Returns the one line that is said."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    [line] = str(caught.value).splitlines()
    return line


# Counts


def test_counts_are_compared_with_the_facts():
    sources = {"train": arrays([0] * 4), "val": arrays([0] * 3), "test": arrays([0] * 5)}
    check.counts("some_set", "there", sources, {"train": 4, "val": 3, "test": 5})
    check.counts("some_set", "there", sources, {"train": None, "val": 3, "test": None})
    assert refused(check.counts, "some_set", "there", sources, {"train": 4, "val": 1_000, "test": 6}) == (
        "some_set at there: train has 4 images, val has 3 images instead of 1,000, test has 5 images instead of 6: another"
        " version of the set, or not all of it; fetch or prepare it again"
    )


# Images and labels


def test_what_was_seen_of_a_split():
    labels = [0, 0, 0, 1, 1, 3]
    source = arrays(labels)
    seen = look(source, 4)
    assert (seen.size, seen.read, seen.unlabelled, seen.whole) == (6, 6, 0, True)
    assert seen.labels.tolist() == [3, 2, 0, 1]
    assert len(set(seen.digests.tolist())) == 6
    assert seen.fingerprint == fingerprint(source)
    assert seen.line() == (f"6 images, all read; 3 of 4 classes with 1 to 3 images, median 2; fingerprint {seen.fingerprint}")


def test_a_sample_is_evenly_spaced_and_says_so():
    source = arrays([*[0] * 50, *[1] * 50])
    seen = look(source, 2, sample=10)
    assert seen.labels.tolist() == [5, 5]
    assert not seen.whole
    assert "100 images, 10 of them read (--all reads every one); " in seen.line()
    assert seen.fingerprint == fingerprint(source)
    assert look(source, 2, sample=100).whole


def test_progress_is_told():
    told = []
    look(arrays([0] * 130), 1, sample=100, progress=lambda *news: told.append(news))
    assert [news for news in told if news[1] == "images"] == [("val", "images", 64, 100), ("val", "images", 100, 100)]
    assert told[-1] == ("val", "fingerprint", 130, 130)


class Several(Source):
    """Images with any number of right labels."""

    def __init__(self, labels):
        self._labels = np.array(labels, np.int32)

    def __len__(self):
        return len(self._labels)

    def read(self, indices):
        return arrays([0] * len(self)).read(indices)._replace(labels=self._labels[indices])

    def where(self, index):
        return f"image {index}"


def test_images_without_a_label_are_counted():
    seen = look(Several([[2, 0], [-1, -1], [2, -1], [-1, -1]]), 3)
    assert (seen.labels.tolist(), seen.unlabelled) == ([1, 0, 2], 2)
    assert ", median 2, 2 images without a label; " in seen.line()


def test_a_split_without_any_label():
    assert refused(look, Several([[-1, -1]] * 3), 3).startswith("some_set, val: none of 3 images has a label")


@pytest.mark.parametrize(("labels", "said"), [([0, 1, 3], "image 2: label 3 lies outside 0..2"), ([-1, 0], "label -1")])
def test_a_label_outside_the_classes(labels, said):
    assert said in refused(look, arrays(labels), 3)


@pytest.fixture
def listed(monkeypatch, tmp_path):
    """The place of a set of image files, and a function that looks at one of its splits."""
    place = made_sets.write(tmp_path, "lists")
    monkeypatch.setenv(DATA, str(tmp_path))
    return place, lambda purpose: look(disk.find(NAME, FILES).open(purpose), CLASSES)


def test_image_files_are_decoded(listed):
    _, seen = listed
    assert seen("train").labels.tolist() == [4, 4, 4]


def test_an_image_that_cannot_be_decoded(listed):
    place, seen = listed
    path = place / "images/val/003.jpg"
    path.write_bytes(path.read_bytes()[:200])
    said = refused(seen, "val")
    assert said.startswith(f"some_set, val: {path} (line 4 of {place}/val.txt): a JPEG")
    assert said.endswith("; fetch it again, or convert it to JPEG or PNG")


def test_all_images_that_cannot_be_decoded_are_counted(listed):
    place, seen = listed
    for i in (4, 1, 2):
        (place / f"images/val/{i:03}.jpg").write_bytes(b"GIF89a" if i == 1 else b"\xff\xd8\xff cut")
    said = refused(seen, "val")
    assert said.startswith(f"some_set, val: 3 images cannot be decoded, the first: {place}/images/val/001.jpg (")
    assert "GIF" in said


def test_a_missing_and_an_empty_file(listed):
    place, seen = listed
    (place / "images/train/007.jpg").unlink()
    assert f"{place}/images/train/007.jpg" in refused(seen, "train")
    (place / "images/train/007.jpg").touch()
    assert "the file is empty" in refused(seen, "train")


def test_a_damaged_record_of_a_tfrecord_file_is_found_though_its_image_can_be_decoded(monkeypatch, tmp_path):
    place = made_sets.as_tfrecord(made_sets.write(tmp_path, "tfds"))
    monkeypatch.setenv(DATA, str(tmp_path))
    source = disk.find(NAME, FILES).open("train")
    assert look(source, CLASSES).labels.tolist() == [4, 4, 4]
    [path] = place.glob("*train*")
    content = path.read_bytes()
    image = made_sets.splits()["train"][0][5]
    # A byte of the header's comment on the density of pixels: no decoder minds.
    at = content.index(image) + image.index(b"JFIF") + 8
    path.write_bytes(content[:at] + b"\x07" + content[at + 1 :])
    assert "record 5" in refused(look, disk.find(NAME, FILES).open("train"), CLASSES)


# All splits


def test_every_class_is_in_some_split():
    splits = {"train": look(arrays([0, 1, 1]), 4), "val": look(arrays([3, 2]), 4)}
    check.all_classes("some_set", splits)
    assert refused(check.all_classes, "some_set", {"val": splits["val"]}) == (
        "some_set: 2 classes have no image in any split (0, 1): not all of the set, or another numbering of its classes"
    )
    # Those that the release has no images of.
    check.all_classes("i21k_bv", {"train": look(arrays([*range(9205), *range(9206, 15027), *range(15028, 21843)]), 21_843)})
    said = refused(check.all_classes, "i21k_bv", {"train": look(arrays(range(21_841)), 21_843)})
    assert said.startswith("i21k_bv: 2 classes have no image in any split (21841, 21842): ")
    # A sample may miss a class.
    check.all_classes("some_set", {"train": look(arrays([0, 1, 1]), 4, sample=2)})


def test_the_same_image_in_two_splits():
    train, val, test = arrays([0] * 9), arrays([0] * 4, seed=1), arrays([0] * 5, seed=2)
    held = {p: s.read(np.arange(len(s))).images for p, s in (("train", train), ("val", val), ("test", test))}
    leaky = Arrays(np.concatenate([held["test"], held["train"][[3, 3, 8]], held["val"][:1]]), np.zeros(9, np.int64))
    splits = {p: look(s, 1) for p, s in (("train", train), ("val", val), ("test", leaky))}
    assert check.duplicates(splits) == {("test", "train"): 3, ("test", "val"): 1}
    assert check.duplicates({**splits, "test": look(test, 1)}) == {}


# ImageNetV2

# Folders of a set of 12 classes sorted as words.
AS_WORDS = [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.fixture
def v2(monkeypatch, tmp_path):
    """Returns a function that checks the order of a set of 12 classes, 2 images each."""
    monkeypatch.setenv(DATA, str(tmp_path))

    def call():
        found = disk.find("imagenet_v2", V2)
        return numbering.check(found, "test", found.open("test"), 12)

    return call


def test_class_folders_with_numbers_are_the_labels(v2, tmp_path):
    for seed in range(24):
        path = tmp_path / "imagenet_v2" / str(seed // 2) / f"{seed}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made_sets.jpeg(seed))
    assert v2() == "2 images of every class, and every label is the number of its folder"
    shutil.move(tmp_path / "imagenet_v2" / "3" / "6.jpeg", tmp_path / "imagenet_v2" / "5" / "6.jpeg")
    assert refused(v2).startswith("imagenet_v2: class 3 has 1 images, but every class must have 2")


def with_labels(tmp_path, label_of):
    """Writes a list of 24 files, whose labels are a function of their folder's number."""
    place = tmp_path / "imagenet_v2"
    lines = []
    for seed in range(24):
        folder = seed // 2
        (place / str(folder)).mkdir(parents=True, exist_ok=True)
        (place / str(folder) / f"{seed}.jpeg").write_bytes(made_sets.jpeg(seed))
        lines.append(f"{folder}/{seed}.jpeg {label_of(folder)}\n")
    (place / "test.txt").write_text("".join(lines))


def prepared(tmp_path, label_of, names=True):
    """Prepares the same with TFDS, with or without the names of files."""
    folders = [seed // 2 for seed in range(24)]
    made = {"test": ([made_sets.jpeg(seed) for seed in range(24)], [label_of(folder) for folder in folders])}

    def features(f):
        return {"label": f.ClassLabel(num_classes=1000)} | ({"file_name": f.Text()} if names else {})

    more = {"test": {"file_name": [f"{folder}/a.jpeg" for folder in folders]}} if names else {}
    made_sets.write_tfds(tmp_path, made, "imagenet_v2", "3.0.0", "matched-frequency", features, more)


@pytest.mark.parametrize("write", [with_labels, prepared])
def test_labels_are_compared_with_the_numbers_of_folders(v2, tmp_path, write):
    write(tmp_path, lambda folder: folder)
    assert v2() == "2 images of every class, and every label is the number of its folder"


@pytest.mark.parametrize("write", [with_labels, prepared])
def test_labels_in_the_order_of_words_are_recognised(v2, tmp_path, write):
    write(tmp_path, AS_WORDS.index)
    assert refused(v2) == (
        "imagenet_v2: the labels follow the folder names sorted as words (0, 1, 10, 100, ...), so folder 10 has label 2: label"
        " images by the number of their folder"
    )


def test_any_other_order_is_wrong_as_well(v2, tmp_path):
    with_labels(tmp_path, lambda folder: (folder + 1) % 12)
    assert refused(v2).startswith(
        "imagenet_v2: 24 of 24 labels are not the number of the image's folder, such as label 1 in folder 0"
    )


@pytest.mark.parametrize("label_of", [int, AS_WORDS.index])
def test_where_folders_were_not_kept_no_more_is_claimed_than_is_known(v2, tmp_path, label_of):
    prepared(tmp_path, label_of, names=False)
    said = "2 images of every class; which folder each came from was not kept, so their order cannot be checked"
    assert v2() == said
    shutil.rmtree(tmp_path / "imagenet_v2")
    labels = [label_of(seed // 2) for seed in range(24)]
    made_sets.write(tmp_path, "npz", {"test": ([made_sets.jpeg(i) for i in range(24)], labels)}, "imagenet_v2")
    assert v2() == said


def test_as_words_is_what_sorting_names_gives():
    assert [int(name) for name in sorted(map(str, range(12)))] == AS_WORDS
