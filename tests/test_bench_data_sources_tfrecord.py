"""TFRecord files by record number: checksums, the index and its cache, files elsewhere, damage."""

import os
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from hypothesis import given
from hypothesis import strategies as st

from bench.data.sources import crc32c, index, store
from bench.data.sources.tfrecord import TFRecords
from bench.errors import UserError

TABLE = list(range(256))
for _ in range(8):
    TABLE = [(value >> 1) ^ (0x82F63B78 if value & 1 else 0) for value in TABLE]


def crc(message):
    """CRC-32C byte by byte, the textbook's way."""
    register = 0xFFFFFFFF
    for byte in message:
        register = (register >> 8) ^ TABLE[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF


def masked(message):
    value = crc(message)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def tfrecord(contents):
    """Returns a TFRecord file as the format's description has it."""
    heads = [struct.pack("<Q", len(content)) for content in contents]
    return b"".join(
        head + struct.pack("<I", masked(head)) + content + struct.pack("<I", masked(content))
        for head, content in zip(heads, contents, strict=True)
    )


def random_contents(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.bytes(size) for size in sizes]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "index"


@pytest.fixture
def shards(tmp_path):
    """Three files, their contents, and their paths."""
    contents = [random_contents(sizes, seed) for seed, sizes in enumerate([[10, 0, 5000], [3], [70, 9000, 20, 1]])]
    paths = [str(tmp_path / f"x.tfrecord-{i}-of-3") for i in range(3)]
    for path, held in zip(paths, contents, strict=True):
        Path(path).write_bytes(tfrecord(held))
    return paths, contents


def everything(records):
    return [records.read(np.full(count, file), np.arange(count), verify=True) for file, count in enumerate(records.counts)]


# Checksums


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720, appendix B.4.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksums_are_the_published_ones(message, value):
    assert crc(message) == value
    assert crc32c.checksums([message]).tolist() == [value]


@given(st.lists(st.integers(0, 700), max_size=8), st.integers(0, 2**32 - 1))
def test_checksums_of_many_messages_are_those_of_each(sizes, seed):
    messages = random_contents(sizes, seed)
    found = crc32c.checksums(messages)
    assert found.dtype == np.uint32
    assert found.tolist() == [crc(message) for message in messages]
    assert crc32c.masked(found).tolist() == [masked(message) for message in messages]


def test_the_checksum_of_a_long_message():
    [message] = random_contents([300_001])
    assert crc32c.checksums([message, message[:7]]).tolist() == [crc(message), crc(message[:7])]


@given(st.integers(0, 20), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_checksums_of_rows_are_those_of_each(rows, width, seed):
    messages = np.random.default_rng(seed).integers(0, 256, (rows, width), dtype=np.uint8)
    assert crc32c.of_rows(messages).tolist() == [crc(message.tobytes()) for message in messages]


# Reading


def test_records_come_by_file_and_number(shards):
    paths, contents = shards
    records = TFRecords(paths)
    assert records.counts == [3, 1, 4]
    assert everything(records) == contents
    assert records.read(np.array([2, 0, 2]), np.array([1, 2, 1])) == [contents[2][1], contents[0][2], contents[2][1]]
    assert records.read(np.arange(0), np.arange(0)) == []
    assert records.where(2, 3) == f"{paths[2]}, record 3"


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.sampled_from([12, 50, 4096]))
def test_the_walk_finds_every_record_whatever_it_reads_at_once(tmp_path_factory, sizes, block):
    path = tmp_path_factory.mktemp("walk") / "x.tfrecord"
    path.write_bytes(tfrecord(random_contents(sizes)))
    place = store.Local()
    place.block = block
    found = index.walk(place, str(path), path.stat().st_size)
    assert found.tolist() == [0, *np.cumsum([size + 16 for size in sizes]).tolist()]
    assert found.dtype == np.int64


def test_threads_read_what_one_reads(tmp_path):
    contents = random_contents(np.random.default_rng(0).integers(0, 3000, 300))
    (tmp_path / "x").write_bytes(tfrecord(contents))
    records, start = TFRecords([str(tmp_path / "x")]), threading.Barrier(8)

    def shuffled(seed):
        order = np.random.default_rng(seed).permutation(300)
        start.wait()
        found = records.read(np.zeros(300, np.int64), order)
        return [found[i] for i in np.argsort(order)]

    with ThreadPoolExecutor(8) as pool:
        assert all(found == contents for found in pool.map(shuffled, range(8)))


def test_more_files_than_may_be_open_at_once(tmp_path):
    resource = pytest.importorskip("resource")
    if not Path("/proc/self/fd").exists():
        pytest.skip("how many files are open is not told here")
    paths = [str(tmp_path / f"{i}") for i in range(300)]
    for i, path in enumerate(paths):
        Path(path).write_bytes(tfrecord([b"%d" % i]))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 50, limits[1]))
    try:
        found = TFRecords(paths).read(np.arange(300), np.zeros(300, np.int64))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == [b"%d" % i for i in range(300)]


