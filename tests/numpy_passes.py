"""Passes of transformers and residual networks in double precision, written without the code they are compared with."""

import math

import jax
import numpy as np


def double(params):
    """Returns a tree of float64 arrays."""
    return jax.tree.map(lambda a: np.asarray(a, np.float64), params)


def layer_norm(x, p):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]


def gelu(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attention(queries, x, p):
    """Multi-head attention of queries[B, M, D] over x[B, N, D]."""
    tokens = {"query": queries, "key": x, "value": x}
    q, k, v = (np.einsum("bnd,dhe->bhne", t, p[n]["kernel"]) + p[n]["bias"][:, None] for n, t in tokens.items())
    scores = np.exp(np.einsum("bhqe,bhke->bhqk", q, k) / math.sqrt(q.shape[-1]))
    mixed = np.einsum("bhqk,bhke->bqhe", scores / scores.sum(-1, keepdims=True), v)
    return np.einsum("bqhe,hed->bqd", mixed, p["out"]["kernel"]) + p["out"]["bias"]


def mlp(x, p):
    hidden = gelu(x @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"])
    return hidden @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"]


def patches(x, p, patch):
    """Returns the embedded patches of x[B, H, W, C], row by row."""
    cut = [
        np.einsum("bijc,ijcd->bd", x[:, i : i + patch, j : j + patch], p["kernel"]) + p["bias"]
        for i in range(0, x.shape[1] - patch + 1, patch)
        for j in range(0, x.shape[2] - patch + 1, patch)
    ]
    return np.stack(cut, 1)


def vit(p, x, patch, depth, pool="tok", keep=None, position=None):
    """Returns (logits, features); `keep[block, branch, sample]` multiplies the residual branches."""
    keep = np.ones((depth, 2, x.shape[0])) if keep is None else keep
    x = patches(x, p["embedding"], patch)
    if pool == "tok":
        x = np.concatenate([np.broadcast_to(p["cls"], (x.shape[0], 1, x.shape[2])), x], 1)
    encoder = p["Transformer"]
    x = x + (encoder["posembed_input"]["pos_embedding"] if position is None else position)
    for i in range(depth):
        block = encoder[f"encoderblock_{i}"]
        y = layer_norm(x, block["LayerNorm_0"])
        x = x + keep[i, 0][:, None, None] * attention(y, y, block["MultiHeadDotProductAttention_1"])
        x = x + keep[i, 1][:, None, None] * mlp(layer_norm(x, block["LayerNorm_2"]), block["MlpBlock_3"])
    x = layer_norm(x, encoder["encoder_norm"])
    if pool == "map":
        head = p["MAPHead_0"]
        probe = np.broadcast_to(head["probe"], (x.shape[0], 1, x.shape[2]))
        y = attention(probe, x, head["MultiHeadDotProductAttention_0"])
        features = (y + mlp(layer_norm(y, head["LayerNorm_0"]), head["MlpBlock_0"]))[:, 0]
    else:
        features = x.mean(1) if pool == "gap" else x[:, 0]
    if "pre_logits" in p:
        features = np.tanh(features @ p["pre_logits"]["kernel"] + p["pre_logits"]["bias"])
    return features @ p["head"]["kernel"] + p["head"]["bias"], features


def conv(x, kernel, stride, first):
    """Pixel by pixel; `first(size, k, stride)` is how far before the input the first window begins."""
    k = kernel.shape[0]
    height, width = (-(-n // stride) for n in x.shape[1:3])
    top, left = (first(n, k, stride) for n in x.shape[1:3])
    y = np.zeros((x.shape[0], height, width, kernel.shape[3]))
    for row, column, i, j in np.ndindex(height, width, k, k):
        r, c = row * stride + i - top, column * stride + j - left
        if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
            y[:, row, column] += x[:, r, c] @ kernel[i, j]
    return y


def max_pool(x, first):
    """The maximum of the pixels that a 3x3 window at stride 2 covers."""
    height, width = (-(-n // 2) for n in x.shape[1:3])
    top, left = (first(n, 3, 2) for n in x.shape[1:3])
    y = np.zeros((x.shape[0], height, width, x.shape[3]))
    for row, column in np.ndindex(height, width):
        r, c = 2 * row - top, 2 * column - left
        y[:, row, column] = x[:, max(r, 0) : r + 3, max(c, 0) : c + 3].max((1, 2))
    return y


def residual_trunk(p, x, units, first, weights, norm, prefix, keep=None):
    """Returns the maps after all stages; `norm(x, parameters)`, `weights(kernel)` and `first` are those of a style."""
    keep = np.ones((sum(units), x.shape[0])) if keep is None else keep

    def conv_norm(x, p, which, stride=1):
        return norm(conv(x, weights(p[f"conv{which}"]["kernel"]), stride, first), p[f"{prefix}{which}"])

    x = max_pool(np.maximum(conv_norm(x, p, "_root", 2), 0), first)
    index = 0
    for stage, count in enumerate(units):
        for unit in range(count):
            block = p[f"block{stage + 1}"][f"unit{unit + 1}"]
            stride = 2 if stage and not unit else 1
            y = np.maximum(conv_norm(x, block, "1"), 0)
            y = np.maximum(conv_norm(y, block, "2", stride), 0)
            y = conv_norm(y, block, "3") * keep[index][:, None, None, None]
            assert ("conv_proj" in block) == (unit == 0)
            x = np.maximum(y + (x if unit else conv_norm(x, block, "_proj", stride)), 0)
            index += 1
    return x
