"""Times a few real training steps of programs, and asks the compiler what it counts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from bench.train.program import COMPILED, Batches, Programs, State
from bench.train.static import Static


class Timed(NamedTuple):
    """What was found of one program.

    Attributes:
      steps: seconds of a training step, one value a round.
      compiling: seconds to compile initialisation, training and evaluation.
      flops: of one step as XLA counts them in the compiled program; its loop over steps counts once.
    """

    steps: tuple[float, ...]
    compiling: float
    flops: float


class _Probe:
    """One program, its state and one chunk of random images."""

    def __init__(self, static: Static) -> None:
        before = len(COMPILED)
        self._programs = Programs(static)
        made: State = self._programs.start(self._programs.init(np.uint32(0)))
        self._train = self._programs.train
        _ = self._programs.evaluate
        self.compiling = sum(each.seconds for each in COMPILED[before:])
        self._state = made
        _, *rest = jax.tree.map(self._filled, self._programs._arguments())
        self._batches, *_, self._hyper = rest
        self._chunk = static.chunk

    @staticmethod
    def _filled(leaf: Any) -> Any:
        """Returns noise where images belong, zeros for all else that is only a shape, and what is a value already."""
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        if leaf.dtype == np.uint8:
            return np.random.default_rng(0).integers(0, 256, leaf.shape, np.uint8)
        return np.zeros(leaf.shape, leaf.dtype)

    @property
    def flops(self) -> float:
        """Returns FLOPs of a step as the compiler counts them."""
        return _counted(self._train, self._programs.static)

    def seconds(self, steps: int) -> float:
        """Trains for some steps, at most a chunk; returns seconds a step."""
        started = time.perf_counter()
        batches: Batches = self._batches
        bounds = np.int32(0), np.int32(steps)
        self._state, losses = self._train(self._state, batches, *bounds, np.int32(2), self._hyper)
        jax.block_until_ready(losses)
        return (time.perf_counter() - started) / steps

    def fitting(self, seconds: float) -> int:
        """Returns how many steps take about so many seconds; runs one, the first of which may be slower."""
        self.seconds(1)
        return max(1, min(self._chunk, int(seconds / self.seconds(1))))


def probe(statics: Sequence[Static], rounds: int = 5, seconds: float = 0.3) -> list[Timed]:
    """Times programs in rounds, each of which goes once through all of them, so that a disturbance hits them alike.

    Args:
      statics: what shapes the programs.
      rounds: how many.
      seconds: about so much a program and round.
    """
    probes = [_Probe(static) for static in statics]
    steps = [each.fitting(seconds) for each in probes]
    found = [[each.seconds(count) for each, count in zip(probes, steps, strict=True)] for _ in range(rounds)]
    return [
        Timed(tuple(times), each.compiling, each.flops) for each, times in zip(probes, zip(*found, strict=True), strict=True)
    ]


def compiled_flops(static: Static) -> float:
    """Returns FLOPs of one training step as XLA counts them after compiling; nothing is run, no memory is taken."""
    return _counted(Programs(static).train, static)


def _counted(program: Any, static: Static) -> float:
    """Returns the FLOPs of a compiled step, 0 where the compiler does not say; it counts a loop's body once."""
    return static.accumulate * float((program.cost_analysis() or {}).get("flops", 0.0))
