"""Weights: parameters and running statistics as one tree, as files hold them, and taken apart, as training has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from flax import traverse_util

Tree = dict[str, Any]
# Names of running statistics in every family; no parameter has them.
_STATS = ("mean", "var")


def split(weights: Tree) -> tuple[Tree, Tree]:
    """Returns (parameters, running statistics); a family without batch normalisation has none of the latter."""
    parts: tuple[Tree, Tree] = ({}, {})
    for path, leaf in traverse_util.flatten_dict(weights).items():
        parts[path[-1] in _STATS][path] = leaf
    params, stats = (traverse_util.unflatten_dict(part) for part in parts)
    return params, stats


def merge(params: Tree, stats: Tree) -> Tree:
    """Returns the weights that `split` takes apart."""
    merged: Tree = traverse_util.unflatten_dict({**traverse_util.flatten_dict(params), **traverse_util.flatten_dict(stats)})
    return merged


def flat(weights: Tree) -> dict[str, Any]:
    """Returns the leaves by '/'-joined name."""
    leaves: dict[str, Any] = traverse_util.flatten_dict(weights, sep="/")
    return leaves


def count(params: Tree) -> int:
    """Returns the number of elements."""
    return sum(int(np.prod(leaf.shape)) for leaf in flat(params).values())
