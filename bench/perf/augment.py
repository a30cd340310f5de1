"""How fast RandAugment is: against TensorFlow's operations, Pillow's as timm has them, other forms, and a training step."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import batch, ops
from bench.augment.randaugment import randaugment
from bench.errors import UserError
from bench.perf import pytorch, setting
from bench.perf.figure import Figure
from bench.perf.tensorflow_randaugment import TensorFlowRandAugment
from bench.perf.timing import Times, interleave
from bench.train import gain
from bench.train.program import Programs

LAYERS, MAGNITUDE = np.int32(2), np.float32(15)
# Images in a call, by resolution; the two slow alternatives take fewer.
IMAGES = {32: 256, 224: 32}
VMAPPED = 16
TENSORFLOW = {32: 64, 224: 8}
# timm's magnitudes end at 10, and Pillow refuses what its Posterize does there.
TIMM = "rand-m9-n2"
# At least so many times the speed of TensorFlow's operations.
TARGETS = {32: 15, 224: 3}

Contender = tuple[Callable[[], Any], int]


def _compiled(function: Callable[..., jax.Array], *arguments: Any) -> Callable[[], jax.Array]:
    compiled = jax.jit(function).lower(*arguments).compile()
    return lambda: compiled(*arguments)


def _ours(resolution: int, count: int, traced: bool = True) -> Contender:
    static = batch.Augmentation.at(resolution, flip=False, crop=False)
    numbers = jnp.arange(count, dtype=jnp.int32)
    pixels = jnp.asarray(gain.images(count, resolution))

    def augment(pixels: jax.Array, layers: jax.Array, magnitude: jax.Array) -> jax.Array:
        return batch.augment_batch(pixels, jax.random.key(0), jnp.zeros_like(numbers), numbers, layers, magnitude, static)

    if traced:
        return _compiled(augment, pixels, LAYERS, MAGNITUDE), count
    return _compiled(lambda pixels: augment(pixels, jnp.asarray(LAYERS), jnp.asarray(MAGNITUDE)), pixels), count


def _at_once(resolution: int, count: int, form: ops.Form) -> Contender:
    static = batch.Augmentation.at(resolution, flip=False, crop=False)
    keys = jax.random.split(jax.random.key(0), count)

    def one(image: jax.Array, key: jax.Array) -> jax.Array:
        strength = jnp.asarray(LAYERS), jnp.asarray(MAGNITUDE)
        return randaugment(image, key, *strength, translate=static.translate, cutout=static.cutout, form=form)

    return _compiled(jax.vmap(one), jnp.asarray(gain.images(count, resolution)), keys), count


def _tensorflow(resolution: int) -> dict[str, Contender]:
    """Returns TensorFlow's operations mapped over a tf.data pipeline by one thread, and called one by one as a function."""
    static = batch.Augmentation.at(resolution, flip=False, crop=False)
    reference = TensorFlowRandAugment(static.translate, static.cutout)
    tf, images = reference.tf, gain.images(TENSORFLOW[resolution], resolution)
    options = tf.data.Options()
    options.threading.private_threadpool_size = options.threading.max_intra_op_parallelism = 1
    # Else it parallelises and prefetches, and goes on working while others have their turn.
    options.experimental_optimization.apply_default_optimizations = options.autotune.enabled = False

    def augment(image: Any) -> Any:
        return reference(image, int(LAYERS), float(MAGNITUDE))

    mapped = tf.data.Dataset.from_tensor_slices(images).repeat().map(augment).batch(len(images)).with_options(options)
    # One iterator for all calls: a new one would optimise its graph anew.
    batches, function = iter(mapped), tf.function(augment)
    return {
        "TensorFlow, tf.data": (lambda: next(batches), len(images)),
        "TensorFlow, tf.function": (lambda: [function(image) for image in images], len(images)),
    }


def _timm(resolution: int) -> dict[str, Contender]:
    torch, _ = pytorch.libraries()
    torch.set_num_threads(1)
    static = batch.Augmentation.at(resolution, flip=False, crop=False)
    automatic, pillow = import_module("timm.data.auto_augment"), import_module("PIL.Image")
    images = gain.images(IMAGES[resolution], resolution)
    constants = {"translate_const": static.translate, "img_mean": (128, 128, 128)}
    found: dict[str, Contender] = {}
    for name, more in {"timm": {}, "timm, nearest": {"interpolation": pillow.Resampling.NEAREST}}.items():
        transform = automatic.rand_augment_transform(TIMM, constants | more)

        def run(transform: Any = transform) -> list[Any]:
            return [np.asarray(transform(pillow.fromarray(image))) for image in images]

        found[name] = run, len(images)
    return found


def _others(resolution: int) -> dict[str, Contender]:
    found: dict[str, Contender] = {}
    for make in (_tensorflow, _timm):
        try:
            found |= make(resolution)
        except UserError:
            # Nothing to compare with; the other one may be there.
            continue
    return found


def _figures(resolution: int, contenders: dict[str, Contender], times: Times) -> list[Figure]:
    what = f"RandAugment (2, 15), {resolution} px"
    seconds = {name: times.of(name).median / count for name, (_, count) in contenders.items()}

    def speed(name: str, target: str) -> Figure:
        ratio = times.ratio(name, "ours").times(contenders["ours"][1] / contenders[name][1])
        return Figure("augment", f"{what}: speed", "x", ratio, name, target)

    def fastest(prefix: str) -> list[str]:
        return sorted((name for name in contenders if name.startswith(prefix)), key=seconds.__getitem__)[:1]

    return [
        *(Figure("augment", f"{what}, {name}", "images/s", times.of(name).per(contenders[name][1])) for name in contenders),
        *(speed(name, f"{TARGETS[resolution]} or more") for name in fastest("TensorFlow")),
        *(speed(name, "1 or more") for name in fastest("timm")),
        speed("constants", "about 1"),
        speed("vmap of every operation", "above 1 on a CPU"),
        speed("vmap of one pass", "above 1 on a CPU"),
    ]


def _part_of_step(case: setting.Case, quick: bool) -> Figure:
    contender, count = _ours(case.resolution, case.batch_size)
    times = interleave(
        {"ours": contender, "step": setting.dispatch(Programs(case.static), case, setting.hyper())}, 3 if quick else 7
    )
    part = times.ratio("ours", "step").times(case.chunk * case.batch_size / count)
    return Figure(
        "augment", f"RandAugment (2, 15), {case.resolution} px: time", "x", part, f"{case.model} step", "well below 1"
    )


def run(quick: bool) -> list[Figure]:
    """Measures (2, 15) at 32 px and, unless `quick`, at 224 px, and its part of a step of ViT-mu and Ti/16."""
    figures = []
    for resolution in (32,) if quick else (32, 224):
        few = min(VMAPPED, IMAGES[resolution])
        contenders = {
            "ours": _ours(resolution, IMAGES[resolution]),
            "constants": _ours(resolution, IMAGES[resolution], traced=False),
            "vmap of every operation": _at_once(resolution, few, ops.apply),
            "vmap of one pass": _at_once(resolution, few, ops.apply_fused),
            **_others(resolution),
        }
        times = interleave({name: work for name, (work, _) in contenders.items()}, 3 if quick else 9)
        figures += _figures(resolution, contenders, times)
    return figures + [_part_of_step(case, quick) for case in ((setting.VIT_MU,) if quick else (setting.VIT_MU, setting.TI16))]
