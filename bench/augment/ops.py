"""The sixteen operations of RandAugment and the arguments that a magnitude gives them.

Reproduces the TensorFlow implementation that the released AugReg runs used (big_vision, pp/archive/autoaugment.py), quirks
included: there is no identity, vacated pixels become grey 128, Contrast blends with H * W / 256 in place of the mean grey value
(big_vision issue 109), Solarize's threshold wraps around (issue 110), and magnitudes above 10 extrapolate.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import blends, tables, warp

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
FULL_MAGNITUDE = 10  # `_MAX_LEVEL` of the reference.
FILL = 128  # Grey of vacated pixels; `replace_value` of the reference.
FULL_ARGUMENT: dict[str, float] = {  # At magnitude 10; from the reference's `level_to_arg`.
    "Rotate": 30.0,
    "Posterize": 4.0,
    "Solarize": 256.0,
    "Color": 1.8,
    "Contrast": 1.8,
    "Brightness": 1.8,
    "Sharpness": 1.8,
    "ShearX": 0.3,
    "ShearY": 0.3,
    "SolarizeAdd": 110.0,
}
BLENDS = ("Color", "Contrast", "Brightness", "Sharpness")
BLEND_OFFSET = 0.1  # The blending factor at magnitude 0.
TRUNCATED = ("Posterize", "Solarize", "Cutout", "SolarizeAdd")

_TABLE, _WARP, _BLEND, _CUTOUT = range(4)
_KIND = np.full(len(NAMES), _TABLE, np.int32)
_KIND[[INDEX[name] for name in warp.NAMES]] = _WARP
_KIND[[INDEX["Color"], INDEX["Sharpness"]]] = _BLEND
_KIND[INDEX["Cutout"]] = _CUTOUT
_WARP_KIND = np.array([warp.NAMES.index(name) if name in warp.NAMES else 0 for name in NAMES], np.int32)


def arguments(magnitude: jax.Array, translate: int, cutout: int) -> jax.Array:
    """Returns the arguments f32[16] of all operations, 0 for those that have none.

    Args:
      magnitude: f32[], 0 to 20 in AugReg; 10 is the reference's full level.
      translate: pixels of TranslateX and TranslateY at magnitude 10 (100 at 224 px).
      cutout: half the side of Cutout's square at magnitude 10 (40 at 224 px).
    """
    full = FULL_ARGUMENT | {"TranslateX": float(translate), "TranslateY": float(translate), "Cutout": float(cutout)}
    slopes = np.array([full.get(name, 0.0) / FULL_MAGNITUDE for name in NAMES], np.float32)
    offsets = np.array([BLEND_OFFSET if name in BLENDS else 0.0 for name in NAMES], np.float32)
    raw = magnitude * slopes + offsets
    # Whole magnitudes give multiples of 0.1: the small step undoes float32 error before truncating and changes nothing else.
    return jnp.where(np.isin(NAMES, TRUNCATED), jnp.floor(raw + 1e-3), raw)


def _tone(image: jax.Array, op: jax.Array, argument: jax.Array) -> jax.Array:
    whole = argument.astype(jnp.int32)
    mean = jnp.where(op == INDEX["Contrast"], min(image.shape[0] * image.shape[1] // 256, 255), 0)
    branches = [
        lambda: tables.autocontrast(image),
        lambda: tables.equalize(image),
        lambda: tables.posterize(whole),
        lambda: tables.solarize(whole),  # Invert is Solarize at threshold 0, which is the argument it has.
        lambda: tables.solarize_add(whole),
        lambda: tables.towards(mean, argument),
    ]
    chosen = {"AutoContrast": 0, "Equalize": 1, "Posterize": 2, "Solarize": 3, "Invert": 3, "SolarizeAdd": 4}
    branch = np.array([chosen.get(name, 5) for name in NAMES], np.int32)
    table = jax.lax.switch(jnp.asarray(branch)[op], branches)
    flat = image.reshape(-1).astype(jnp.int32) * 3 + jnp.tile(jnp.arange(3, dtype=jnp.int32), image.shape[0] * image.shape[1])
    toned: jax.Array = table.reshape(-1).at[flat].get(mode="promise_in_bounds").reshape(image.shape)
    return toned


def _blended(image: jax.Array, op: jax.Array, factor: jax.Array) -> jax.Array:
    degenerate = jax.lax.cond(op == INDEX["Sharpness"], blends.smooth, blends.grey, image)
    return blends.blend(degenerate, image, factor)


def _moved(image: jax.Array, op: jax.Array, amount: jax.Array) -> jax.Array:
    matrix = warp.affine(jnp.asarray(_WARP_KIND)[op], amount, image.shape[0], image.shape[1])
    return warp.warp(image, matrix, FILL)


def _cut(image: jax.Array, pad: jax.Array, centre: jax.Array) -> jax.Array:
    rows = jnp.arange(image.shape[0], dtype=jnp.int32)[:, None, None]
    columns = jnp.arange(image.shape[1], dtype=jnp.int32)[None, :, None]
    size = pad.astype(jnp.int32)
    inside_rows = (rows >= centre[0] - size) & (rows < centre[0] + size)
    inside_columns = (columns >= centre[1] - size) & (columns < centre[1] + size)
    return jnp.where(inside_rows & inside_columns, jnp.uint8(FILL), image)


def apply(image: jax.Array, op: jax.Array, argument: jax.Array, negate: jax.Array, centre: jax.Array) -> jax.Array:
    """Applies one operation; every argument may be traced.

    Args:
      image: u8[H, W, 3].
      op: i32[], index into `NAMES`.
      argument: f32[], this operation's entry of `arguments`.
      negate: bool[], turns the sign of `argument` for Rotate, Shear* and Translate*; ignored by the others.
      centre: i32[2], row and column of Cutout's centre; ignored by the others.

    Returns:
      u8[H, W, 3].
    """
    signed = jnp.where(negate, -argument, argument)
    result: jax.Array = jax.lax.switch(
        jnp.asarray(_KIND)[op],
        [
            lambda: _tone(image, op, argument),
            lambda: _moved(image, op, signed),
            lambda: _blended(image, op, argument),
            lambda: _cut(image, argument, centre),
        ],
    )
    return result
