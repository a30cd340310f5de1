"""Grids as data: axes, values that depend on other fields, and the full factorials that both come to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from bench.errors import UserError

S = TypeVar("S", bound="By | When | Sequence[Any]")
# In a transfer's grid, what a field of its upstream run is called.
UP = "upstream."
# One full factorial: axes (fields joined by "=", as in a grid) and their values.
Block = tuple[tuple[str, tuple[Any, ...]], ...]
Point = dict[str, Any]


@dataclass(frozen=True)
class By:
    """What depends on another field of the same point: `By("model", {"Ti/16": 0.001, ...})`; of an axis, its list of values."""

    field: str
    values: Mapping[Any, Any]

    def __str__(self) -> str:
        groups: dict[str, list[str]] = {}
        for key, value in self.values.items():
            groups.setdefault(shown(value), []).append(str(key))
        return f"by {self.field}: " + "; ".join(f"{', '.join(keys)}: {value}" for value, keys in groups.items())


@dataclass(frozen=True)
class When:
    """An axis that exists only where another field has certain values: `When("optimizer", ["adam"], [0.9, 0.99])`.

    Attributes:
      field: the other one.
      among: its values where the axis exists.
      values: of the axis.
      otherwise: the field's value elsewhere; None leaves the field at its default.
    """

    field: str
    among: Sequence[Any]
    values: Sequence[Any]
    otherwise: Any = None

    def __str__(self) -> str:
        elsewhere = "" if self.otherwise is None else f"; {shown(self.otherwise)} elsewhere"
        return f"only where {self.field} is {' or '.join(map(shown, self.among))}{elsewhere}"


def shown(value: Any) -> str:
    """Returns a value, or several, for people."""
    return ", ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value) or "''"


Values = Sequence[Any] | By | When


def fields_of(names: str) -> list[str]:
    """Returns the fields that share the value of one axis."""
    return names.split("=")


def choose(name: str, by: By, point: Mapping[str, Any]) -> Any:
    """Returns the value that belongs to a point.

    Raises:
      UserError: there is none.
    """
    try:
        return by.values[point[by.field]]
    except KeyError:
        raise UserError(f"axis {name!r} has no value for {by.field}={point.get(by.field)!r}") from None


def _present(name: str, spec: Values, known: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns an axis's values where the fields that it depends on are known; none where it does not exist."""
    if isinstance(spec, By | When) and spec.field not in known:
        raise UserError(f"axis {name!r} depends on {spec.field!r}, which is neither fixed nor an axis before it")
    if isinstance(spec, By):
        return tuple(choose(name, spec, known))
    if isinstance(spec, When):
        if known[spec.field] in spec.among:
            return tuple(spec.values)
        return () if spec.otherwise is None else (spec.otherwise,)
    return tuple(spec)


def _blocks(axes: tuple[tuple[str, Values], ...], known: Mapping[str, Any]) -> tuple[Block, ...]:
    """Returns the full factorials that the axes come to; only the values of axes that others depend on are gone through."""
    if not axes:
        return ((),)
    (names, spec), *rest = axes
    values = _present(names, spec, known)
    if not values and isinstance(spec, When):
        return _blocks(tuple(rest), known)
    groups: dict[tuple[Block, ...], list[Any]] = {}
    if any(isinstance(s, By | When) and s.field in fields_of(names) for _, s in rest):
        for value in values:
            after = _blocks(tuple(rest), {**known, **dict.fromkeys(fields_of(names), value)})
            groups.setdefault(after, []).append(value)
    else:
        groups[_blocks(tuple(rest), known)] = list(values)
    return tuple(((names, tuple(group)), *block) for after, group in groups.items() for block in after)


@dataclass(frozen=True)
class Grid:
    """A product of axes.

    Attributes:
      axes: field name, or several joined by "=" that share one value, to the list of its values, a `By` with lists or a `When`;
        an axis comes after those that it depends on.
      fixed: fields with one value, or with a `By`.
      of: of a transfer's grid: which upstream runs it is for, by the values of some of their fields; all by default.
    """

    axes: Mapping[str, Values]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    of: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Returns the full factorials that make up the grid; no two have a point in common.

        Raises:
          UserError: an axis depends on something unknown.
        """
        plain = {name: value for name, value in self.fixed.items() if not isinstance(value, By)}
        return _blocks(tuple(self.axes.items()), plain)

    @property
    def size(self) -> int:
        """Returns the number of points, without making any."""
        return sum(math.prod(len(values) for _, values in block) for block in self.blocks)

    def points(self) -> list[Point]:
        """Returns the fields of every point, in the order of `sweeps.order`.

        Raises:
          UserError: a `By` has no value for a point.
        """
        from sweeps.order import interleave, walk

        walked = []
        for block in self.blocks:
            chosen: Iterator[list[int]] = walk(tuple(len(values) for _, values in block)).tolist()
            walked.append([self.complete(self._fields(block, levels)) for levels in chosen])
        return interleave(walked)

    @staticmethod
    def _fields(block: Block, levels: Sequence[int]) -> Point:
        return {f: values[i] for (names, values), i in zip(block, levels, strict=True) for f in fields_of(names)}

    def complete(self, point: Point) -> Point:
        """Adds the fixed fields to those of the axes.

        Raises:
          UserError: a `By` has no value for the point.
        """
        point |= {name: value for name, value in self.fixed.items() if not isinstance(value, By)}
        return point | {name: choose(name, value, point) for name, value in self.fixed.items() if isinstance(value, By)}

    def first(self, names: str) -> Point:
        """Returns the axes' fields of the first point in which an axis exists."""
        block = next(block for block in self.blocks if any(n == names for n, _ in block))
        return self._fields(block, [0] * len(block))

    def values(self, names: str) -> tuple[Any, ...]:
        """Returns all values that an axis has somewhere."""
        return tuple(dict.fromkeys(v for block in self.blocks for n, values in block if n == names for v in values))

    def under(self, upstream: Grid) -> Grid | None:
        """Returns this transfer's grid times the upstream points that it is for; None where there are none.

        The fields of the upstream runs are called `upstream.model` and so on.

        Raises:
          UserError: `of` names a field that is neither an axis nor fixed.
        """
        axes, fixed = dict(upstream.axes), upstream.fixed
        for name, wanted in self.of.items():
            names = next((n for n in axes if name in fields_of(n)), None)
            if names is None and (name not in fixed or isinstance(fixed[name], By)):
                raise UserError(f"transfers are of {name}={list(wanted)!r}, but {name!r} is neither an axis nor a fixed value")
            there = (fixed[name],) if names is None else upstream.values(names)
            kept = [value for value in there if value in wanted]
            if not kept:
                return None
            if names is not None and len(kept) < len(there):
                if isinstance(axes[names], By | When):
                    raise UserError(f"transfers are of some values of {name!r}, which depends on another field")
                axes[names] = kept
        renamed: dict[str, Values] = {"=".join(UP + f for f in fields_of(n)): _renamed(spec) for n, spec in axes.items()}
        return Grid({**renamed, **self.axes}, {**{UP + n: _renamed(v) for n, v in fixed.items()}, **self.fixed})


def _renamed(spec: Any) -> Any:
    return replace(spec, field=UP + spec.field) if isinstance(spec, By | When) else spec
