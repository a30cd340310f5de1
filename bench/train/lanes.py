"""K runs as lanes of one program: own parameters, own hyper-parameters, own random streams, one stream of decoded images.

Lanes are the leading axis of every array that differs between them, and nothing is ever computed across it: a lane that
diverges leaves the others as they are, bit for bit. On several devices the lanes are dealt out and each device trains its own,
without any sum over devices; on one device they are computed side by side. A lane computes what its run computes by itself, but
for rounding: products of a batch of matrices are summed in another order than those of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec, Sharding

from bench.augment import mixing
from bench.train.placement import AXIS, Placement
from bench.train.program import Batches, Programs, State, Tree
from bench.train.static import Static

# Of a state, what has the lanes' axis: everything but the number of steps, which they take together.
_STATE = State._make(None if field == "step" else 0 for field in State._fields)


class Dealt(Placement):
    """Lanes dealt out to devices, as many to each; what they share lies on every device."""

    def __init__(self, devices: Sequence[jax.Device], lanes: int) -> None:
        super().__init__(devices, (lanes,), fsdp=False)

    def batch(self, axis: int) -> Sharding:  # noqa: ARG002 - every lane sees the whole batch
        """Returns the sharding of a batch: whole, on every device."""
        return self.everywhere

    def over(self, axes: Any) -> Any:
        """Returns the shardings of a tree whose leaves say which axis is the lanes', None where there is none."""
        return _map(lambda axis: self.everywhere if axis is None else super(Dealt, self).batch(axis), axes)

    def across(self, function: Callable[..., Any], given: Any, back: Any) -> Callable[..., Any]:
        """Returns `function` so that every device computes its own lanes; `given` and `back` as for `over`."""
        specs = [_map(lambda axis: PartitionSpec() if axis is None else PartitionSpec(AXIS), axes) for axes in (given, back)]
        return jax.shard_map(function, mesh=self._mesh, in_specs=specs[0], out_specs=specs[1], check_vma=False)


def _map(f: Callable[..., Any], axes: Any, *trees: Any) -> Any:
    return jax.tree.map(f, axes, *trees, is_leaf=lambda x: x is None)


def _alone(function: Callable[..., Any], given: Any, back: Any) -> Callable[..., Any]:
    """Returns what `jax.vmap` returns, for one lane: without an axis of length 1 within, it rounds as a run by itself."""

    def one(*arguments: Any) -> Any:
        own = _map(lambda axis, part: part if axis is None else jax.tree.map(lambda x: x[0], part), given, arguments)
        result = function(*own)
        return _map(lambda axis, part: part if axis is None else jax.tree.map(lambda x: x[None], part), back, result)

    return one


class Lanes(Programs):
    """The compiled programs of several runs with an equal `Static`.

    Attributes:
      count: number of lanes.
      shared: whether all lanes see the same examples in the same order; else each has a stream of its own, and shorter
        dispatches, so that as many images are held.
    """

    def __init__(self, static: Static, count: int, shared: bool, devices: Sequence[jax.Device] | None = None) -> None:
        super().__init__(static if shared else replace(static, chunk=max(1, static.chunk // count)), devices)
        self.count, self.shared = count, shared
        self.placement: Dealt = Dealt(devices or jax.devices(), count)

    def _over_lanes(self, function: Callable[..., Any], given: Any, back: Any) -> Callable[..., Any]:
        each = self.count // self.placement.count
        lanes = _alone(function, given, back) if each == 1 else jax.vmap(function, in_axes=given, out_axes=back)
        return lanes if self.placement.count == 1 else self.placement.across(lanes, given, back)

    def stack(self, trees: Sequence[Any]) -> Any:
        """Returns trees of the lanes as one tree of arrays with the lanes' axis in front, where the programs expect it."""
        return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *trees), self.placement.over(0))

    def start_all(self, weights: Sequence[Tree]) -> State:
        """Returns the state of all lanes before the first step, with the given weights of each."""
        first, *others = self.stack([tuple(self._start(w)) for w in weights])
        return State(jax.device_put(first[0], self.placement.everywhere), *others)

    @property
    def _seen(self) -> Batches:
        own = None if self.shared else 0
        return Batches(own, own, own, own, mixing.Mixing(0, 0))

    @cached_property
    def train(self) -> Any:
        """Returns the compiled `(states, batches, first, end, classes, hypers) -> (states, losses[lanes, chunk])`.

        `states` are given up. All but the state's step, `first`, `end` and `classes` have the lanes' axis in front; of the
        batches, images, labels, examples and passes have it only where lanes do not share them.
        """
        given, back = (_STATE, self._seen, None, None, None, 0), (_STATE, 0)

        def wide(axis: int | None, part: Any) -> Any:
            if axis is None:
                return part
            return jax.tree.map(lambda x: jax.ShapeDtypeStruct((self.count, *np.shape(x)), x.dtype), part)

        place = self.placement
        step = jax.jit(
            self._over_lanes(self._chunk, given, back),
            donate_argnums=0,
            in_shardings=place.over(given),
            out_shardings=place.over(back),
        )
        return self._compile(f"train step, {self.count} lanes", step, _map(wide, given, self._arguments()))

    @cached_property
    def evaluate(self) -> Any:
        """Returns the compiled `(weights, images, classes) -> int32[lanes, eval_batch]`, as the one of `Programs`."""
        s, given = self.static, (0, None, None)
        images = jax.ShapeDtypeStruct((s.eval_batch, s.resolution, s.resolution, 3), np.uint8)
        weights = jax.tree.map(lambda x: jax.ShapeDtypeStruct((self.count, *x.shape), x.dtype), self.shapes)
        program = jax.jit(
            self._over_lanes(self._evaluate, given, 0),
            in_shardings=self.placement.over(given),
            out_shardings=self.placement.everywhere,
        )
        return self._compile(f"evaluation, {self.count} lanes", program, (weights, images, np.int32(0)))


@jax.jit
def lane(states: State, index: int) -> State:
    """Returns the state of one lane."""
    return State(states.step, *jax.tree.map(lambda x: x[index], tuple(states)[1:]))


@partial(jax.jit, donate_argnums=0)
def put(states: State, index: int, state: State) -> State:
    """Returns `states`, which are given up, with those of one lane but for its step replaced."""
    return State(states.step, *jax.tree.map(lambda x, y: x.at[index].set(y), tuple(states)[1:], tuple(state)[1:]))


@cache
def lanes(static: Static, count: int, shared: bool) -> Lanes:
    """Returns the programs of so many lanes; the same ones for the whole life of the process."""
    return Lanes(static, count, shared)
