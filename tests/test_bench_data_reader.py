import dataclasses
import gc
import itertools
import json
import random
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import reading
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import jpeg, pixels

from bench.data.decode import Decoder
from bench.data.geometry import Geometry
from bench.data.order import Chunk, Order
from bench.data.reader import batches, draw, in_order
from bench.data.sources.arrays import Arrays, Encoded, read_npz
from bench.data.sources.source import Examples, Source
from bench.errors import UserError

SIDE = 6
PLAIN = Geometry("resize", SIDE)
FLIPPED = Geometry("resize", SIDE, flip=True)
CROPPED = Geometry("inception_crop", 16, flip=True)


def arrays(count, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return Arrays(images, np.arange(count) % 7)


def files(count):
    contents = [jpeg(20 + i % 7, 30 - i % 5, i) for i in range(count)]
    ends = np.cumsum([0, *map(len, contents)])
    return Encoded(np.frombuffer(b"".join(contents), np.uint8), ends, np.arange(count) % 7)


def chunk_of(examples, passes=0):
    examples = np.asarray(examples, np.int64)
    return Chunk(examples, np.full(examples.shape, passes, np.int32))


def test_seeds_are_a_function_of_seed_pass_and_example():
    # Recomputed from the definition in plain integers.
    def mixed(x):
        x = (x + 0x9E3779B97F4A7C15) % 2**64
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    expected = mixed(mixed(mixed(mixed(5) ^ 0xC509) ^ 2) ^ 2**40)
    first, second = draw(5, np.array([2], np.int32), np.array([2**40]))[0].tolist()
    assert (first % 2**64, second % 2**64) == (expected, mixed(expected))


def test_seeds_differ_by_run_pass_and_example():
    examples, passes = np.meshgrid(np.arange(1000), np.arange(20))
    drawn = np.concatenate([draw(seed, passes, examples).reshape(-1, 2) for seed in (0, 1, 2**31 - 1)])
    assert drawn.shape == (60_000, 2)
    assert len(np.unique(drawn[:, 0])) == len(np.unique(drawn[:, 1])) == 60_000


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(0, 2**31 - 1),
    st.lists(st.integers(1, 7), min_size=1, max_size=6),
    st.integers(0, 4),
)
def test_batches_are_what_the_order_says_however_it_is_cut(n, batch_size, seed, steps, ahead):
    source, order = arrays(n), Order(n, batch_size, seed)
    starts = [0, *itertools.accumulate(steps)]
    chunks = (order.chunk(start, count) for start, count in zip(starts, steps, strict=False))
    got = list(batches(source, FLIPPED, seed, chunks, ahead=ahead))
    assert [images.shape for images, _ in got] == [(count, batch_size, SIDE, SIDE, 3) for count in steps]
    assert all((images.dtype, labels.dtype) == (np.uint8, np.int32) for images, labels in got)
    whole = order.chunk(0, sum(steps))
    read = source.read(whole.examples.reshape(-1))
    expected = Decoder(FLIPPED)(read.images, draw(seed, whole.passes, whole.examples).reshape(-1, 2))
    assert np.array_equal(np.concatenate([images for images, _ in got]).reshape(expected.shape), expected)
    assert np.array_equal(np.concatenate([labels for _, labels in got]).reshape(-1), read.labels)


def test_passes_see_an_example_differently():
    source = arrays(200)
    one, two, again = (batches(source, FLIPPED, 3, [chunk_of([range(200)], p)]) for p in (0, 1, 0))
    first, other = next(one)[0], next(two)[0]
    changed = (first != other).any(axis=(2, 3, 4)).sum()
    assert 60 < changed < 140
    assert np.array_equal(first, next(again)[0])


def test_several_right_labels_come_through():
    class Several(Arrays):
        def read(self, indices):
            images, labels = super().read(indices)
            return Examples(images, np.stack([labels, labels + 1, labels * 0 - 1], axis=-1))

    source = Several(np.zeros((10, SIDE, SIDE, 3), np.uint8), np.arange(10))
    (images, labels), *rest = batches(source, PLAIN, 0, [chunk_of([[1, 2], [3, 4], [5, 9]])])
    assert not rest
    assert (images.shape, labels.shape, labels.dtype) == ((3, 2, SIDE, SIDE, 3), (3, 2, 3), np.int32)
    assert labels[2].tolist() == [[5, 6, -1], [9, 10, -1]]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 3))
def test_in_order_is_everything_once(n, batch_size, ahead):
    source = arrays(n)
    got = list(in_order(source, PLAIN, batch_size, ahead=ahead))
    assert [len(images) for images, _ in got] == [min(batch_size, n - start) for start in range(0, n, batch_size)]
    if n:
        everything = source.read(np.arange(n))
        assert np.array_equal(np.concatenate([images for images, _ in got]), everything.images)
        assert np.array_equal(np.concatenate([labels for _, labels in got]), everything.labels)


