"""What a sweep is: axes and their product, as data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bench.errors import UserError
from bench.points import Config, Transfer, Upstream


@dataclass(frozen=True)
class By:
    """A value that depends on another field of the same point: `By("model", {"Ti/16": 0.001, ...})`."""

    field: str
    values: Mapping[Any, Any]


@dataclass(frozen=True)
class Grid:
    """A full product of axes.

    Attributes:
      axes: field name, or several joined by "=" that share one value, to the list of its values.
      fixed: fields with one value, or with a `By`.
    """

    axes: Mapping[str, Sequence[Any]]
    fixed: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Returns the number of points."""
        size = 1
        for values in self.axes.values():
            size *= len(values)
        return size

    def points(self) -> list[dict[str, Any]]:
        """Returns the fields of every point; the last axis varies fastest.

        Raises:
          UserError: a `By` has no value for a point.
        """
        points = []
        for values in itertools.product(*self.axes.values()):
            point = {f: v for names, v in zip(self.axes, values, strict=True) for f in names.split("=")}
            for name, value in self.fixed.items():
                point[name] = self._choose(name, value, point) if isinstance(value, By) else value
            points.append(point)
        return points

    @staticmethod
    def _choose(name: str, by: By, point: Mapping[str, Any]) -> Any:
        try:
            return by.values[point[by.field]]
        except KeyError:
            raise UserError(f"axis {name!r} has no value for {by.field}={point.get(by.field)!r}") from None


@dataclass(frozen=True)
class Sweep:
    """A named sweep: upstream points, and the transfers of each of them.

    Attributes:
      name: as given to `augreg run`.
      about: what it is for: command, number of points, expected cost and result (the module's docstring).
      upstream: axes of the upstream runs.
      transfer: axes of the transfers of every upstream run; None for none.
    """

    name: str
    about: str
    upstream: Grid
    transfer: Grid | None = None

    @cached_property
    def upstream_points(self) -> tuple[Upstream, ...]:
        """Returns all upstream configs."""
        return tuple(Upstream.from_dict(p) for p in self.upstream.points())

    @cached_property
    def transfer_points(self) -> tuple[Transfer, ...]:
        """Returns all transfer configs."""
        if self.transfer is None:
            return ()
        grid = self.transfer.points()
        return tuple(Transfer.from_dict({"upstream": u, **p}) for u in self.upstream_points for p in grid)

    def on(self, dataset: str) -> Sweep:
        """Returns the same sweep over another upstream set, under the name `NAME@SET`."""
        axes = {field: values for field, values in self.upstream.axes.items() if field != "dataset"}
        grid = Grid(axes, {**self.upstream.fixed, "dataset": dataset})
        return replace(self, name=f"{self.name}@{dataset}", upstream=grid)

    @property
    def points(self) -> tuple[Config, ...]:
        """Returns all configs, upstream first.

        Raises:
          UserError: two points of one name.
        """
        points = (*self.upstream_points, *self.transfer_points)
        names = [p.name for p in points]
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise UserError(f"sweep {self.name!r} has two points of the name {twice}")
        return points
