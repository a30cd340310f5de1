"""RandAugment on the device: traced number of layers and traced magnitude, so one compiled program serves every level."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import ops
from bench.augment.levels import levels

REFERENCE_RESOLUTION = 224  # The pixel constants below are the reference's, which trained at 224 px.
TRANSLATE = 100  # `translate_const`
CUTOUT = 40  # `cutout_const`


def scaled(pixels: int, resolution: int) -> int:
    """Returns a pixel constant of the reference at another resolution: `pixels` * `resolution` / 224, rounded half to even.

    At 28 px TRANSLATE becomes 12 and CUTOUT 5; at 224 px both keep their values.
    """
    return round(pixels * resolution / REFERENCE_RESOLUTION)


def randaugment(
    image: jax.Array,
    key: jax.Array,
    layers: jax.Array,
    magnitude: jax.Array,
    *,
    translate: int = TRANSLATE,
    cutout: int = CUTOUT,
    names: tuple[str, ...] = ops.NAMES,
    fixed: bool = False,
    form: ops.Form = ops.apply,
) -> jax.Array:
    """Applies `layers` operations one after another, each drawn uniformly from `names` with replacement.

    Args:
      image: u8[H, W, 3].
      key: typed PRNG key of this image.
      layers: i32[]; 0 returns the image as it is and costs nothing.
      magnitude: f32[], 0 to 30; 10 is the reference's full level.
      translate: pixels of a translation at magnitude 10.
      cutout: half the side of Cutout's square at magnitude 10.
      names: the operations to draw from, out of `ops.NAMES`.
      fixed: whether three operations do without the reference's bugs.
      form: how an operation is computed, `ops.apply` or `ops.apply_fused`.

    Returns:
      u8[H, W, 3].
    """
    strengths = levels(magnitude, translate, cutout)
    height, width, _ = image.shape
    chosen = np.array([ops.INDEX[name] for name in names], np.int32)

    def layer(index: jax.Array, current: jax.Array) -> jax.Array:
        # One draw for everything; a remainder of 32 random bits is uniform to within H / 2**32, exactly so for 16 operations.
        bits = jax.random.bits(jax.random.fold_in(key, index), (4,), jnp.uint32)
        op = jnp.asarray(chosen)[(bits[0] % len(names)).astype(jnp.int32)]
        centre = jnp.stack([bits[2] % height, bits[3] % width]).astype(jnp.int32)
        return form(current, op, strengths, bits[1] % 2 == 1, centre, fixed)

    augmented: jax.Array = jax.lax.fori_loop(0, layers, layer, image)
    return augmented
