"""The sixteen operations of RandAugment.

Reproduces the TensorFlow implementation that the released AugReg runs used (big_vision, pp/archive/autoaugment.py), quirks
included: there is no identity, vacated pixels become grey 128, Contrast blends with H * W / 256 in place of the mean grey value
(big_vision issue 109), Solarize's threshold wraps around (issue 110), Posterize's shift does from magnitude 22.5 on, and
magnitudes above 10 extrapolate. The argument `fixed` is for those who want Contrast, Solarize and Posterize without these bugs.

Two forms with equal results: `apply` computes the one operation that was drawn, for processors that can branch; `apply_fused`
does the work of any operation in one pass, whose parameters depend on the operation, for those that handle a batch at once.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import blends, exact, rows, tones, warp
from bench.augment.levels import Levels

NAMES: tuple[str, ...] = (
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Cutout",
    "SolarizeAdd",
)
INDEX: dict[str, int] = {name: index for index, name in enumerate(NAMES)}
FILL = 128  # Grey of vacated pixels; `replace_value` of the reference.

Form = Callable[[jax.Array, jax.Array, Levels, jax.Array, jax.Array, bool], jax.Array]


def _selector(names: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Returns for every operation its place in `names`, or their number."""
    return np.array([names.index(name) if name in names else len(names) for name in NAMES], np.int32)


_TONES = ("AutoContrast", "Equalize", "Invert", "Posterize", "Solarize", "Contrast", "Brightness", "SolarizeAdd")
_TONE, _WARP = _selector(_TONES), _selector(warp.NAMES)
# One branch for each tone, then one for all warps.
_BRANCH = _selector((*_TONES, "any warp", "Color", "Sharpness", "Cutout"))
_BRANCH[[INDEX[name] for name in warp.NAMES]] = len(_TONES)


def _toned(image: jax.Array, op: jax.Array, values: jax.Array, levels: Levels, fixed: bool) -> list[Callable[[], jax.Array]]:
    """Returns for each of `_TONES` a function that gives what `values` i32[N, M * 3] become, as u8, in `image` u8[H, W * 3]."""
    return [
        lambda: tones.autocontrast(values, exact.kept(lambda: tones.stretch(image, values.shape[1]), op)),
        lambda: rows.lookup(values, exact.kept(lambda: tones.equalize(image), op)),
        lambda: (255 - values).astype(jnp.uint8),
        lambda: tones.posterize(values, levels.bits, fixed=fixed),
        lambda: tones.solarize(values, levels.threshold, fixed=fixed),
        lambda: tones.towards(values, tones.contrast_mean(image, op, fixed=fixed), levels.factor),
        lambda: tones.towards(values, jnp.int32(0), levels.factor),
        lambda: tones.solarize_add(values, levels.addition),
    ]


def _cut(image: jax.Array, pad: jax.Array, centre: jax.Array) -> jax.Array:
    down = jnp.arange(image.shape[0], dtype=jnp.int32)[:, None] - centre[0]
    across = jnp.asarray(np.arange(image.shape[1], dtype=np.int32) // rows.CHANNELS)[None, :] - centre[1]
    inside = (down >= -pad) & (down < pad) & (across >= -pad) & (across < pad)
    return jnp.where(inside, jnp.uint8(FILL), image)


def apply(
    image: jax.Array, op: jax.Array, levels: Levels, negate: jax.Array, centre: jax.Array, fixed: bool = False
) -> jax.Array:
    """Applies one operation; every argument but `fixed` may be traced.

    Args:
      image: u8[H, W, 3], at most 4096 a side.
      op: i32[], index into `NAMES`.
      levels: arguments of the operations, scalars.
      negate: bool[], turns the sign of the argument of Rotate, Shear* and Translate*; ignored by the others.
      centre: i32[2], row and column of Cutout's centre; ignored by the others.
      fixed: whether Contrast, Solarize and Posterize do without the reference's bugs.

    Returns:
      u8[H, W, 3].
    """
    height, width, channels = image.shape
    pixels = image.reshape(height, width * channels)

    def moved() -> jax.Array:
        matrix = warp.affine(jnp.asarray(_WARP)[op], levels, negate, height, width)
        return warp.warp(pixels, matrix, FILL, op)

    result: jax.Array = jax.lax.switch(
        jnp.asarray(_BRANCH)[op],
        [
            *_toned(pixels, op, pixels.astype(jnp.int32), levels, fixed),
            moved,
            lambda: blends.blend(blends.grey(pixels, op), pixels, levels.factor),
            lambda: blends.blend(blends.smooth(pixels), pixels, levels.factor),
            lambda: _cut(pixels, levels.pad, centre),
        ],
    )
    return result.reshape(image.shape)


def apply_fused(
    image: jax.Array, op: jax.Array, levels: Levels, negate: jax.Array, centre: jax.Array, fixed: bool = False
) -> jax.Array:
    """Applies one operation as a warp, a look-up table, a blend and a cutout of which all but one change nothing.

    Arguments and result are those of `apply`.
    """
    height, width, channels = image.shape
    pixels = image.reshape(height, width * channels)
    matrix = warp.affine(jnp.asarray(_WARP)[op], levels, negate, height, width)
    values = rows.every_value()
    tables = [*_toned(pixels, op, values, levels, fixed), lambda: values.astype(jnp.uint8)]
    table = jax.lax.switch(jnp.asarray(_TONE)[op], tables)
    result = rows.lookup(warp.warp(pixels, matrix, FILL, op), table)
    is_color, is_sharpness = op == INDEX["Color"], op == INDEX["Sharpness"]
    degenerate = jnp.where(is_color, blends.grey(pixels, op), jnp.where(is_sharpness, blends.smooth(pixels), result))
    # A factor of 1 gives the image back, whatever the other one is.
    result = blends.blend(degenerate, result, jnp.where(is_color | is_sharpness, levels.factor, jnp.float32(1)))
    return _cut(result, jnp.where(op == INDEX["Cutout"], levels.pad, 0), centre).reshape(image.shape)
