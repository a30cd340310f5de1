"""Streams one host's share of a training set's batches and appends what it saw to a log; to be killed at any moment.

`python reading.py SOURCE.npz GEOMETRY.json LOG SEED FROM TO HOST HOSTS CHUNK`. A line of the log is a step, the host and the
SHA-256 of image and label of every row of the host's share; a line without its end was interrupted and counts for nothing.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

from bench.data import reader
from bench.data.geometry import Geometry
from bench.data.order import Order
from bench.data.sources.arrays import read_npz

BATCH = 8
# Seconds a step takes elsewhere; so that a kill finds some chunks done, some begun.
STEP = 0.002


def order(source, seed):
    return Order(len(source), BATCH, seed)


def rows(images, labels):
    return [hashlib.sha256(image.tobytes() + label.tobytes()).hexdigest() for image, label in zip(images, labels, strict=True)]


def stream(source, geometry, seed, start, stop, host=0, hosts=1, chunk=5):
    """Yields (step, rows) from step `start` up to `stop`."""
    drawn = order(source, seed)
    starts = range(start, stop, chunk)
    chunks = (drawn.chunk(at, min(chunk, stop - at), host=host, hosts=hosts) for at in starts)
    for at, (images, labels) in zip(starts, reader.batches(source, geometry, seed, chunks), strict=True):
        for step in range(len(images)):
            yield at + step, rows(images[step], labels[step])


if __name__ == "__main__":
    path, geometry, log, *numbers = sys.argv[1:]
    seed, start, stop, host, hosts, chunk = map(int, numbers)
    made = Geometry(**json.loads(Path(geometry).read_text()))
    with Path(log).open("a") as out:
        for step, seen in stream(read_npz(path, "train"), made, seed, start, stop, host, hosts, chunk):
            time.sleep(STEP)
            out.write(f"{step} {host} {' '.join(seen)}\n")
            out.flush()
