"""What dropout costs: off against a model without any, on against masks from `jax.random`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from bench.models import noise
from bench.perf import setting
from bench.perf.figure import Figure
from bench.perf.timing import interleave
from bench.train.program import Programs


class _Deterministic(Programs):
    """Trains without noise of any kind, as if the model had no dropout."""

    def _loss(self, *arguments: Any, **_: Any) -> Any:
        *others, _noise = arguments
        return super()._loss(*others, None)  # type: ignore[call-arg]


def _threefry(key: jax.Array, site: int | jax.Array, shape: tuple[int, ...], rate: jax.Array) -> jax.Array:
    own = jax.random.fold_in(jax.random.wrap_key_data(key, impl="threefry2x32"), site)
    return jax.random.bernoulli(own, 1 - rate, shape)


@contextmanager
def _masks_from_jax_random() -> Iterator[None]:
    ours = noise.keep_mask
    noise.keep_mask = _threefry
    try:
        yield
    finally:
        noise.keep_mask = ours


def run(quick: bool) -> list[Figure]:
    """Measures ViT-mu, the model where masks are the largest part of the work."""
    case = setting.VIT_MU
    real, bare, random = Programs(case.static), _Deterministic(case.static), Programs(case.static)
    with _masks_from_jax_random():
        _ = random.train
    off, on = setting.hyper(), setting.hyper(dropout=0.1)
    times = interleave(
        {
            "none": setting.dispatch(bare, case, off),
            "off": setting.dispatch(real, case, off),
            "on": setting.dispatch(real, case, on),
            "random": setting.dispatch(random, case, on),
        },
        3 if quick else 15,
    )
    where = case.name
    return [
        Figure("noise", f"dropout 0, {where}", "x", times.ratio("off", "none"), "step without dropout", "about 1"),
        Figure("noise", f"dropout 0.1, {where}", "x", times.ratio("on", "none"), "step without dropout"),
        Figure("noise", f"dropout 0.1 by jax.random, {where}", "x", times.ratio("random", "none"), "step without dropout"),
        Figure("noise", f"dropout 0.1, {where}", "x", times.ratio("on", "random"), "masks from jax.random", "below 1"),
    ]
