"""`augreg data ids`: which images are in which split, in a form that can be passed on and compared."""

import csv
import hashlib
from functools import partial

import made_sets
import numpy as np
import pytest
from made_sets import FORMS, NAME

from bench.points import TASKS
from bench.points.files import Files
from bench.points.tasks import EXTRAS, Extra, Task


@pytest.fixture
def augreg(capsys):
    """Returns a function that runs `augreg data`."""
    return partial(made_sets.augreg_data, capsys)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return made_sets.known(monkeypatch, tmp_path / "sets")


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", FORMS)
def test_every_image_has_its_place_label_and_hash(augreg, folder, tmp_path, form):
    made_sets.write(folder, form)
    output = tmp_path / "ids.csv"
    assert augreg("ids", NAME, "-o", output) == (0, f"{output}\n", "")
    names = {
        "tfds": lambda p, i, _: (
            f"{NAME}-{'test' if p == 'test' else 'train'}.array_record-00000-of-00001__{i + 12 * (p == 'val')}"
        ),
        "lists": lambda p, i, _: f"images/{p}/{i:03}.jpg",
        "folders": lambda _, i, label: f"{'abc'[label]}/{i:03}.jpg",
        "npz": lambda *_: "",
    }
    expected = {
        (p, names[form](p, i, label), str(label), hashlib.sha256(file).hexdigest()[:16])
        for p, (files, labels) in made_sets.splits().items()
        for i, (file, label) in enumerate(zip(files, labels, strict=True))
    }
    found = table(output)
    assert list(found[0]) == ["purpose", "index", "identifier", "label", "image"]
    assert {(r["purpose"], r["identifier"], r["label"], r["image"]) for r in found} == expected
    assert [int(r["index"]) for r in found] == [*range(12), *range(5), *range(6)]


def test_decoded_images_are_hashed_by_their_pixels_and_several_labels_are_joined(augreg, folder, tmp_path, monkeypatch):
    folder.mkdir()
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    monkeypatch.setitem(TASKS, "pixels", Task("pixels", "natural", 2, 2, 1, 1, files=Files("pixels:1", "a", "b", "c")))
    held = {
        f"{p}_{k}": v[:n]
        for p, n in (("train", 2), ("val", 1), ("test", 1))
        for k, v in (("x", images), ("y", np.array([1, 0])))
    }
    np.savez(folder / "pixels.npz", **held)
    assert augreg("ids", "pixels", "-o", tmp_path / "p.csv")[0] == 0
    assert [r["image"] for r in table(tmp_path / "p.csv")[:2]] == [hashlib.sha256(i.tobytes()).hexdigest()[:16] for i in images]

    def scalar(kinds):
        return {"real_label": kinds.Sequence(kinds.Scalar(np.int64))}

    made_sets.write_tfds(
        folder,
        {"validation": made_sets.splits()["val"]},
        "imagenet2012_real",
        features=scalar,
        more={"validation": {"real_label": [[3], [], [1, 2], [0], [9]]}},
    )
    files = EXTRAS["imagenet2012_real"].files
    monkeypatch.setitem(EXTRAS, "imagenet2012_real", Extra("imagenet2012_real", "imagenet2012", 5, files))
    assert augreg("ids", "imagenet2012_real", "-o", tmp_path / "r.csv")[0] == 0
    assert [r["label"] for r in table(tmp_path / "r.csv")] == ["3", "", "1;2", "0", "9"]
    code, _, err = augreg("ids", "imagenet2012_real", "--lists", tmp_path / "lists")
    assert (code, err.count("\n")) == (2, 1)
    assert "an image has no label or several" in err


def test_lists_are_those_that_are_read(augreg, folder, tmp_path, monkeypatch):
    place = made_sets.write(folder, "lists")
    code, out, _ = augreg("ids", NAME, "--lists", tmp_path / "lists")
    assert code == 0
    assert out.split() == [str(tmp_path / "lists" / f"{n}.txt") for n in ("train", "val", "test", "trainval")]
    for name in ("train", "val", "test"):
        assert (tmp_path / "lists" / f"{name}.txt").read_text() == (place / f"{name}.txt").read_text()
    both = (place / "train.txt").read_text() + (place / "val.txt").read_text()
    assert (tmp_path / "lists" / "trainval.txt").read_text() == both
    # Named as VTAB-1k's are where there are as many.
    monkeypatch.setattr("sweeps.identifiers.TRAIN", 12)
    monkeypatch.setattr("sweeps.identifiers.VAL", 5)
    augreg("ids", NAME, "--lists", tmp_path / "small")
    assert {p.name for p in (tmp_path / "small").iterdir()} == {"train12.txt", "val5.txt", "train12val5.txt", "test.txt"}


def test_what_no_list_can_say_is_refused(augreg, folder, tmp_path):
    made_sets.write(folder, "npz")
    code, _, err = augreg("ids", NAME, "--lists", tmp_path / "lists")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{NAME}: its images have no names here" in err
    code, _, err = augreg("ids", NAME)
    assert (code, err) == (2, "augreg: nothing to write: give -o FILE.csv, --lists FOLDER, or both\n")
    (folder / f"{NAME}.npz").unlink()
    place = made_sets.write(folder, "lists")
    lines = (place / "val.txt").read_text().splitlines()
    (place / "val.txt").write_text("\n".join([lines[0], *lines[:-1]]))
    code, _, err = augreg("ids", NAME, "--lists", tmp_path / "lists")
    assert code == 2
    assert "2 images are called 'images/val/000.jpg'" in err
    assert not (tmp_path / "lists").exists()


def test_a_set_that_is_not_whole_or_not_here(augreg, folder, tmp_path):
    code, _, err = augreg("ids", NAME, "-o", tmp_path / "ids.csv")
    assert code == 2
    assert f"{NAME} is not on disk" in err
    made_sets.write(folder, "npz", made_sets.splits() | {"val": ([made_sets.jpeg(1)], [0])})
    code, _, err = augreg("ids", NAME, "-o", tmp_path / "ids.csv")
    assert code == 2
    assert "val has 1 images instead of 5" in err
    assert not (tmp_path / "ids.csv").exists()
