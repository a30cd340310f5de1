"""The layout of the released AugReg `.npz` files, which differs from the one here in small things.

Names are the same. Group normalisation has its parameters as (1, 1, 1, C), as Flax kept them at the time; every reader of the
released files flattens them. Files that were saved after Flax's move to Linen count modules of a kind anew in each block.
"""

from __future__ import annotations

import re

from bench.weights.files import Flat

# vision_transformer `checkpoint._fix_groupnorm`.
_GROUP_NORM = re.compile(r"\bgn(\d+|_root|_proj)/(scale|bias)$")
# Flax `convert_pre_linen`, read backwards; in the encoder's blocks alone.
_LINEN = {
    "MultiHeadDotProductAttention_0": "MultiHeadDotProductAttention_1",
    "LayerNorm_1": "LayerNorm_2",
    "MlpBlock_0": "MlpBlock_3",
}
_BLOCK = re.compile(r"Transformer/encoderblock_\d+/")


def from_released(flat: Flat) -> Flat:
    """Returns arrays in the layout here, from released ones of before or after Linen."""
    found = Flat()
    for name, value in flat.items():
        # A block's first LayerNorm is number 0 in both, so that no name means one thing before and another after.
        parts = [_LINEN.get(part, part) if _BLOCK.match(name) else part for part in name.split("/")]
        found["/".join(parts)] = value.reshape(-1) if _GROUP_NORM.search(name) and value.ndim == 4 else value
    return found


def to_released(flat: Flat) -> Flat:
    """Returns arrays as a released file has them."""
    return {name: value.reshape(1, 1, 1, -1) if _GROUP_NORM.search(name) else value for name, value in flat.items()}
