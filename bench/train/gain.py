"""What lanes gain: are K runs faster as lanes of one program than one after the other, on this device?

Compilation is left out, and so is what lanes save by decoding their images once: where reading is what training waits for, they
gain more than a probe says.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
from numpy.typing import NDArray

from bench.augment import mixing
from bench.train.hyper import Hyper
from bench.train.lanes import Lanes
from bench.train.program import Batches, Programs

# What groups are tried.
COUNTS = (2, 4, 8)
# Seconds of one timed call of a run by itself, and how often each is timed: half a minute for all of `COUNTS`.
SECONDS, ROUNDS = 0.4, 5


def images(count: int, resolution: int) -> NDArray[np.uint8]:
    """Returns uint8[count, resolution, resolution, 3] of smooth random colours; noise would be no typical photograph."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, -(-resolution // 7), -(-resolution // 7), 3)).astype(np.uint8)
    return coarse.repeat(7, 1).repeat(7, 2)[:, :resolution, :resolution]


def batches(programs: Programs, mixup: float = 0.2) -> Batches:
    """Returns what a dispatch of a run by itself may see; every image is another one."""
    s = programs.static
    shape = (s.chunk, s.batch_size)
    numbers = np.arange(s.chunk * s.batch_size, dtype=np.int32).reshape(shape)
    pixels = images(numbers.size, s.resolution).reshape(*shape, s.resolution, s.resolution, 3)
    mixed = mixing.draw(0, range(s.chunk), mixup, 0.0, s.resolution, s.draws)
    return Batches(pixels, numbers % np.int32(s.classes), numbers, np.zeros(shape, np.int32), mixed)


def repeated(lanes: Lanes, seen: Batches) -> Batches:
    """Returns the batches of a run by itself as those of lanes."""
    each = [jax.tree.map(lambda x: x[: lanes.static.chunk], seen)] * lanes.count
    return each[0]._replace(mixing=lanes.stack([b.mixing for b in each])) if lanes.shared else Batches(*lanes.stack(each))


class Steps:
    """A run (or lanes) in training, a few steps a call: `seconds` returns how long one step takes."""

    def __init__(self, programs: Programs, hyper: Hyper) -> None:
        self._programs = programs
        weights, seen = jax.device_get(programs.init(np.uint32(0))), batches(programs)
        if isinstance(programs, Lanes):
            self._state = programs.start_all([weights] * programs.count)
            self._arguments = repeated(programs, seen), programs.stack([hyper] * programs.count)
        else:
            self._state, self._arguments = programs.start(weights), (seen, hyper)
        self._most = programs.static.chunk

    def seconds(self, steps: int, clock: Callable[[], float] = time.perf_counter) -> float:
        """Trains on for `steps` steps, but no more than a dispatch has, and returns the seconds of one."""
        steps = min(steps, self._most)
        seen, hyper = self._arguments
        train = self._programs.train
        started = clock()
        self._state, losses = train(
            self._state, seen, np.int32(0), np.int32(steps), np.int32(self._programs.static.classes), hyper
        )
        jax.block_until_ready(losses)
        return (clock() - started) / steps


def alone(programs: Programs, hyper: Hyper) -> tuple[Steps, int, float]:
    """Returns a run by itself, how many steps of it are timed at once, and the seconds of one step."""
    run = Steps(programs, hyper)
    run.seconds(1)
    steps = max(1, min(programs.static.chunk, int(SECONDS / run.seconds(1))))
    return run, steps, run.seconds(steps)


def gains(
    programs: Programs, hyper: Hyper, shared: bool, counts: Sequence[int] = COUNTS, rounds: int = ROUNDS
) -> dict[int, list[float]]:
    """Returns, for each number K of lanes, the time of K runs' steps over that of a step of K lanes, once a round.

    More than 1 means that lanes are faster. Where K lanes do not fit the device's memory it is 0.
    """
    run, steps, _ = alone(programs, hyper)
    found: dict[int, list[float]] = {}
    for count in counts:
        try:
            lanes = Steps(Lanes(programs.static, count, shared), hyper)
            lanes.seconds(steps)
            found[count] = [count * run.seconds(steps) / lanes.seconds(steps) for _ in range(rounds)]
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            found[count] = [0.0]
    return found


def gain(programs: Programs, hyper: Hyper, shared: bool, counts: Sequence[int] = COUNTS) -> dict[int, float]:
    """Returns the median of `gains` for each number of lanes."""
    return {count: statistics.median(each) for count, each in gains(programs, hyper, shared, counts).items()}
