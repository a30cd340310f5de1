"""Runs the blocks of a network one after the other, recomputed or scanned where asked; parameters are the same either way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bench.models.noise import Noise
from bench.points.execution import Execution

STATS = "batch_stats"


class Block(NamedTuple):
    """One block.

    Attributes:
      name: of its parameters.
      module: made with `parent=None`; called as `module(x, noise, **varying)`, returns the next x. Blocks with equal modules,
        equal shapes of parameters and an output of the input's shape are scanned together.
      varying: numbers by which equal modules differ; ints arrive as int or traced uint32, floats as float or traced float32.
    """

    name: str
    module: nn.Module
    varying: Mapping[str, float]


def run(parent: nn.Module, blocks: Sequence[Block], x: jax.Array, noise: Noise | None, execution: Execution) -> jax.Array:
    """Returns what the last block returns; to be called within a compact method of `parent`, which owns the parameters."""
    if parent.is_initializing() or not (execution.remat or execution.scan):
        for block in blocks:
            x = block.module.clone(parent=parent, name=block.name)(x, noise, **block.varying)
        return x
    found = {block.name: _variables(parent, block.name) for block in blocks}
    for group in _groups(blocks, found, execution.scan):
        while group:
            first, variables = group[0], found[group[0].name]
            if len(group) > 1 and _keeps_shape(first, variables, x, noise):
                group, (x, updates) = [], _scanned(group, found, x, noise, execution.remat)
            else:
                group, (x, updates) = group[1:], _alone(first, variables, x, noise, execution.remat)
            for name, update in updates.items():
                if update:
                    parent.put_variable(STATS, name, update)
    return x


def _keeps_shape(block: Block, variables: Any, x: jax.Array, noise: Noise | None) -> bool:
    y, _ = jax.eval_shape(lambda v, x, n: _alone(block, v, x, n, remat=False), variables, x, noise)
    return bool((y.shape, y.dtype) == (x.shape, x.dtype))


def _variables(parent: nn.Module, name: str) -> dict[str, Any]:
    return {kind: tree[name] for kind, tree in parent.variables.items() if name in tree}


def _groups(blocks: Sequence[Block], found: Mapping[str, Any], scan: bool) -> Iterator[list[Block]]:
    def shape(block: Block) -> Any:
        leaves, tree = jax.tree.flatten(found[block.name])
        return block.module, tree, [leaf.shape for leaf in leaves]

    if not scan:
        yield from ([block] for block in blocks)
        return
    for _, group in groupby(blocks, key=shape):
        yield list(group)


def _apply(module: nn.Module, variables: Any, x: jax.Array, noise: Noise | None, varying: Mapping[str, Any]) -> Any:
    if noise is None:
        return module.apply(variables, x, noise, **varying), {}
    x, updated = module.apply(variables, x, noise, **varying, mutable=[STATS])
    return x, updated.get(STATS, {})


def _alone(block: Block, variables: Any, x: jax.Array, noise: Noise | None, remat: bool) -> tuple[jax.Array, dict[str, Any]]:
    def once(variables: Any, x: jax.Array, noise: Noise | None) -> Any:
        return _apply(block.module, variables, x, noise, block.varying)

    x, update = (jax.checkpoint(once) if remat else once)(variables, x, noise)
    return x, {block.name: update}


def _scanned(
    group: list[Block], found: Mapping[str, Any], x: jax.Array, noise: Noise | None, remat: bool
) -> tuple[jax.Array, dict[str, Any]]:
    def once(x: jax.Array, each: tuple[Any, Mapping[str, Any]]) -> Any:
        return _apply(group[0].module, each[0], x, noise, each[1])

    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(found[block.name] for block in group))
    columns = {key: [block.varying[key] for block in group] for key in group[0].varying}
    varying = {k: np.asarray(v, np.uint32 if all(isinstance(n, int) for n in v) else np.float32) for k, v in columns.items()}
    # Within a scan nothing is merged across steps, so that the recomputation needs no barrier against it.
    body = jax.checkpoint(once, prevent_cse=False) if remat else once
    x, updates = jax.lax.scan(body, x, (stacked, varying))
    return x, {block.name: jax.tree.map(lambda leaf, i=i: leaf[i], updates) for i, block in enumerate(group)}
