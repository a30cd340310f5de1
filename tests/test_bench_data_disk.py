"""Sets found on disk: all forms, which one wins, versions, and what is said of what is not there or not right."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import made_sets
import numpy as np
import pytest
from made_sets import CLASSES, FILES, FORMS, NAME, SIZES

from bench.data import disk, load
from bench.data.sources.source import fingerprint
from bench.errors import UserError
from bench.points import TASKS
from bench.points.files import DATA, ORIGINS, Files, Origin
from bench.points.tasks import EXTRAS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The same set in every form, a folder of sets each."""
    roots = {form: tmp_path_factory.mktemp(form) for form in FORMS}
    for form, root in roots.items():
        made_sets.write(root, form)
    return roots


@pytest.fixture
def look_in(monkeypatch):
    """Returns a function that says in which folders to look."""
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    return lambda *roots: monkeypatch.setenv(DATA, os.pathsep.join(map(str, roots)))


@pytest.fixture
def own(monkeypatch):
    """Says how one gets the set."""
    monkeypatch.setitem(ORIGINS, NAME, Origin("free", "draw it yourself"))


def opened(sizes=SIZES):
    return disk.open_set(NAME, FILES, sizes, CLASSES)


# Roots


@pytest.mark.parametrize(
    ("data", "tfds", "expected"),
    [
        ("/a", "/t", ["/a"]),
        ("/a:/b/c", "/t", ["/a", "/b/c"]),
        ("/a::", None, ["/a"]),
        ("gs://bucket/sets", None, ["gs://bucket/sets"]),
        ("gs://one:/a:gs://two/x:/b", None, ["gs://one", "/a", "gs://two/x", "/b"]),
        ("~/sets", None, ["/home/me/sets"]),
        ("", "/t", ["/t"]),
        (None, "/t", ["/t"]),
        (None, "gs://bucket/tfds", ["gs://bucket/tfds"]),
        (None, None, ["/home/me/tensorflow_datasets"]),
    ],
)
def test_the_folders_to_look_in(monkeypatch, data, tfds, expected):
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in ((DATA, data), ("TFDS_DATA_DIR", tfds)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert disk.roots() == expected


# Forms


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_splits(made, look_in, form):
    look_in(made[form])
    found = disk.find(NAME, FILES)
    assert (found.name, found.form, found.files) == (NAME, form, FILES)
    assert Path(found.place).is_relative_to(made[form])
    sources = opened()
    assert {purpose: len(source) for purpose, source in sources.items()} == SIZES
    for purpose, (files, labels) in made_sets.splits().items():
        images, read = sources[purpose].read(np.arange(SIZES[purpose]))
        # Class folders keep their own order, class by class.
        order = np.argsort(labels, kind="stable") if form == "folders" else np.arange(len(labels))
        assert images == tuple(files[i] for i in order)
        assert read.tolist() == np.array(labels)[order].tolist()


def test_finding_needs_no_tensorflow():
    code = (
        "from bench.data import disk; from bench.points import TASKS; assert disk.find('kitti', TASKS['kitti'].files) is None"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print('tensorflow' in sys.modules)"],
        env={**os.environ, DATA: "/no/such/folder"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_the_first_folder_wins_then_the_first_form(made, look_in, tmp_path):
    look_in(tmp_path / "absent", made["npz"], made["tfds"])
    assert disk.find(NAME, FILES).form == "npz"
    together = tmp_path / "together"
    for form, expected in (("npz", "npz"), ("folders", "folders"), ("lists", "lists"), ("tfds", "tfds")):
        shutil.copytree(made[form], together, dirs_exist_ok=True)
        look_in(together)
        assert disk.find(NAME, FILES).form == expected


def test_the_lists_may_have_the_names_of_vtab(look_in, tmp_path):
    place = made_sets.write(tmp_path, "lists")
    (place / "train.txt").rename(place / "train800.txt")
    (place / "val.txt").rename(place / "val200.txt")
    look_in(tmp_path)
    assert {purpose: len(source) for purpose, source in opened().items()} == SIZES


def test_of_several_versions_the_newest_of_the_right_major_number_that_is_whole_wins(made, look_in, tmp_path):
    versions = tmp_path / NAME
    for version in ("0.9.0", "1.2.0", "1.10.0", "1.11.0", "2.0.0", "1.x"):
        shutil.copytree(made["tfds"] / NAME / "1.0.0", versions / version)
    (versions / "1.11.0" / "dataset_info.json").unlink()
    look_in(tmp_path)
    assert str(disk.find(NAME, FILES).place) == str(versions / "1.10.0")
    assert disk.find(NAME, Files(f"{NAME}:3", "train")) is None


def test_a_configuration_is_a_folder_between_name_and_version(look_in, tmp_path):
    files, labels = made_sets.splits()["test"]
    place = made_sets.write_tfds(tmp_path, {"test": (files, labels)}, config="some-config", version="3.1.0")
    look_in(tmp_path)
    found = disk.find("another_name", Files(f"{NAME}/some-config:3", test="test"))
    assert (found.name, str(found.place)) == ("another_name", str(place))
    assert len(found.open("test")) == SIZES["test"]


def test_a_set_with_one_split_may_be_class_folders_alone(look_in, tmp_path):
    for label in (0, 1, 2, 10):
        (tmp_path / NAME / str(label)).mkdir(parents=True)
        (tmp_path / NAME / str(label) / "a.jpg").write_bytes(made_sets.jpeg(label))
    look_in(tmp_path)
    only = Files(f"{NAME}:1", test="test")
    found = disk.find(NAME, only)
    assert found.form == "folders"
    assert found.open("test").read(np.arange(4)).labels.tolist() == [0, 1, 2, 10]
    (tmp_path / NAME).rename(tmp_path / "test")
    (tmp_path / NAME).mkdir()
    (tmp_path / "test").rename(tmp_path / NAME / "test")
    assert disk.find(NAME, only).open("test").read(np.arange(4)).labels.tolist() == [0, 1, 2, 10]


@pytest.mark.parametrize("name", ["kitti", "imagenet2012_real"])
def test_labels_that_are_derived_are(look_in, tmp_path, name):
    files = TASKS[name].files if name in TASKS else EXTRAS[name].files
    if name == "kitti":

        def features(f):
            return {
                "objects": f.Sequence({"type": f.ClassLabel(num_classes=8), "location": f.Tensor(shape=(3,), dtype=np.float32)})
            }

        # A pedestrian (3) at 5 m and a car (0) at 15 m; nothing but a pedestrian.
        place = np.array([[0, 0, 5.0], [0, 0, 15.0]], np.float32)
        objects = [{"type": [3, 0], "location": place}, {"type": [3], "location": place[:1]}]
        more, expected = {"objects": objects}, [1, 3]
    else:

        def features(f):
            return {"original_label": f.ClassLabel(num_classes=1000), "real_label": f.Sequence(f.ClassLabel(num_classes=1000))}

        more = {"original_label": [7, 8], "real_label": [[7, 999], []]}
        expected = [[7, 999, *(-1,) * 7], [-1] * 9]
    jpegs = [made_sets.jpeg(0), made_sets.jpeg(1)]
    split = files.test
    made_sets.write_tfds(
        tmp_path, {split: (jpegs, [0, 0])}, files.name, f"{files.major}.0.0", features=features, more={split: more}
    )
    look_in(tmp_path)
    found = disk.find(name, files)
    assert found.open("test").read(np.arange(2)).labels.tolist() == expected


# What is wrong


def refused(call=opened):
    """Returns the one line that is said."""
    with pytest.raises(UserError) as caught:
        call()
    [line] = str(caught.value).splitlines()
    return line


@pytest.mark.usefixtures("own")
def test_a_set_that_is_nowhere(look_in, tmp_path):
    look_in(tmp_path, tmp_path / "other")
    assert disk.find(NAME, FILES) is None
    assert refused() == (
        f"{NAME} is not on disk: there is no {NAME}/1.*, folder {NAME} or {NAME}.npz in {tmp_path}, {tmp_path}/other;"
        " to get it: draw it yourself; if it lies elsewhere, give --data FOLDER or set AUGREG_DATA"
    )


def test_a_set_that_nobody_said_how_to_get(look_in, tmp_path):
    look_in(tmp_path)
    assert refused().startswith(f"{NAME} is not on disk: ")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("begun", ["incomplete.ABC123_1.0.0", "1.0.0.incompleteABC123"])
def test_preparing_that_was_interrupted(made, look_in, tmp_path, begun):
    shutil.copytree(made["tfds"] / NAME / "1.0.0", tmp_path / NAME / begun)
    look_in(tmp_path)
    assert f"({tmp_path}/{NAME}/{begun} was begun and never finished: remove it)" in refused()


@pytest.mark.parametrize("form", FORMS)
def test_a_split_with_another_number_of_images(made, look_in, form):
    look_in(made[form])
    said = refused(lambda: opened({**SIZES, "val": 4}))
    assert said.startswith(f"{NAME}: the val split at {made[form]}/{NAME}")
    assert "has 5 images, but must have 4" in said
    assert f"`augreg data check {NAME}`" in said
    assert len(opened({**SIZES, "val": None})["val"]) == 5


def test_a_split_that_is_not_there(made, look_in, tmp_path):
    for form, said in (("lists", "val.txt"), ("folders", "val"), ("npz", "val")):
        root = tmp_path / form
        shutil.copytree(made[form], root)
        look_in(root)
        if form == "npz":
            with np.load(root / f"{NAME}.npz") as arrays:
                kept = {key: arrays[key] for key in arrays if not key.startswith("val")}
            np.savez(root / f"{NAME}.npz", **kept)
        elif form == "lists":
            (root / NAME / "val.txt").unlink()
        else:
            shutil.rmtree(root / NAME / "val")
        assert str(root) in refused()
        assert said in refused()


@pytest.mark.parametrize("form", FORMS)
def test_a_label_outside_the_classes(made, look_in, form):
    look_in(made[form])
    sources = disk.open_set(NAME, FILES, SIZES, CLASSES - 1)
    said = refused(lambda: sources["train"].read(np.arange(12)))
    assert "label 2 lies outside 0..1" in said


def test_a_folder_that_is_a_file(look_in, tmp_path):
    (tmp_path / "file").touch()
    look_in(tmp_path / "file")
    assert str(tmp_path / "file") in refused(lambda: disk.find(NAME, FILES))


def test_a_folder_that_may_not_be_read(look_in, tmp_path, monkeypatch):
    def forbidden(self):
        raise PermissionError(13, "Permission denied", str(self))

    # Not by its mode, which an administrator's process passes over.
    monkeypatch.setattr(Path, "iterdir", forbidden)
    look_in(tmp_path)
    said = refused(lambda: disk.find(NAME, FILES))
    assert said.startswith(f"{tmp_path}: cannot be read")
    assert "Permission denied" in said


def test_a_bucket_without_the_package_that_reads_it(look_in, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    look_in("gs://no-such-bucket/sets")
    said = refused(lambda: disk.find(NAME, FILES))
    assert said == "gs://no-such-bucket/sets: reading from elsewhere needs more packages: pip install 'augreg-bench[remote]'"


class SilentError(Exception):
    """What a file system raises, with no text."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError("Anonymous caller does not have access"), "Anonymous caller does not have access"),
        (SilentError(), "SilentError"),
        (OSError("first line\nsecond line"), "first line second line"),
    ],
)
def test_an_address_that_cannot_be_read(look_in, monkeypatch, error, said):
    from fsspec.implementations.memory import MemoryFileSystem

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(MemoryFileSystem, "ls", fail)
    look_in("memory://sets")
    line = refused(lambda: disk.find(NAME, FILES))
    assert line.startswith("memory://sets: cannot be read")
    assert said in line


def test_a_set_at_an_address(made, look_in, tmp_path):
    import fsspec

    shutil.copytree(made["tfds"], tmp_path, dirs_exist_ok=True)
    made_sets.as_tfrecord(tmp_path / NAME / "1.0.0")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / NAME), f"/sets/{NAME}", recursive=True)
    try:
        look_in("/no/such/folder", "memory://sets")
        assert disk.find(NAME, FILES).place == f"memory://sets/{NAME}/1.0.0"
        at_address = {purpose: fingerprint(source) for purpose, source in opened().items()}
        look_in("memory://elsewhere", made["tfds"])
        assert at_address == {purpose: fingerprint(source) for purpose, source in opened().items()}
    finally:
        memory.rm("/sets", recursive=True)


# Loading


@pytest.mark.parametrize("form", FORMS)
def test_a_set_of_any_form_is_loaded_and_kept(made, look_in, form):
    look_in(made[form])
    loaded = load(NAME, FILES, SIZES, CLASSES, 8, crop=False)
    assert {purpose: len(getattr(loaded, purpose)) for purpose in SIZES} == SIZES
    [[images, labels]] = loaded.val.in_order(8)
    assert images.shape == (5, 8, 8, 3)
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 2]
    facts = loaded.facts()
    assert {key: facts[key] for key in SIZES} == SIZES
    look_in(made["tfds"])
    if form != "folders":  # whose order is another
        assert load(NAME, FILES, SIZES, CLASSES, 8, crop=False).facts() == facts