def test_in_order_refuses_what_needs_seeds():
    with pytest.raises(ValueError, match="is random"):
        in_order(arrays(3), FLIPPED, 2)


def test_pieces_do_not_show(monkeypatch):
    source, geometry = files(40), CROPPED
    order = Order(40, 16, 1)
    (images, labels), *_ = batches(source, geometry, 1, [order.chunk(0, 4)])
    monkeypatch.setattr("bench.data.reader._PIECE", 1)
    (again, same), *_ = batches(source, geometry, 1, [order.chunk(0, 4)], threads=1)
    assert np.array_equal(images, again)
    assert np.array_equal(labels, same)
    assert not np.array_equal(images[:, :8], images[:, 8:])


def test_files_are_cropped_with_their_own_seeds():
    source, order = files(30), Order(30, 10, 4)
    chunk = order.chunk(5, 3)
    (images, _), *_ = batches(source, CROPPED, 4, [chunk])
    for step, place in ((0, 0), (1, 7), (2, 9)):
        example, passes = chunk.examples[step, place : place + 1], chunk.passes[step, place : place + 1]
        alone = Decoder(CROPPED)(source.read(example).images, draw(4, passes, example))
        assert np.array_equal(images[step, place], alone[0])


@pytest.mark.parametrize(
    ("start", "place"), [(b"\xff\xd8\xff broken", "a JPEG file of 10 bytes, damaged or cut short"), (b"GIF89a", "GIF")]
)
def test_a_broken_image_is_named_by_its_place(start, place):
    contents = [jpeg(20, 20, i) for i in range(20)]
    contents[13] = start
    ends = np.cumsum([0, *map(len, contents)])
    source = Encoded(np.frombuffer(b"".join(contents), np.uint8), ends, np.zeros(20, np.int32), "flowers.npz, split 'train'")
    with pytest.raises(UserError) as caught:
        list(batches(source, CROPPED, 0, [chunk_of([[3, 4, 13], [7, 8, 9]])]))
    said = str(caught.value)
    assert said.startswith("flowers.npz, split 'train', image 13: ")
    assert said.endswith("; fetch it again, or convert it to JPEG or PNG")
    assert place in said
    assert "\n" not in said
    assert not workers()


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader")]


class Watched(Source):
    """Counts what was read; from example `wrong` on it fails."""

    def __init__(self, wrong=10**9):
        self.read_so_far, self.wrong = 0, wrong

    def __len__(self):
        return 10**6

    def read(self, indices):
        if indices.max() >= self.wrong:
            raise UserError(f"example {self.wrong} is gone")
        self.read_so_far += len(indices)
        return Examples(np.zeros((len(indices), SIDE, SIDE, 3), np.uint8), indices.astype(np.int32))

    def where(self, index):
        return f"example {index}"


def endless():
    return (chunk_of([[i]]) for i in itertools.count())


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_no_more_is_read_ahead_than_asked_for(ahead):
    source = Watched()
    stream = batches(source, PLAIN, 0, endless(), ahead=ahead)
    assert not workers()
    for taken in range(1, 20):
        next(stream)
        until = time.perf_counter() + 5
        while source.read_so_far < taken + ahead and time.perf_counter() < until:
            time.sleep(0.001)
        time.sleep(0.005)
        assert source.read_so_far == taken + ahead
    stream.close()
    assert not workers()


def test_threads_end_with_the_stream_and_with_its_consumer():
    assert len(list(batches(Watched(), PLAIN, 0, itertools.islice(endless(), 5)))) == 5
    assert not workers()
    for _ in batches(Watched(), PLAIN, 0, endless()):
        break
    gc.collect()
    assert not workers()
    stream = batches(Watched(), PLAIN, 0, endless())
    with pytest.raises(ZeroDivisionError):
        consume(stream)
    stream.close()
    assert not workers()


def consume(stream):
    for _ in stream:
        assert workers()
        raise ZeroDivisionError


def test_an_error_comes_up_where_its_chunk_was_due():
    stream = batches(Watched(wrong=5), PLAIN, 0, endless())
    assert [int(labels[0, 0]) for _, labels in itertools.islice(stream, 5)] == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="example 5 is gone"):
        next(stream)
    assert not workers()
    assert list(stream) == []


def test_an_error_of_the_order_comes_up_too():
    def chunks():
        yield chunk_of([[1]])
        raise KeyError("order")

    stream = batches(Watched(), PLAIN, 0, chunks(), ahead=0)
    next(stream)
    with pytest.raises(KeyError):
        next(stream)
    assert not workers()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def grown(source, geometry, steps, chunk=25, batch=8):
    """Bytes by which the process's peak memory grows after the first tenth of the steps."""
    order = Order(len(source), batch, 0)
    starts = range(0, steps, chunk)
    for start, (images, _) in zip(starts, batches(source, geometry, 0, (order.chunk(s, chunk) for s in starts)), strict=True):
        assert images.shape[:2] == (chunk, batch)
        if start <= steps // 10:
            early = peak()
    return peak() - early


