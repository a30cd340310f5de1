"""Hybrid: a Vision Transformer on a residual network with standardised weights and group normalisation, as released.

"How to train your ViT?" says batch normalisation; the released weights are those of vision_transformer `models_resnet.py`.
"""

from __future__ import annotations

import jax

from bench.models.residual import RELEASED, trunk
from bench.models.vit import ViT
from bench.points.variants.hybrid import HybridSpec


class Hybrid(ViT):
    """Images float32[B, H, W, 3] in [-1, 1] -> (logits float32[B, classes], features float32[B, D], the classifier's input).

    The transformer alone has dropout and stochastic depth.
    """

    spec: HybridSpec

    def stem(self, images: jax.Array) -> jax.Array:
        """Returns the residual network's output [B, H', W', C]."""
        return trunk(RELEASED, self.spec.units, self.spec.root, images, None, self.dtype, self.execution)
