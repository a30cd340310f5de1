"""Streams the images of a source as squares, in the order of a run, read and decoded ahead of where they are needed.

What an example looks like is a pure function of (seed, pass, example): no batch, host, number of threads or restart changes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.decode import Decoder, Undecodable
from bench.data.geometry import Geometry
from bench.data.order import Chunk, mix
from bench.data.sources.source import Source
from bench.errors import UserError

# Sets the crops' stream apart from that of the order, which has the same seed.
_CROP = np.uint64(0xC509)
# Bytes of squares that one call decodes, 111 images of 224 px: so many that the call costs little beside the decoding, so few
# that memory holds little beside the chunks.
_PIECE = 2**24
# Images a thread decodes in a call, at least, so that the threads do not wait for each other at its end.
_PER_THREAD = 4
# One piece is read while the other is decoded.
_WORKERS = 2


class _Job(NamedTuple):
    """What makes one item: examples of any shape, their seeds with a last axis of 2, None for a geometry that is not random."""

    examples: NDArray[np.integer]
    seeds: NDArray[np.int64] | None


class _Begun(NamedTuple):
    """An item under way: its pixels, filled in by pieces, each of which gives its labels."""

    images: NDArray[np.uint8]
    pieces: list[Future[NDArray[np.int32]]]


# Compiling one takes a tenth of a second, which every evaluation would take again.
_decoder = cache(Decoder)


def draw(seed: int, passes: NDArray[np.integer], examples: NDArray[np.integer]) -> NDArray[np.int64]:
    """Returns the seeds `int64[..., 2]` of the crops of `examples`, of which `passes` says how often they were seen before."""
    run = mix(mix(np.full(1, seed, np.uint64)) ^ _CROP)
    first = mix(mix(run ^ passes.astype(np.uint64)) ^ examples.astype(np.uint64))
    return np.stack([first, mix(first)], axis=-1).view(np.int64)


def batches(
    source: Source, geometry: Geometry, seed: int, chunks: Iterable[Chunk], *, threads: int | None = None, ahead: int = 2
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Yields the images `uint8[K, B, R, R, 3]` and labels `int32[K, B]` (`int32[K, B, L]` of several right ones) of each chunk.

    Args:
      source: of the images.
      geometry: what becomes of them.
      seed: of the run.
      chunks: what steps see, K steps of B examples each.
      threads: number of decoding threads; None for as many as there are cores.
      ahead: number of chunks that are read and decoded while the consumer is busy with an earlier one, and so, beside that one,
        the number that memory holds.

    Raises:
      UserError: an image is missing, broken or of another format; says where it lies.
    """
    jobs = (_Job(c.examples, draw(seed, c.passes, c.examples) if geometry.random else None) for c in chunks)
    return _stream(source, _decoder(geometry, threads), jobs, ahead)


def in_order(
    source: Source, geometry: Geometry, batch_size: int, *, threads: int | None = None, ahead: int = 2
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Yields all images once, in their order, `uint8[<=B, R, R, 3]`, and their labels; only the last batch may be smaller.

    Args:
      source: of the images.
      geometry: what becomes of them; not a random one.
      batch_size: B.
      threads: as of `batches`.
      ahead: as of `batches`.

    Raises:
      ValueError: the geometry is random.
      UserError: as of `batches`.
    """
    if geometry.random:
        raise ValueError(f"the geometry {geometry} is random, and what is read in order has no seeds")
    starts = range(0, len(source), batch_size)
    jobs = (_Job(np.arange(start, min(start + batch_size, len(source))), None) for start in starts)
    return _stream(source, _decoder(geometry, threads), jobs, ahead)


def _stream(
    source: Source, decoder: Decoder, jobs: Iterable[_Job], ahead: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    side = decoder.geometry.resolution
    size = max(_PIECE // (side * side * 3), _PER_THREAD * decoder.threads)
    begun: deque[_Begun] = deque()
    pool = ThreadPoolExecutor(_WORKERS, "reader")

    def fill(out: NDArray[np.uint8], examples: NDArray[np.integer], seeds: NDArray[np.int64] | None) -> NDArray[np.int32]:
        images, labels = source.read(examples)
        try:
            out[:] = decoder(images, seeds)
        except Undecodable as bad:
            place = source.where(int(examples[bad.index]))
            raise UserError(f"{place}: {bad.reason}; fetch it again, or convert it to JPEG or PNG") from None
        return labels

    def begin(job: _Job) -> _Begun:
        examples = job.examples.reshape(-1)
        seeds = None if job.seeds is None else job.seeds.reshape(-1, 2)
        images = np.empty((len(examples), side, side, 3), np.uint8)
        parts = [slice(start, start + size) for start in range(0, len(examples), size)]
        pieces = [pool.submit(fill, images[p], examples[p], None if seeds is None else seeds[p]) for p in parts]
        return _Begun(images.reshape(*job.examples.shape, side, side, 3), pieces)

    def finish(item: _Begun) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        labels = np.concatenate([piece.result() for piece in item.pieces])
        return item.images, labels.reshape(*item.images.shape[:-3], *labels.shape[1:])

    try:
        for job in jobs:
            begun.append(begin(job))
            if len(begun) > ahead:
                yield finish(begun.popleft())
        while begun:
            yield finish(begun.popleft())
    finally:
        pool.shutdown(cancel_futures=True)
