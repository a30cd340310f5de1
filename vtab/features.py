"""Features of a task's images by a checkpoint, extracted once and kept.

What is kept lies under a key that holds all it depends on: the weights themselves, the task's facts and images, the resolution,
the code. A file under another key is never read, so nothing can be out of date.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

import bench
from bench import weights
from bench.data.arrays import InMemory
from bench.data.order import permute
from bench.data.sources.source import Part
from bench.data.split import Dataset, Split
from bench.data.stream import Streamed
from bench.points import Execution, Probe, Upstream
from bench.points.files import PURPOSES
from bench.points.probe import TRAIN_IMAGES
from bench.records import atomic
from bench.train import together
from bench.train.features import Extracted, batches, extract
from bench.train.fit import Preempted, Watch
from bench.train.program import programs
from bench.train.static import Static
from bench.weights.heads import Head, take_apart

log = logging.getLogger(__name__)
_PARTS = ("x", "y")
_KEY = "key"


@dataclass(frozen=True)
class Found:
    """What was found of a checkpoint and a task.

    Attributes:
      splits: features and labels of train (of `TRAIN_IMAGES` images at most), val and test.
      head: the checkpoint's own, None where its file has none.
      images: that went through the model, or had gone when the features were kept.
      seconds: that the extraction took, compilation excluded; 0 where the features were kept.
      compiling: seconds of compilation.
    """

    splits: dict[str, Extracted]
    head: Head | None
    images: int
    seconds: float
    compiling: float

    @property
    def broken(self) -> int:
        """Returns the number of images with a feature that is not finite."""
        return sum(int((~np.isfinite(each.features)).any(1).sum()) for each in self.splits.values())


def look(
    config: Probe, data: Dataset, source: Path, watch: Watch, execution: Execution = Execution(), cache: Path | None = None
) -> Found:
    """Returns the features of a checkpoint on a task, from `cache` where they are there.

    Args:
      config: of the probe.
      data: the task's splits.
      source: the checkpoint's weights.
      watch: told the batches done and of how many; asked before each whether to stop.
      execution: how the program is compiled and placed.
      cache: folder where features are kept; None to keep none.

    Raises:
      UserError: the weights are missing or of another architecture.
      bench.train.fit.Preempted: `watch.stop` said so.
    """
    flat = weights.read(source)
    tree, head = take_apart(flat, str(source), config.upstream.model, config.resolution)
    key = _key(config, data, weights.identity(flat))
    path = cache and cache / f"{config.task}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    kept = _read(path, key) if path else None
    if together.everyone(kept is not None):
        assert kept is not None
        return Found(kept, head, sum(len(each.labels) for each in kept.values()), 0.0, 0.0)
    made = programs(Static.of(config, execution))
    started = time.perf_counter()
    _ = made.features
    compiled = time.perf_counter()
    splits = [some(data.train, TRAIN_IMAGES), data.val, data.test]
    of = batches(splits, made.static.eval_batch)

    def between(done: int) -> None:
        leave_if_asked(watch)
        watch.progress(done, of)

    placed = jax.device_put(tree, made.placement.tree(tree))
    found = dict(zip(PURPOSES, extract(made, placed, splits, between), strict=True))
    seconds = time.perf_counter() - compiled
    watch.progress(of, of)
    if path and together.first():
        _write(path, key, found)
    return Found(found, head, sum(map(len, splits)), seconds, compiled - started)


def leave_if_asked(watch: Watch) -> None:
    """Raises `Preempted` where a process of the probe was asked to stop."""
    if not together.everyone(not watch.stop()):
        raise Preempted


def some(split: Split, limit: int) -> Split:
    """Returns a split, or `limit` of its examples, the same ones always, in their order and seen as in evaluation."""
    if len(split) <= limit:
        return split
    places = np.arange(limit)
    chosen = np.sort(permute(places, len(split), 0, np.zeros_like(places)))
    if isinstance(split, Streamed):
        return Streamed(Part(split.source, chosen), split.evaluation, split.evaluation)
    assert isinstance(split, InMemory), f"a split is read or in memory, not {type(split).__name__}"
    return InMemory(split.images[chosen], split.labels[chosen])


def loss_of(config: Probe) -> Literal["sigmoid", "softmax"]:
    """Returns how the checkpoint's own head was trained; with a softmax where nobody says."""
    run = config.upstream if isinstance(config.upstream, Upstream) else config.upstream.run
    return "sigmoid" if run and run.loss == "sigmoid" else "softmax"


def _key(config: Probe, data: Dataset, identity: str) -> str:
    """Returns all that the features depend on, as JSON."""
    return json.dumps(
        {
            "code": bench.__version__,
            "checkpoint": config.upstream.digest,
            "weights": identity,
            "task": asdict(config.facts),
            "images": data.facts()["fingerprint"],
            "resolution": config.resolution,
            "train_images": TRAIN_IMAGES,
        },
        sort_keys=True,
    )


def _write(path: Path, key: str, found: dict[str, Extracted]) -> None:
    """Keeps features; a disk that does not take them costs an extraction another time and nothing else."""
    arrays: dict[str, Any] = {
        f"{purpose}_{part}": a for purpose, each in found.items() for part, a in zip(_PARTS, each, strict=True)
    }
    try:
        atomic.write(path, lambda file: np.savez(file, allow_pickle=False, **{_KEY: np.asarray(key)}, **arrays), durable=False)
    except OSError as error:
        log.warning("features are not kept: %s cannot be written (%s)", path, error.strerror or error)


def _read(path: Path, key: str) -> dict[str, Extracted] | None:
    """Returns kept features, None where there are none under this key or the file is damaged."""
    try:
        # Opened here, because NumPy leaves a damaged file open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file[_KEY]) != key:
                return None
            return {purpose: Extracted(*(file[f"{purpose}_{part}"] for part in _PARTS)) for purpose in PURPOSES}
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy, zipfile and zlib each have their own
        log.warning("features are extracted anew: %s is damaged (%s)", path, error)
        return None