# The cache


class Counting(store.Local):
    def __init__(self):
        self.walked = []

    def read(self, ranges):
        self.walked += [r.path for r in ranges]
        return super().read(ranges)


def walked(paths):
    """Returns the files that opening walks, and what it finds."""
    place = Counting()
    found = index.offsets(place, paths)
    return sorted(set(place.walked)), [o.tolist() for o in found]


def test_files_are_walked_once(shards, cache):
    paths, _ = shards
    first, found = walked(paths)
    assert first == paths
    assert walked(paths) == ([], found)
    assert len(list(cache.iterdir())) == 3


def test_a_changed_file_is_walked_again(shards, cache):
    paths, contents = shards
    walked(paths)
    contents[1] = [b"another", b"two"]
    Path(paths[1]).write_bytes(tfrecord(contents[1]))
    assert everything(TFRecords(paths)) == contents
    assert walked(paths)[0] == []
    assert len(list(cache.iterdir())) == 3


def test_a_file_of_the_same_size_and_another_time_is_walked_again(shards):
    paths, _ = shards
    walked(paths)
    os.utime(paths[2], ns=(0, 12345))
    assert walked(paths)[0] == [paths[2]]


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "flipped", "other type", "two dimensions", "short", "pickle"])
def test_a_damaged_index_is_made_again(shards, cache, damage):
    paths, _ = shards
    _, found = walked(paths[:1])
    [kept] = cache.iterdir()
    whole, sound = kept.read_bytes(), np.load(kept)
    if damage in ("cut", "empty", "noise"):
        kept.write_bytes({"cut": whole[:-3], "empty": b"", "noise": b"noise" * 40}[damage])
    elif damage == "flipped":
        sound[5] += 1  # the offsets still ascend
        np.save(kept, sound)
    else:
        other = {
            "other type": sound.astype(float),
            "two dimensions": sound[None],
            "short": sound[:4],
            "pickle": sound.astype(object),
        }
        np.save(kept, other[damage])
    assert walked(paths[:1]) == (paths[:1], found)
    assert kept.read_bytes() == whole


def test_an_index_that_another_file_left_is_not_trusted(shards, cache):
    """Even where the checksum agrees, the offsets must be those of a file of this size."""
    paths, contents = shards
    TFRecords(paths)
    size = sum(len(c) + 16 for c in contents[1])
    version = store.Local().version(paths[1])
    [kept] = [k for k in cache.iterdir() if len(np.load(k)) == 6]
    for wrong in ([0, size - 1, size], [1, size], [0, size + 1], [0, size, size]):
        offsets = np.array(wrong, np.int64)
        np.save(kept, np.array([*index._head(version, offsets), *offsets]))
        assert everything(TFRecords(paths)) == contents


def test_a_cache_that_cannot_be_written(shards, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUGREG_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"^cannot write .*: Not a directory; AUGREG_CACHE sets the cache"):
        TFRecords(shards[0])


def test_progress_counts_files(shards):
    told = []
    TFRecords(shards[0], lambda *now: told.append(now))
    assert told == [(1, 3), (2, 3), (3, 3)]


# Damage


def refused(path, said, call=None):
    with pytest.raises(UserError, match=said) as caught:
        (call or (lambda: TFRecords([str(path)])))()
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


CONTENTS = random_contents([100, 200, 300])
STARTS = [0, 116, 332, 648]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ": the file is empty"),
        (b"\x1f\x8b" + bytes(100), r", record 0 at byte 0: not a TFRecord file, or a compressed one"),
        (b"hello", r", record 0: the file ends within it at byte 5"),
        (tfrecord(CONTENTS)[:-1], r", record 2: the file ends within it at byte 647"),
        (tfrecord(CONTENTS)[:340], r", record 2: the file ends within it at byte 340"),
        (tfrecord(CONTENTS)[:120], r", record 1: the file ends within it at byte 120"),
        (tfrecord(CONTENTS) + b"x", r", record 3: the file ends within it at byte 649"),
        (tfrecord(CONTENTS)[:116] + b"\xff" * 20 + tfrecord(CONTENTS)[136:], r", record 1 at byte 116: the file is damaged"),
        (tfrecord(CONTENTS)[:332] + b"\x2d" + tfrecord(CONTENTS)[333:], r", record 2 at byte 332: the file is damaged"),
        (tfrecord(CONTENTS)[:124] + b"\x00" + tfrecord(CONTENTS)[125:], r", record 1 at byte 116: the file is damaged"),
        # The walk is led into the middle of the next record, whose bytes are no length.
        (tfrecord(CONTENTS)[:116] + b"\xc9" + tfrecord(CONTENTS)[117:], r", record 1 at byte 116: the file is damaged"),
    ],
)
def test_damaged_files_are_refused_when_they_are_opened(tmp_path, content, said, cache):
    assert np.cumsum([0, *(len(c) + 16 for c in CONTENTS)]).tolist() == STARTS
    (tmp_path / "x").write_bytes(content)
    refused(tmp_path / "x", said)
    assert not cache.exists()


