"""How much compiling a grid of hyper-parameters costs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

from bench.perf import setting
from bench.perf.figure import Figure, once
from bench.train.hyper import Hyper
from bench.train.program import Batches, Programs, State
from bench.train.static import Static

GRID = [
    setting.hyper(lr=lr, wd=wd, dropout=dropout) for lr, wd, dropout in itertools.product((1e-3, 3e-4), (0.03, 0.1), (0.0, 0.1))
]
# The event that jax reports for every program its compiler finishes.
_EVENT = "/jax/core/compile/backend_compile_duration"


class _Constants(Programs):
    """Trains with hyper-parameters that are constants of the program."""

    def __init__(self, static: Static, fixed: Hyper) -> None:
        super().__init__(static)
        self._fixed = fixed

    def _step(self, state: State, data: Batches, classes: jax.Array, hyper: Hyper) -> tuple[State, jax.Array]:
        hyper = jax.tree.map(jax.numpy.asarray, self._fixed)
        return super()._step(state, data, classes, hyper)


@contextmanager
def _counted() -> Iterator[list[float]]:
    """Yields the seconds of every compilation that happens meanwhile, whoever asks for it."""
    found: list[float] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event == _EVENT:
            found.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def run(quick: bool) -> list[Figure]:
    """Counts and times the compilations of eight settings (learning rate, decay, dropout) of ViT-mu, once."""
    del quick
    case = setting.VIT_MU
    programs, constants = Programs(case.static), _Constants(case.static, GRID[-1])
    traced, fixed = _seconds(lambda: programs.train), _seconds(lambda: constants.train)
    made = []
    for point in GRID:
        with _counted() as compilations:
            jax.block_until_ready(setting.dispatch(programs, case, point)())
        made.append(len(compilations))
    what, product = f"{len(GRID)} settings of {case.name}", f"one compilation x {len(GRID)}"
    against = f"constants, {product}"
    return [
        Figure("compile", f"{what}: XLA programs made by all but the first", "programs", once(sum(made[1:])), target="0"),
        Figure("compile", f"{what}, traced", "s", once(traced)),
        Figure("compile", f"{what}, Python constants: {product}", "s", once(fixed * len(GRID))),
        Figure("compile", f"{what}: time", "x", once(traced / fixed / len(GRID)), against, f"about 1/{len(GRID)}"),
    ]


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
