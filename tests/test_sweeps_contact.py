"""`augreg data show`: a sheet shows what training sees."""

import re
from functools import partial

import made_sets
import numpy as np
import pytest
from made_sets import NAME, SIZES
from PIL import Image

from bench.augment import mixing
from bench.data import load, mnist5k
from bench.data.order import Order
from bench.points import LEVELS, TASKS, UPSTREAM
from bench.points.datasets import UpstreamSet
from bench.points.levels import Level
from bench.report import sheet
from bench.train import program
from bench.train.hyper import Hyper
from bench.train.static import Static
from sweeps import contact
from vtab.tasks import EMBEDDED_LOADERS


@pytest.fixture
def augreg(capsys):
    """Returns a function that runs `augreg data`."""
    return partial(made_sets.augreg_data, capsys)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return made_sets.known(monkeypatch, tmp_path)


def shown(path, number, side):
    """Returns the stored and the augmented images of a sheet, `uint8[N, side, side, 3]` each."""
    places = sheet.layout(number, side)
    with Image.open(path) as image:
        assert image.size == (places.width, places.height)
        dots = np.asarray(image.convert("RGB"))
    step = places.enlarged
    pairs = [[dots[b.top : b.top + b.side : step, b.left : b.left + b.side : step] for b in pair] for pair in places.pairs]
    return np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs])


def test_without_augmentation_both_images_are_the_stored_one(augreg, tmp_path):
    path = tmp_path / "sheet.png"
    assert augreg("show", "digits", "--aug", "none", "-n", 5, "--seed", 3, "-o", path) == (0, "", "")
    stored, augmented = shown(path, 5, 8)
    train = EMBEDDED_LOADERS["digits"](8).train
    examples = Order(800, 5, 3).chunk(0, 1).examples[0]
    assert (stored == train.images[examples]).all()
    assert (augmented == stored).all()


class SeenError(Exception):
    """Carries what a model was about to see, and stops the step."""


def test_a_sheet_shows_what_the_training_step_sees(augreg, tmp_path, monkeypatch):
    def stop(model, params, stats, images, noise):  # noqa: ARG001 - the signature of `bench.models.train`
        raise SeenError(np.asarray(images))

    path, level = tmp_path / "sheet.png", LEVELS["strong1"]
    assert augreg("show", "mnist5k", "--aug", "strong1", "-n", 6, "--seed", 5, "-o", path)[0] == 0
    stored, augmented = shown(path, 6, 28)
    chunk = Order(4000, 6, 5).chunk(0, 1)
    [images, labels] = next(iter(mnist5k.load(28).train.batches([chunk], 5)))
    assert (stored == images[0]).all()
    static = Static("ViT-mu", 10, 0.0, 28, 6, "adam", "softmax", crop=UPSTREAM["mnist5k"].cropped_on_device(28), chunk=1)
    mixed = mixing.draw(5, [0], level.mixup, level.cutmix, 28)
    mixed = mixing.Mixing(*(array[0] for array in mixed))
    batch = program.Batches(images[0], labels[0], chunk.examples[0].astype(np.int32), chunk.passes[0], mixed)
    monkeypatch.setattr(program.models, "train", stop)
    state = program.State(np.int32(0), {"weight": np.float32(0)}, {}, None)
    hyper = Hyper.cast(layers=level.layers, magnitude=level.magnitude, seed=5)
    with pytest.raises(SeenError) as seen:
        program.Programs(static)._step(state, batch, np.int32(10), hyper)
    [pixels] = seen.value.args
    assert (mixed.coefficient < 0.99).all()
    assert (augmented == np.round(pixels * 127.5 + 127.5)).all()
    assert (augmented != stored).any()


