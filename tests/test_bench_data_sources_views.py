"""What holds of every source: indices, parts, joins, label checks, fingerprints."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.sources import source as sources
from bench.data.sources.arrays import Arrays, Encoded
from bench.data.sources.source import Checked, Examples, Joined, Part, Source, fingerprint
from bench.errors import UserError


def encoded(contents, labels, name="arrays"):
    offsets = np.cumsum([0, *map(len, contents)])
    return Encoded(np.frombuffer(b"".join(contents), np.uint8), offsets, np.asarray(labels, np.int64), name)


def numbered(n, start=0):
    """Returns a source whose example i is the text and the label start + i."""
    numbers = range(start, start + n)
    return encoded([f"image {i}".encode() for i in numbers], list(numbers), f"from {start}")


def pixels(n, seed=0, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (n, 5, 4, channels), dtype=np.uint8)


class Lists(Source):
    """Several labels an image."""

    def __init__(self, lists, most):
        self.rows = np.full((len(lists), most), -1, np.int32)
        for row, labels in zip(self.rows, lists, strict=True):
            row[: len(labels)] = labels

    def __len__(self):
        return len(self.rows)

    def read(self, indices):
        return Examples(tuple(b"%d" % i for i in indices), self.rows[indices])

    def where(self, index):
        return f"list {index}"


def holds(source, numbers):
    """Whether a source made of numbered ones holds these, read at once, backwards and one by one."""
    every = np.arange(len(numbers))
    assert len(source) == len(numbers)
    for indices in (every, every[::-1], np.repeat(every, 2), every[:0], *every[:, None]):
        images, labels = source.read(indices)
        expected = [numbers[i] for i in indices]
        assert labels.dtype == np.int32
        assert labels.tolist() == expected
        assert images == tuple(f"image {n}".encode() for n in expected)
    return True


@given(st.data())
def test_parts_and_joins_hold_what_lists_would(data):
    sizes = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=4).filter(any))
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    numbers = list(range(sum(sizes)))
    source = Joined([numbered(size, start) for size, start in zip(sizes, starts, strict=True)])
    assert holds(source, numbers)
    for _ in range(data.draw(st.integers(0, 2))):
        taken = data.draw(st.lists(st.integers(0, len(numbers) - 1), min_size=1, max_size=9))
        source, numbers = Part(source, np.array(taken)), [numbers[i] for i in taken]
        again = data.draw(st.integers(1, 2))
        source, numbers = Joined([source] * again), numbers * again
    assert holds(source, numbers)
    for i, number in enumerate(numbers):
        start = max(s for s, size in zip(starts, sizes, strict=True) if s <= number and size)
        assert source.where(i) == f"from {start}, image {number - start}"
    source.check()


@given(st.integers(1, 9), st.data())
def test_parts_of_ranges_hold_what_slices_would(n, data):
    start, stop = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    step = data.draw(st.sampled_from([1, 2]))
    assert holds(Part(numbered(n), range(start, stop, step)), list(range(n))[start:stop:step])


@pytest.mark.parametrize("index", [-1, 3])
@pytest.mark.parametrize(
    "source",
    [numbered(3), Part(numbered(5), range(3)), Joined([numbered(1), numbered(2)]), Arrays(pixels(3), np.zeros(3, int))],
)
def test_indices_out_of_range_are_errors(source, index):
    with pytest.raises(IndexError, match=r"of 3 examples"):
        source.read(np.array([0, index]))
    with pytest.raises(IndexError, match=r"of 3 examples"):
        Part(source, np.array([index]))


def test_decoded_sources_are_joined_in_order():
    both = Joined([Arrays(pixels(3), np.arange(3)), Arrays(pixels(2, 1, channels=1), np.arange(2))])
    images, labels = both.read(np.array([4, 0, 3, 0]))
    one, other = pixels(3), np.repeat(pixels(2, 1, channels=1), 3, axis=3)
    assert np.array_equal(images, np.stack([other[1], one[0], other[0], one[0]]))
    assert labels.tolist() == [1, 0, 0, 0]
    assert both.read(np.arange(0)).images.shape == (0, 5, 4, 3)


@pytest.mark.parametrize(
    ("other", "form"),
    [
        (numbered(2), "encoded images"),
        (Arrays(pixels(2)[:, :4], np.zeros(2, int), "small"), "decoded 4x4 images"),
        (Lists([[1]], 3), "encoded images with up to 3 labels"),
    ],
)
def test_what_does_not_fit_is_not_joined(other, form):
    with pytest.raises(UserError, match=rf"cannot join mine, image 0 \(decoded 5x4 images\) and .* \({form}\): bring"):
        Joined([Arrays(pixels(2), np.zeros(2, int), "mine"), other])


def test_labels_are_checked_as_they_are_read():
    source = numbered(5)
    assert holds(Checked(source, 5), list(range(5)))
    for checked in (Checked(source, 4), Part(Checked(Joined([numbered(2), numbered(3, 2)]), 4), range(5))):
        assert checked.read(np.arange(4)).labels.tolist() == [0, 1, 2, 3]
        with pytest.raises(UserError, match=r"^from \d, image \d: label 4 lies outside 0\.\.3: .*numbering"):
            checked.read(np.array([0, 4]))
        with pytest.raises(UserError, match="label 4"):
            checked.check()
    assert Checked(source, 4).where(2) == "from 0, image 2"


def test_unlabelled_examples_are_refused_where_one_label_is_expected():
    with pytest.raises(UserError, match=r"image 1: label -1 lies outside 0\.\.9: .*split without labels"):
        Checked(encoded([b"a", b"b"], [3, -1]), 10).read(np.arange(2))


def test_several_labels_are_checked_but_not_their_padding():
    source = Lists([[1, 2], [], [3]], 2)
    assert Checked(source, 4).read(np.arange(3)).labels.tolist() == [[1, 2], [-1, -1], [3, -1]]
    with pytest.raises(UserError, match=r"list 2: label 3 lies outside 0\.\.2"):
        Checked(source, 3).read(np.arange(3))


# Fingerprints


def test_a_fingerprint_is_the_hash_of_sizes_labels_and_bytes():
    said = b"2 examples\n7 3\nabc0 1\nz"
    assert fingerprint(encoded([b"abc", b"z"], [7, 0])) == hashlib.sha256(said).hexdigest()[:16]
    image = pixels(1)
    said = b"1 examples\n2 (5, 4, 3)\n" + image.tobytes()
    assert fingerprint(Arrays(image, np.array([2]))) == hashlib.sha256(said).hexdigest()[:16]
    said = b"2 examples\n1,2 1\n0 1\n1"
    assert fingerprint(Lists([[1, 2], []], 2)) == hashlib.sha256(said).hexdigest()[:16]


def test_a_fingerprint_does_not_depend_on_the_container():
    base = fingerprint(numbered(100))
    assert fingerprint(Joined([numbered(30), numbered(70, 30)])) == base
    assert fingerprint(Part(Part(numbered(200), range(199, -1, -1)), range(199, 99, -1))) == base
    assert fingerprint(Lists([[1], [2, 0]], 2)) == fingerprint(Lists([[1], [2, 0]], 5))
    grey = pixels(3, channels=1)
    assert fingerprint(Arrays(grey, np.arange(3))) == fingerprint(Arrays(np.repeat(grey, 3, axis=3), np.arange(3)))


def test_a_fingerprint_depends_on_every_byte_label_border_and_on_the_order():
    contents, labels = [b"ab", b"cd", b"ef"], [0, 1, 2]
    others = [
        ([b"ab", b"cd", b"eg"], labels),
        (contents, [0, 1, 3]),
        ([b"abc", b"d", b"ef"], labels),
        ([b"ab", b"ef", b"cd"], labels),
        (contents[:2], labels[:2]),
        (contents + [b""] * 0 + [b"g"], [*labels, 0]),
    ]
    assert len({fingerprint(encoded(*one)) for one in [(contents, labels), *others]}) == 7
    flat = pixels(2)
    assert fingerprint(Arrays(flat, np.arange(2))) != fingerprint(Arrays(flat.reshape(2, 4, 5, 3), np.arange(2)))


def test_of_many_examples_evenly_spaced_ones_are_taken(monkeypatch):
    monkeypatch.setattr(sources, "_ALL_UP_TO", 10)
    monkeypatch.setattr(sources, "_SPACED", 4)
    seen = []

    class Seen(Lists):
        def read(self, indices):
            seen.extend(indices.tolist())
            return super().read(indices)

    fingerprint(Seen([[0]] * 10, 1))
    assert seen == list(range(10))
    seen.clear()
    fingerprint(Seen([[0]] * 11, 1))
    assert seen == [0, 2, 5, 8]
    # Another number of examples shows even where the same ones are taken.
    assert len({fingerprint(Lists([[0]] * n, 1)) for n in (10, 11, 12)}) == 3


def test_the_numbers_of_taken_examples_are_these():
    assert (sources._ALL_UP_TO, sources._SPACED) == (20_000, 4096)


def test_progress_is_told_until_all_is_done():
    told = []
    numbered(130).check(lambda *now: told.append(now))
    assert told == [(64, 130), (128, 130), (130, 130)]
    told.clear()
    fingerprint(numbered(65), lambda *now: told.append(now))
    assert told == [(64, 65), (65, 65)]
