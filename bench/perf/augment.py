"""How fast RandAugment is, and which part of a training step it takes."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import batch
from bench.augment.randaugment import randaugment
from bench.perf import setting
from bench.perf.figure import Figure
from bench.perf.timing import interleave
from bench.train.program import Programs

LAYERS, MAGNITUDE = np.int32(2), np.float32(10)
VMAPPED = 16  # At most so many images for the vmap form, which computes every operation for every image.


def _ours(case: setting.Case) -> Callable[[], jax.Array]:
    static = batch.Augmentation.at(case.resolution, flip=False, crop=False)
    numbers = jnp.arange(case.batch_size, dtype=jnp.int32)
    pixels = jnp.asarray(setting.images(case.batch_size, case.resolution))

    def augment(pixels: jax.Array, layers: jax.Array, magnitude: jax.Array) -> jax.Array:
        return batch.augment_batch(pixels, jax.random.key(0), jnp.zeros_like(numbers), numbers, layers, magnitude, static)

    compiled = jax.jit(augment).lower(pixels, LAYERS, MAGNITUDE).compile()
    return lambda: compiled(pixels, LAYERS, MAGNITUDE)


def _vmapped(case: setting.Case, count: int) -> Callable[[], jax.Array]:
    static = batch.Augmentation.at(case.resolution, flip=False, crop=False)
    numbers = jnp.arange(count, dtype=jnp.int32)
    pixels = jnp.asarray(setting.images(count, case.resolution))

    def augment(pixels: jax.Array, layers: jax.Array, magnitude: jax.Array) -> jax.Array:
        def one(image: jax.Array, number: jax.Array) -> jax.Array:
            own = jax.random.fold_in(jax.random.key(0), number)
            return randaugment(image, own, layers, magnitude, translate=static.translate, cutout=static.cutout)

        return jax.vmap(one)(pixels, numbers)

    compiled = jax.jit(augment).lower(pixels, LAYERS, MAGNITUDE).compile()
    return lambda: compiled(pixels, LAYERS, MAGNITUDE)


def run(quick: bool) -> list[Figure]:
    """Measures (2, 10) at 28 px beside ViT-mu and, unless `quick`, at 224 px beside Ti/16."""
    figures = []
    for case in (setting.VIT_MU,) if quick else (setting.VIT_MU, setting.TI16):
        count = min(VMAPPED, case.batch_size)
        programs = Programs(case.static)
        times = interleave(
            {
                "ours": _ours(case),
                "vmap": _vmapped(case, count),
                "step": setting.dispatch(programs, case, setting.hyper()),
            },
            3 if quick else 7,
        )
        what = f"RandAugment (2, 10), {case.resolution} px"
        speed = times.ratio("vmap", "ours").times(case.batch_size / count)
        part = times.ratio("ours", "step").times(case.chunk)
        figures += [
            Figure("augment", what, "images/s", times.of("ours").per(case.batch_size)),
            Figure("augment", f"step of {case.name}", "images/s", times.of("step").per(case.chunk * case.batch_size)),
            Figure("augment", f"{what}: time", "x", part, f"{case.model} step", "well below 1"),
            Figure("augment", f"{what}: speed", "x", speed, "vmap of every operation", "above 1 on a CPU"),
        ]
    return figures
