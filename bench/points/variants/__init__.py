"""Model variants as data, one file a family: name, file-name spelling, static shape, cost and source of every architecture.

A variant's name may carry modifiers, `B/16:gap:sincos`: they change fields of its spec, and each family lists its own. Names of
an architecture search (`nas.py`) spell a shape.
"""

from __future__ import annotations

from bench.points.variants import nas
from bench.points.variants.coatnet import COATNET
from bench.points.variants.efficientnetv2 import EFFICIENTNETV2
from bench.points.variants.hybrid import HYBRID
from bench.points.variants.nfnet import NFNET
from bench.points.variants.resnet import RESNET
from bench.points.variants.variant import Catalogue, Family, Product, Spec, Variant
from bench.points.variants.vit import VIT

FAMILIES: dict[str, Family] = {f.name: f for f in (VIT, HYBRID, RESNET, NFNET, EFFICIENTNETV2, COATNET)}
VARIANTS = Catalogue(FAMILIES, "name", ":", nas.find)
BY_PREFIX = Catalogue(FAMILIES, "prefix", "_", nas.find)

__all__ = ["BY_PREFIX", "FAMILIES", "VARIANTS", "Catalogue", "Family", "Product", "Spec", "Variant"]