def test_memory_is_flat_over_ten_thousand_steps():
    # Kept, the images alone would take 250 MB.
    images = np.stack([pixels(32, 32, i) for i in range(64)])
    assert grown(Arrays(images, np.zeros(64, np.int32)), Geometry("resize", 32, flip=True), 10_000) < 8 * 2**20


@pytest.mark.slow
def test_memory_is_flat_over_ten_thousand_steps_of_files():
    assert grown(files(64), Geometry("inception_crop", 32, flip=True), 10_000) < 16 * 2**20


# Up to which step how many hosts run.
PHASES = ((80, 1), (160, 2), (240, 1))
STEPS = 240


def logged(path):
    """Rows of every step by host, in the order they were written; a line that was interrupted is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    for line in lines:
        if line.endswith("\n"):
            step, host, *rows = line.split()
            yield int(step), int(host), rows


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def run(command, logs, begin, end, kills, rng):
    """Runs a process for each log up to step `end`, kills all of them `kills` times at random moments and starts them again.

    Returns:
      how many were killed before they were done.
    """
    killed = 0
    while True:
        # What all have logged is done.
        start = min(max((step + 1 for step, _, _ in logged(log)), default=begin) for log in logs)
        if start == end:
            return killed
        hosts = [[log, 11, start, end, host, len(logs), rng.randint(1, 9)] for host, log in enumerate(logs)]
        running = [subprocess.Popen([*command, *map(str, host)]) for host in hosts]
        if kills:
            kills -= 1
            wanted = lines(logs[0]) + rng.randint(1, (end - start) // 2)
            while running[0].poll() is None and lines(logs[0]) < wanted:
                time.sleep(0.001)
            time.sleep(rng.random() * 0.02)
            killed += sum(process.poll() is None for process in running)
            for process in running:
                process.kill()
            for process in running:
                process.wait()
        else:
            assert [process.wait(timeout=300) for process in running] == [0] * len(logs)


def disturbed(folder, source, geometry, kills):
    """Streams on 1, 2 and again 1 host with kills in between, and compares every row with an undisturbed run on one host."""
    (folder / "geometry.json").write_text(json.dumps(dataclasses.asdict(geometry)))
    command = [sys.executable, reading.__file__, str(source), str(folder / "geometry.json")]
    rng, killed, seen = random.Random(3), 0, {}
    for begin, (end, hosts), times in zip((0, 80, 160), PHASES, kills, strict=True):
        logs = [folder / f"{end}-{host}.log" for host in range(hosts)]
        killed += run(command, logs, begin, end, times, rng)
        for step, host, rows in itertools.chain.from_iterable(map(logged, logs)):
            # Seen again after a kill, it is the same again.
            assert seen.setdefault((step, host), rows) == rows
    hosts = {step: [host for at, host in sorted(seen) if at == step] for step in range(STEPS)}
    assert all(hosts[step] == ([0, 1] if 80 <= step < 160 else [0]) for step in range(STEPS))
    merged = [[row for host in hosts[step] for row in seen[step, host]] for step in range(STEPS)]
    undisturbed = list(reading.stream(read_npz(source, "train"), geometry, 11, 0, STEPS))
    assert [step for step, _ in undisturbed] == list(range(STEPS))
    assert merged == [rows for _, rows in undisturbed]
    assert len({row for rows in merged for row in rows}) > STEPS
    return killed


def test_kills_and_another_number_of_hosts_change_nothing(tmp_path):
    images = np.stack([pixels(16, 16, i) for i in range(300)])
    np.savez(tmp_path / "set.npz", train_x=images, train_y=np.arange(300, dtype=np.int32))
    geometry = Geometry("resize", 16, flip=True)
    assert disturbed(tmp_path, tmp_path / "set.npz", geometry, (1, 1, 0)) >= 2


@pytest.mark.slow
def test_kills_and_another_number_of_hosts_change_nothing_of_cropped_files(tmp_path):
    contents = [jpeg(40 + i % 9, 50 - i % 7, i) for i in range(300)]
    ends = np.cumsum([0, *map(len, contents)])
    data = np.frombuffer(b"".join(contents), np.uint8)
    np.savez(tmp_path / "set.npz", train_jpg=data, train_off=ends, train_y=np.arange(300, dtype=np.int32))
    # Five times, on two hosts twice; a kill takes all hosts.
    assert disturbed(tmp_path, tmp_path / "set.npz", CROPPED, (2, 2, 1)) >= 5
