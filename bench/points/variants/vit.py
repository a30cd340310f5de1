"""Vision Transformers of all published sizes, and one of this project's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.points.variants.variant import Family, Modifiers, Product, Spec, Variant, attention, convolution, projection


@dataclass(frozen=True)
class ViTSpec(Spec):
    """Vision Transformer.

    Attributes:
      patch: pixels along a side of a patch.
      width, mlp: channels of a token and of the hidden layer of an MLP.
      depth: blocks.
      heads: of each attention.
      pool: how tokens become features: `tok`, by a class token; `gap`, by their mean; `map`, by attention of a learned query.
      position: position embedding: `learn`ed, or `sincos2d`, fixed.
      pre_logits: whether a hidden layer, as wide as a token, comes before the classifier.
    """

    patch: int
    width: int
    depth: int
    mlp: int
    heads: int
    pool: str = "tok"
    position: str = "learn"
    pre_logits: bool = False

    def products(self, resolution: int, classes: int) -> Iterator[Product]:
        """Yields patches, projections, attention, pooling and classifier."""
        return self.products_after(resolution, 3, classes)

    def products_after(self, side: int, channels: int, classes: int) -> Iterator[Product]:
        """Yields the products on a square input of `side` pixels, whatever has made it."""
        width, patches = self.width, side // self.patch
        tokens = patches**2 + (self.pool == "tok")
        yield convolution(side, patches, self.patch, channels, width)
        for _ in range(self.depth):
            yield projection(tokens, width, 3 * width)  # queries, keys and values at once
            yield from attention(tokens, tokens, width, self.heads)
            yield projection(tokens, width, width)
            yield from self._mlp(tokens)
        if self.pool == "map":
            # The query is one token: its projection, the output's and the MLP are computed once.
            yield projection(1, width, width)
            yield projection(tokens, width, 2 * width)
            yield from attention(1, tokens, width, self.heads)
            yield projection(1, width, width)
            yield from self._mlp(1)
        if self.pre_logits:
            yield projection(1, width, width)
        yield projection(1, width, classes)

    def _mlp(self, tokens: int) -> tuple[Product, Product]:
        return projection(tokens, self.width, self.mlp), projection(tokens, self.mlp, self.width)


MODIFIERS: Modifiers = {
    "gap": {"pool": "gap"},
    "map": {"pool": "map"},
    "sincos": {"position": "sincos2d"},
    "rep": {"pre_logits": True},
}
# Size: width, depth, MLP, heads.
_SIZES = {
    "Ti": (192, 12, 768, 3),
    "S": (384, 12, 1536, 6),
    "B": (768, 12, 3072, 12),
    "L": (1024, 24, 4096, 16),
}
_AUGREG = "How to train your ViT?, Table 1"
_SOURCES = {
    **dict.fromkeys(("Ti/16", "S/32", "S/16", "B/32", "B/16", "L/16"), _AUGREG),
    "B/8": "released beside How to train your ViT?",
    "L/32": "An image is worth 16x16 words, Table 1",
}
_SCALING = "Scaling vision transformers, Table 2; big_vision `vit.py`"


# What g and G are short for: file systems that do not tell upper from lower case must.
_LONG = {"g/14": "giant_14", "G/14": "gigantic_14"}


def _vit(name: str, source: str, spec: ViTSpec) -> Variant:
    return Variant(name, _LONG.get(name, name.replace("/", "_").replace("-", "_")), "vit", spec, source)


def _size(size: str, patch: int) -> Variant:
    name = f"{size}/{patch}"
    return _vit(name, _SOURCES.get(name, f"{_AUGREG}, at another patch size"), ViTSpec(patch, *_SIZES[size]))


VIT = Family(
    name="vit",
    optimizer="adam",
    variants=(
        _vit("ViT-mu", "small enough for one core", ViTSpec(7, 48, 2, 192, 3)),
        *(_size(size, patch) for size in _SIZES for patch in (32, 16, 14, 8)),
        _vit(
            "SoViT-400m/14",
            "Getting ViT in shape; big_vision `vit.py`, So400m",
            ViTSpec(14, 1152, 27, 4304, 16, pool="map"),
        ),
        _vit("H/14", "An image is worth 16x16 words, Table 1", ViTSpec(14, 1280, 32, 5120, 16)),
        _vit("g/14", _SCALING, ViTSpec(14, 1408, 40, 6144, 16, pool="map")),
        _vit("G/14", _SCALING, ViTSpec(14, 1664, 48, 8192, 16, pool="map")),
    ),
    modifiers=MODIFIERS,
)
