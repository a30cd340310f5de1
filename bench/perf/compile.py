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
    """Yields the seconds of every compilation that happens meanwhile, whoever asks for it; no cache helps."""
    found: list[float] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == _EVENT:
            found.append(duration)

    cache = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
        jax.config.update("jax_enable_compilation_cache", cache)


def run(quick: bool) -> list[Figure]:
    """Counts and times the compilations of eight settings of ViT-mu (learning rate, decay, dropout); once, so without a range."""
    del quick
    case = setting.VIT_MU
    programs, constants = Programs(case.static), _Constants(case.static, GRID[-1])
    _ = programs.init
    with _counted() as compilations:
        traced = _seconds(lambda: programs.train)
        for point in GRID:
            jax.block_until_ready(setting.dispatch(programs, case, point)())
        fixed = _seconds(lambda: constants.train)
    # The step with constants is the last and none of the grid's.
    made = len(compilations) - 1
    what = f"{len(GRID)} settings of {case.name}"
    product = f"one compilation x {len(GRID)}"
    return [
        Figure("compile", f"{what}, traced: programs, helpers included", "programs", once(made)),
        Figure("compile", f"{what}, traced", "s", once(traced)),
        Figure("compile", f"{what}, Python constants: {product}", "s", once(fixed * len(GRID))),
        Figure(
            "compile", f"{what}: time", "x", once(traced / (fixed * len(GRID))), f"constants, {product}", f"about 1/{len(GRID)}"
        ),
    ]


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
