"""What a search is, as data: axes, what proposes points on them, what makes one point better than another."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bench.errors import UserError
from bench.points import Upstream
from sweeps.search.axes import Axis
from sweeps.space import By

# Columns of a line.
_WIDTH = 110


@dataclass(frozen=True)
class Made:
    """A field made from several axes, which are then no fields of a run themselves.

    Attributes:
      by: from the values of the axes, in their order, to that of the field.
      axes: their names.
    """

    by: Callable[..., Any]
    axes: Sequence[str]


@dataclass(frozen=True)
class Search:
    """A search over upstream runs.

    Attributes:
      sampler: a name of `sweeps.search.samplers.SAMPLERS`.
      trials: proposals in all, at most.
      axes: field of a run, or several joined by "=" that share one value, to what its values may be. What a `Made` takes is no
        field.
      fixed: fields with one value, with a `By`, or with a `Made`.
      objective: a name of `sweeps.search.objectives.OBJECTIVES`.
      seed: of the sampler; the same seed and the same results give the same proposals.
      first: axes of the proposals to begin with; what one leaves out, the sampler chooses.
    """

    sampler: str
    trials: int
    axes: Mapping[str, Axis]
    fixed: Mapping[str, Any]
    objective: str = "val"
    seed: int = 0
    first: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if self.trials < 1 or not self.axes:
            raise UserError("a search has at least one trial and one axis")
        made = [axis for value in self.fixed.values() if isinstance(value, Made) for axis in value.axes]
        for axis in (*made, *(axis for point in self.first for axis in point)):
            if axis not in self.axes:
                raise UserError(f"a search has no axis {axis!r}, but a fixed or a first value needs it")

    @cached_property
    def _taken(self) -> frozenset[str]:
        return frozenset(axis for value in self.fixed.values() if isinstance(value, Made) for axis in value.axes)

    def config(self, params: Mapping[str, Any]) -> Upstream:
        """Returns the run at the values `params` of all axes.

        Raises:
          UserError: an impossible run, or a `By` has no value for it.
        """
        values = {axis: kind.rounded(params[axis]) for axis, kind in self.axes.items()}
        point = {f: v for axis, v in values.items() if axis not in self._taken for f in axis.split("=")}
        for name, value in self.fixed.items():
            if isinstance(value, Made):
                point[name] = value.by(*(values[axis] for axis in value.axes))
            elif not isinstance(value, By):
                point[name] = value
        for name, value in self.fixed.items():
            if isinstance(value, By):
                if point.get(value.field) not in value.values:
                    raise UserError(f"field {name!r} has no value for {value.field}={point.get(value.field)!r}")
                point[name] = value.values[point[value.field]]
        return Upstream.from_dict(point)

    def draws(self, number: int) -> tuple[Upstream, ...]:
        """Returns the points to begin with and others by chance, `number` in all: what a plan can know of a search."""
        chance = random.Random(self.seed)
        found = []
        for i in range(number):
            first = self.first[i] if i < len(self.first) else {}
            drawn = {name: axis.at(chance.random()) for name, axis in self.axes.items()}
            found.append(self.config({**drawn, **first}))
        return tuple(found)

    def on(self, dataset: str) -> Search:
        """Returns the same search over another upstream set."""
        axes = {name: axis for name, axis in self.axes.items() if name != "dataset"}
        return replace(self, axes=axes, fixed={**self.fixed, "dataset": dataset})

    def skeleton(self) -> dict[str, Any]:
        """Returns, as JSON values, what must not change under results; `trials` may."""
        return {
            "sampler": self.sampler,
            "objective": self.objective,
            "seed": self.seed,
            "axes": {name: f"{type(axis).__name__}: {axis}" for name, axis in self.axes.items()},
        }

    def lines(self) -> list[str]:
        """Returns the search for people: sampler, trials, axes, fixed fields."""
        out = [f"search by {self.sampler} for the best {self.objective}: at most {self.trials:,} trials"]
        for name, axis in self.axes.items():
            out += _wrapped(name, "searched", str(axis))
        for name, value in self.fixed.items():
            made = f"made from {value.axes[0]} to {value.axes[-1]}" if isinstance(value, Made) else None
            out += _wrapped(name, "fixed", made or str(getattr(value, "values", value)))
        for point in self.first:
            out += _wrapped("first", "trial", ", ".join(f"{name} {value}" for name, value in point.items()))
        return out


def _wrapped(name: str, kind: str, text: str) -> list[str]:
    head = f"  {name:<14}{kind:<10}"
    return textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
