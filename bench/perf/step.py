"""Which share of the machine's matrix-product rate a whole training step reaches."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bench.perf import setting
from bench.perf.figure import Figure
from bench.perf.timing import interleave, share
from bench.train.program import Programs

RATES = (0.0, 0.1)
SIZES = (1024, 2048)
# Of one timed call of either size, so that both are timed for as long.
FLOPS = 2 * 2048**3
TARGETS = {setting.TI16.model: "1/3 or more"}


def product(size: int) -> Callable[[], list[jax.Array]]:
    """Returns a function that multiplies two square float32 matrices until `FLOPS` are spent."""
    x = jax.random.normal(jax.random.key(0), (size, size))
    compiled = jax.jit(jnp.matmul).lower(x, x).compile()
    repeats = FLOPS // (2 * size**3)
    return lambda: [compiled(x, x) for _ in range(repeats)]


def run(quick: bool) -> list[Figure]:
    """Measures ViT-mu and NFNet-mu at 28 px and, unless `quick`, Ti/16 at 224 px; dropout off and on."""
    figures = []
    products = {f"{size} x {size}": product(size) for size in SIZES}
    for case in (setting.VIT_MU, setting.NFNET_MU) if quick else (setting.VIT_MU, setting.NFNET_MU, setting.TI16):
        programs = Programs(case.static)
        steps = {f"dropout {rate:g}": setting.dispatch(programs, case, setting.hyper(dropout=rate)) for rate in RATES}
        times = interleave({**products, **steps}, 3 if quick else 9)
        best = min(products, key=lambda name: times.of(name).median)
        figures.append(
            Figure("step", f"matrix product {best}, beside {case.model}", "GFLOP/s", times.of(best).per(FLOPS / 1e9))
        )
        for name in steps:
            what = f"{case.name}, {name}"
            reached = share(times, name, case.chunk * case.flops, best, FLOPS)
            figures.append(Figure("step", what, "ms/step", times.of(name).times(1e3 / case.chunk)))
            figures.append(Figure("step", what, "x", reached, "matrix-product rate", TARGETS.get(case.model, "")))
    return figures
