"""What a sweep is, as data: grids of upstream runs, checkpoints from elsewhere, and what is done with both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import UserError
from bench.points import Checkpoint, Config, Probe, Transfer, Upstream
from bench.points.datasets import PROPRIETARY_SETS
from bench.points.progressive import stages
from bench.train.static import Static
from sweeps.axes import UP, By, Grid, When, fields_of
from sweeps.order import interleave

if TYPE_CHECKING:
    from sweeps.follow import Rule
    from sweeps.search import Search

__all__ = ["Axis", "By", "Grid", "Sweep", "When"]

_SET = "dataset"
# What a point of a transfer from a given checkpoint calls it.
_GIVEN = UP.rstrip(".")


class Axis(NamedTuple):
    """One axis of a sweep.

    Attributes:
      kind: of the runs whose axis it is, `upstream` or `transfer`.
      grid: number of the grid among those of its kind, from 0.
      name: field, or several joined by "=".
      values: all that it has anywhere.
      static: whether runs that differ in it need different compiled programs.
      condition: where it exists or what its values depend on, for people; empty where it always has all of them.
    """

    kind: str
    grid: int
    name: str
    values: tuple[Any, ...]
    static: bool
    condition: str


def programs(config: Config) -> frozenset[Static]:
    """Returns what identifies the compiled programs of a run, one a stage of its schedule."""
    sides = [stage.resolution for stage in stages(config)] if isinstance(config, Upstream) else [0]
    return frozenset(Static.of(config, resolution=side) for side in sides)


class Builder:
    """Makes configs of points; an upstream run that many transfers share is one object."""

    def __init__(self) -> None:
        self._upstream: dict[tuple[Any, ...], Upstream] = {}

    def upstream(self, point: Mapping[str, Any]) -> Upstream:
        """Returns the config of an upstream point."""
        key = tuple(sorted(point.items()))
        if key not in self._upstream:
            self._upstream[key] = Upstream.from_dict(point)
        return self._upstream[key]

    def transfer(self, point: Mapping[str, Any]) -> Transfer:
        """Returns the config of a transfer point: of a given checkpoint, or of a run whose fields begin with `upstream.`."""
        above = {f.removeprefix(UP): value for f, value in point.items() if f.startswith(UP)}
        own = {f: value for f, value in point.items() if not f.startswith(UP)}
        return Transfer.from_dict({_GIVEN: self.upstream(above), **own} if _GIVEN not in own else own)


@dataclass(frozen=True)
class Sweep:
    """A sweep: upstream points and given checkpoints, and the probes and transfers of both.

    Attributes:
      name: as given to `augreg run`.
      about: what it is for: command, number of points, expected cost and result (the module's docstring).
      upstream: axes of the upstream runs; several grids are run side by side.
      transfer: axes of the transfers of every upstream run and given checkpoint, or of those that a grid's `of` names; None for
        none. A task of the user's own has its facts as the field `own`.
      given: weights from elsewhere, which `Workdir.weights` finds.
      probe: whether every checkpoint is also probed, once for each task and resolution of its transfers.
      follow: where points come from that depend on results; None where none do.
      search: where points come from that are not known in advance; None where all are.
      pruner: of a search, what ends hopeless runs early, a name of `sweeps.search.pruners.PRUNERS`; "" for nothing.
      figures: of the papers, which its runs draw when they are done; names of `bench.report.gallery.FIGURES`.

    Raises:
      UserError: a grid with a pruner.
    """

    name: str
    about: str
    upstream: Grid | Sequence[Grid] = ()
    transfer: Grid | Sequence[Grid] | None = None
    given: Sequence[Checkpoint] = ()
    probe: bool = False
    follow: Rule | None = None
    search: Search | None = None
    pruner: str = ""
    figures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pruner and self.search is None:
            raise UserError(
                f"sweep {self.name!r} is a grid and takes no pruner ({self.pruner!r}): how axes interact is the result, which"
                " needs every run to its end, and ending runs early prefers weak regularisation; only a search is pruned"
            )

    @property
    def upstream_grids(self) -> tuple[Grid, ...]:
        """Returns the grids of upstream runs."""
        return _grids(self.upstream)

    @property
    def transfer_grids(self) -> tuple[Grid, ...]:
        """Returns the grids of transfers, each for the upstream runs that it is `of`."""
        return _grids(self.transfer)

    @cached_property
    def _transfers(self) -> tuple[Grid, ...]:
        """Returns every grid of transfers times every grid of upstream runs, or model of checkpoints, that has some for it."""
        return tuple(whole for grid in self.transfer_grids for whole in self._wholes(grid))

    def _wholes(self, grid: Grid) -> list[Grid]:
        pairs = (grid.under(upstream) for upstream in self.upstream_grids)
        return [pair for pair in pairs if pair is not None] + _of_given(grid, self.given)

    @property
    def size(self) -> tuple[int, int]:
        """Returns the numbers of upstream runs and of transfers, without making any."""
        return sum(g.size for g in self.upstream_grids), sum(g.size for g in self._transfers)

    @cached_property
    def _builder(self) -> Builder:
        return Builder()

    @cached_property
    def upstream_points(self) -> tuple[Upstream, ...]:
        """Returns all upstream configs, in the order to run them."""
        return tuple(self._builder.upstream(p) for p in interleave([g.points() for g in self.upstream_grids]))

    @cached_property
    def transfer_points(self) -> tuple[Transfer, ...]:
        """Returns all transfer configs, in the order to run them."""
        return tuple(self._builder.transfer(p) for p in interleave([g.points() for g in self._transfers]))

    @cached_property
    def probe_points(self) -> tuple[Probe, ...]:
        """Returns all probes, in the order of the transfers that they are to say something of."""
        if not self.probe:
            return ()
        found = dict.fromkeys((t.upstream, t.task, t.resolution, t.own) for t in self.transfer_points)
        return tuple(Probe(upstream, task, resolution, own=own) for upstream, task, resolution, own in found)

    @property
    def planned(self) -> Sequence[Config]:
        """Returns what is to be expected: all configs that will be done, or may be; of a search as many as it may propose."""
        if self.search is not None:
            return self.search.draws(self.search.trials)
        return self.follow.expected(self) if self.follow else self.points

    @cached_property
    def points(self) -> tuple[Config, ...]:
        """Returns all configs that are known in advance, upstream first, then probes.

        Raises:
          UserError: two points of one name.
        """
        points = (*self.upstream_points, *self.probe_points, *self.transfer_points)
        names = [p.name for p in points]
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise UserError(f"sweep {self.name!r} has two points of the name {twice}")
        return points

    def axes(self) -> list[Axis]:
        """Returns the axes of all grids, those of upstream runs first; an axis of one value in its grid is none."""
        found = []
        for number, grid in enumerate(self.upstream_grids):
            found += _axes(Upstream.kind, number, grid, grid, self._builder.upstream)
        for number, grid in enumerate(self.transfer_grids):
            if whole := next(iter(self._wholes(grid)), None):
                found += _axes(Transfer.kind, number, grid, whole, self._builder.transfer)
        return found

    def sets(self) -> list[str]:
        """Returns the upstream sets."""
        searched = [self.search.fixed[_SET]] if self.search and _SET in self.search.fixed else []
        return list(dict.fromkeys([*searched, *(name for grid in self.upstream_grids for name in _sets(grid))]))

    def on(self, dataset: str) -> Sweep:
        """Returns the same sweep over another upstream set, under the name `NAME@SET`.

        The set takes the place of the proprietary ones; where there are none, of all.
        """
        gone = PROPRIETARY_SETS & set(self.sets()) or set(self.sets())
        upstream = tuple(_replaced(g, gone, dataset, _SET) for g in self.upstream_grids)
        transfer = tuple(_replaced(g, gone, dataset, UP + _SET) for g in self.transfer_grids)
        search = self.search and self.search.on(dataset)
        return replace(self, name=f"{self.name}@{dataset}", upstream=upstream, transfer=transfer, search=search)

    def check_sets(self) -> None:
        """Checks that nothing is trained on a set that nobody outside its owner can read.

        Raises:
          UserError: it is; says what to do.
        """
        closed = [name for name in self.sets() if name in PROPRIETARY_SETS]
        if closed:
            raise UserError(
                f"sweep {self.name!r} trains on {' and '.join(closed)}, proprietary and readable by nobody outside its owner:"
                f" put another upstream set in its place, as in `augreg run {self.name} --upstream i21k`"
            )


def _grids(given: Grid | Sequence[Grid] | None) -> tuple[Grid, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, Grid) else tuple(given)


def _of_given(grid: Grid, given: Iterable[Checkpoint]) -> list[Grid]:
    """Returns a grid of transfers times the checkpoints that it is for, one grid a model, which axes may depend on."""
    models: dict[str, list[Checkpoint]] = {}
    for each in given:
        if all(getattr(each, name, None) in wanted for name, wanted in grid.of.items()):
            models.setdefault(each.model, []).append(each)
    return [Grid({_GIVEN: tuple(each), **grid.axes}, {f"{UP}model": model, **grid.fixed}) for model, each in models.items()]


def _axes(kind: str, number: int, grid: Grid, whole: Grid, build: Callable[[Mapping[str, Any]], Config]) -> list[Axis]:
    found = []
    for names, spec in grid.axes.items():
        values = whole.values(names)
        if len(values) > 1 or isinstance(spec, When):
            condition = str(spec) if isinstance(spec, By | When) else ""
            found.append(Axis(kind, number, names, values, _static(whole, names, values, build), condition))
    return found


def _static(grid: Grid, names: str, values: Sequence[Any], build: Callable[[Mapping[str, Any]], Config]) -> bool:
    """Returns whether programs differ between two points that differ in one axis, and in what is fixed by it."""
    first = grid.first(names)
    points = ({**first, **dict.fromkeys(fields_of(names), value)} for value in values)
    return len({programs(build(grid.complete(point))) for point in points}) > 1


def _sets(grid: Grid) -> Sequence[str]:
    if _SET in grid.axes:
        return grid.values(_SET)
    value = grid.fixed[_SET]
    return list(value.values.values()) if isinstance(value, By) else [value]


def _replaced(grid: Grid, gone: frozenset[str] | set[str], dataset: str, field: str) -> Grid:
    """Returns a grid with `dataset` in the place of some sets, also where something depends on the set."""

    def one(value: Any) -> Any:
        return dataset if value in gone else value

    def several(values: Sequence[Any]) -> list[Any]:
        return list(dict.fromkeys(map(one, values)))

    def spec(name: str, value: Any, of_axis: bool) -> Any:
        own = name == field
        if isinstance(value, By):
            inner = {k: (several(v) if of_axis else one(v)) if own else v for k, v in value.values.items()}
            return By(value.field, {one(k): v for k, v in inner.items()} if value.field == field else inner)
        if isinstance(value, When):
            return replace(value, among=several(value.among)) if value.field == field else value
        return (several(value) if of_axis else one(value)) if own else value

    of = {name: several(values) if name == _SET else values for name, values in grid.of.items()}
    axes = {name: spec(name, values, True) for name, values in grid.axes.items()}
    return Grid(axes, {name: spec(name, value, False) for name, value in grid.fixed.items()}, of)