def test_missing_and_unreadable_files(tmp_path):
    refused(tmp_path / "x", "cannot be read: No such file or directory")
    refused(tmp_path, "cannot be read: Is a directory")


def test_damage_within_a_record_is_found_by_its_checksum(tmp_path):
    content = bytearray(tfrecord(CONTENTS))
    content[STARTS[1] + 50] ^= 4
    path = tmp_path / "x"
    path.write_bytes(content)
    records = TFRecords([str(path)])
    at = np.zeros(3, np.int64), np.array([2, 0, 1])
    assert records.read(*at)[:2] == [CONTENTS[2], CONTENTS[0]]
    refused(path, ", record 1: does not agree with its checksum", lambda: records.read(*at, verify=True))
    assert records.read(at[0][:2], at[1][:2], verify=True) == [CONTENTS[2], CONTENTS[0]]


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(tfrecord(CONTENTS))
    records = TFRecords([str(path)])
    for content in (tfrecord(CONTENTS)[:400], tfrecord(random_contents([150, 250, 200]))):
        path.write_bytes(content)
        refused(path, ", record 2: the file was changed since", lambda: records.read(np.zeros(1, np.int64), np.array([2])))
    path.unlink()
    refused(path, "cannot be read: No such file", lambda: records.read(np.zeros(1, np.int64), np.array([2])))


# Elsewhere


class Bucket(MemoryFileSystem):
    store, pseudo_dirs, protocol = {}, [""], ("gs", "gcs")
    error = None

    def cat_file(self, path, start=None, end=None, **_):
        if self.error:
            raise self.error
        return super().cat_file(path, start, end)


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setitem(_registry, "gs", Bucket)
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "error", None)
    return Bucket()


def test_files_in_a_bucket_are_read_by_range(bucket, cache):
    contents = [random_contents([10, 5000, 0]), random_contents([7])]
    paths = [f"gs://sets/x.tfrecord-{i}-of-2" for i in range(2)]
    for path, held in zip(paths, contents, strict=True):
        bucket.pipe_file(path, tfrecord(held))
    records = TFRecords(paths)
    assert records.counts == [3, 1]
    assert everything(records) == contents
    assert records.where(0, 1) == "gs://sets/x.tfrecord-0-of-2, record 1"
    assert len(list(cache.iterdir())) == 2


def test_another_version_in_a_bucket_is_walked_again(bucket):
    path = "gs://sets/x"
    bucket.pipe_file(path, tfrecord([b"ab", b"c"]))
    assert everything(TFRecords([path])) == [[b"ab", b"c"]]
    bucket.pipe_file(path, tfrecord([b"a", b"bc"]))
    assert everything(TFRecords([path])) == [[b"a", b"bc"]]


@pytest.mark.usefixtures("bucket")
def test_missing_in_a_bucket():
    refused("gs://sets/x", "no such file or bucket there, or not for these credentials", lambda: TFRecords(["gs://sets/x"]))


def test_a_bucket_that_refuses(bucket, monkeypatch):
    bucket.pipe_file("gs://sets/x", tfrecord([b"ab"]))
    records = TFRecords(["gs://sets/x"])
    monkeypatch.setattr(Bucket, "error", OSError("Forbidden: https://storage.googleapis.com/...\nAnonymous caller"))
    at = np.zeros(1, np.int64)
    said = "cannot be read: Forbidden: .* Anonymous caller; check the address and your credentials"
    refused("gs://sets/x", said, lambda: records.read(at, at))
    monkeypatch.setattr(Bucket, "error", FileNotFoundError("x"))
    refused("gs://sets/x", "no such file or bucket", lambda: records.read(at, at))


@pytest.mark.parametrize("missing", ["gcsfs", "fsspec"])
def test_a_missing_package_names_the_extra(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(_registry, "gs", raising=False)
    refused("gs://sets/x", r"needs more packages: pip install 'augreg-bench\[remote\]'", lambda: TFRecords(["gs://sets/x"]))


def test_an_unknown_kind_of_address():
    refused("ftpx://sets/x", "cannot be read: Protocol not known", lambda: TFRecords(["ftpx://sets/x"]))
