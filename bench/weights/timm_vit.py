"""Where timm's `vit_*` files keep the weights of a Vision Transformer.

Layouts follow from the name and the rank, with two particulars: heads are an axis here and not there, and timm joins what one
product can compute: several names here are one there, in the order in which they stand in it. timm's GELU is the exact one,
unless a model is made with `act_layer="gelu_tanh"`, which is the released code's.
"""

from __future__ import annotations

from bench.points.variants.vit import ViTSpec


def layer(ours: str, theirs: str, leaf: str = "kernel") -> dict[str, str]:
    """Returns the names of a `leaf` and a bias."""
    return {f"{ours}/{leaf}": f"{theirs}.weight", f"{ours}/bias": f"{theirs}.bias"}


def _joined(ours: str, theirs: str, *parts: str) -> dict[str, str]:
    return {name: there for part in parts for name, there in layer(f"{ours}/{part}", theirs).items()}


def _mlp(ours: str, theirs: str) -> dict[str, str]:
    return layer(f"{ours}/Dense_0", f"{theirs}.fc1") | layer(f"{ours}/Dense_1", f"{theirs}.fc2")


def _block(ours: str, theirs: str) -> dict[str, str]:
    attention = f"{ours}/MultiHeadDotProductAttention_1"
    return {
        **layer(f"{ours}/LayerNorm_0", f"{theirs}.norm1", "scale"),
        **_joined(attention, f"{theirs}.attn.qkv", "query", "key", "value"),
        **layer(f"{attention}/out", f"{theirs}.attn.proj"),
        **layer(f"{ours}/LayerNorm_2", f"{theirs}.norm2", "scale"),
        **_mlp(f"{ours}/MlpBlock_3", f"{theirs}.mlp"),
    }


def _map_head() -> dict[str, str]:
    ours, theirs = "MAPHead_0", "attn_pool"
    attention = f"{ours}/MultiHeadDotProductAttention_0"
    return {
        f"{ours}/probe": f"{theirs}.latent",
        **layer(f"{attention}/query", f"{theirs}.q"),
        **_joined(attention, f"{theirs}.kv", "key", "value"),
        **layer(f"{attention}/out", f"{theirs}.proj"),
        **layer(f"{ours}/LayerNorm_0", f"{theirs}.norm", "scale"),
        **_mlp(f"{ours}/MlpBlock_0", f"{theirs}.mlp"),
    }


def names(spec: ViTSpec) -> dict[str, str]:
    """Returns timm's name of every weight by its '/'-joined name here; timm has no hidden layer before the classifier."""
    found = layer("embedding", "patch_embed.proj")
    if spec.position == "learn":
        found["Transformer/posembed_input/pos_embedding"] = "pos_embed"
    if spec.pool == "tok":
        found["cls"] = "cls_token"
    for i in range(spec.depth):
        found |= _block(f"Transformer/encoderblock_{i}", f"blocks.{i}")
    found |= layer("Transformer/encoder_norm", "norm", "scale")
    if spec.pool == "map":
        found |= _map_head()
    return found | layer("head", "head")