def test_crops_are_those_of_the_reader(augreg, folder, monkeypatch):
    facts = UpstreamSet(NAME, *SIZES.values(), made_sets.CLASSES, 8, 4, 1, files=made_sets.FILES)
    monkeypatch.delitem(TASKS, NAME)
    monkeypatch.setitem(UPSTREAM, NAME, facts)
    made_sets.write(folder, "npz")
    path = folder / "sheet.png"
    assert augreg("show", NAME, "--aug", "none", "-n", 5, "--seed", 2, "-o", path)[0] == 0
    stored, augmented = shown(path, 5, 8)
    loaded = load(NAME, made_sets.FILES, SIZES, made_sets.CLASSES, 8, crop=True)
    chunk = Order(12, 5, 2).chunk(0, 1)
    assert (augmented == next(iter(loaded.train.batches([chunk], 2))).images[0]).all()
    plain = load(NAME, made_sets.FILES, SIZES, made_sets.CLASSES, 8, crop=False)
    assert (stored == plain.train.images[chunk.examples[0]]).all()
    assert (stored != augmented).any()
    # Of another split, and more images than there are.
    assert augreg("show", NAME, "--aug", "none", "--split", "val", "-n", 50, "-o", path)[0] == 0
    assert len(shown(path, 5, 8)[0]) == 5


def test_a_share_that_would_be_shown_as_nothing_is_not():
    assert contact._mix(1, np.array([0.001, 0.999, 0]), ["7", "8", "9"]) == "8"
    assert contact._mix(1, np.array([0.25, 0.75, 0]), ["7", "8", "9"]) == "0.75 x 8 + 0.25 x 7"


def test_captions_say_what_was_mixed(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(contact.sheet, "draw", lambda *arguments: drawn.append(arguments))
    monkeypatch.setattr(contact.figures, "save", lambda figure, path: None)  # noqa: ARG005 - the signature
    levels = {"mixed": Level("mixed", "", 0, 0, 0.5), "cut": Level("cut", "", 1, 15, 0.0, 1.0, mix_first=True)}
    labels = EMBEDDED_LOADERS["digits"](8).train.labels[Order(800, 5, 3).chunk(0, 1).examples[0]]
    for name, level in levels.items():
        monkeypatch.setitem(LEVELS, name, level)
        contact.show("digits", name, None, 5, 3, None, tmp_path / "sheet.png")
        _, _, captions, title, below = drawn.pop()
        assert title == f"digits, train: as stored, and as training with {name} sees it"
        assert [stored for stored, _ in captions] == [str(label) for label in labels]
        for i, (_, caption) in enumerate(captions):
            parts = re.fullmatch(r"(0\.\d\d) x (\d) \+ (0\.\d\d) x (\d)", caption).groups()
            assert float(parts[0]) + float(parts[2]) == pytest.approx(1, abs=0.011)
            assert (parts[1], parts[3]) == (str(labels[i]), str(labels[i - 1]))
        if name == "mixed":
            assert below == "Mixup 0.5 with the image before it. Seed 3, first step, 8 px"
        else:
            assert below.startswith("CutMix 1 with the image before it; RandAugment: 1 layers of magnitude 15. ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--aug", "strong3"), "no augmentation level 'strong3'; did you mean 'strong2'? valid: none, light0, "),
        (("--aug", "none", "--split", "valid"), "digits has no split 'valid'; did you mean 'val'? valid: train, val, test"),
        (("--aug", "none", "-n", "0"), "Invalid value for '-n' / '--number': 0 is not in the range x>=1."),
        (("--aug", "none", "--resolution", "0"), "Invalid value for '--resolution': 0 is not in the range x>=1."),
        (("--aug", "none", "--seed", "-1"), "Invalid value for '--seed': -1 is not in the range 0<=x<4294967296."),
    ],
)
def test_what_cannot_be_shown(augreg, arguments, said):
    code, out, err = augreg("show", "digits", "-n", 1, "-o", "sheet.png", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"augreg: {said}")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("number", "side"), [(1, 8), (64, 32), (5, 224), (7, 33)])
def test_images_of_a_sheet_do_not_touch(number, side):
    places = sheet.layout(number, side)
    taken = np.zeros((places.height, places.width), int)
    for box in (box for pair in places.pairs for box in pair):
        assert box.side == side * places.enlarged >= sheet.LEAST
        taken[box.top - 1 : box.top + box.side + 1, box.left - 1 : box.left + box.side + 1] += 1
    assert taken.max() == 1
    assert taken.sum() == 2 * number * (side * places.enlarged + 2) ** 2
    # About square, with enough of them.
    if number > 30:
        assert 0.6 < places.height / places.width < 1.6
