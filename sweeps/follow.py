"""Points of a sweep that depend on results: which ones follow from what is known.

A sweep names a rule, which is data. From it comes a `Follow`, which is told of every run that is settled and answers with
points to be done as well. What it has answered in all depends on what it was told and not on the order, so a coordinator that
starts again, or whoever reads the folder, tells it the records that are there and has the same points.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol

from bench.points import Config, Transfer
from bench.records.record import Record
from sweeps.space import Sweep


class Follow(Protocol):
    """What follows from the results of one sweep."""

    def begin(self) -> Sequence[Config]:
        """Returns the points that are known in advance."""
        ...

    def settled(self, config: Config, record: Record | None) -> Sequence[Config]:
        """Notes the end of a run, whose record is None where it failed or was cancelled; returns the points that follow."""
        ...

    def lines(self) -> list[str]:
        """Returns what has been decided so far, for people."""
        ...


class Rule(Protocol):
    """What a sweep says of points that depend on results: data, which a folder remembers by its name and `to_dict`."""

    name: ClassVar[str]
    # Whether transfers of the sweep may be left out.
    partial: ClassVar[bool]

    def start(self, sweep: Sweep) -> Follow:
        """Returns what follows from the results of a sweep, of which nothing is known yet."""
        ...

    def expected(self, sweep: Sweep) -> Sequence[Config]:
        """Returns points that cost what will be done in all, or at most; for plans."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Returns its fields as plain JSON values."""
        ...


class Ended(NamedTuple):
    """How a run ended; its record is None where it failed or was cancelled."""

    record: Record | None


@dataclass(frozen=True)
class Nothing:
    """Nothing follows: all points are known in advance."""

    points: Sequence[Config]

    def begin(self) -> Sequence[Config]:
        """Returns all points."""
        return self.points

    def settled(self, config: Config, record: Record | None) -> Sequence[Config]:  # noqa: ARG002
        """Returns nothing."""
        return ()

    def lines(self) -> list[str]:
        """Returns nothing."""
        return []


def start(sweep: Sweep) -> Follow:
    """Returns what follows from the results of a sweep."""
    return sweep.follow.start(sweep) if sweep.follow else Nothing(sweep.points)


def unfold(follow: Follow, ended: Callable[[Config], Ended | None]) -> list[Config]:
    """Returns all points of a sweep that are known by now, in the order in which they came up.

    Args:
      follow: as `start` gave it; it is told what has ended.
      ended: returns how a run ended, None where it has not.
    """
    if isinstance(follow, Nothing):  # no need to look
        return list(follow.begin())
    found: dict[str, Config] = {}
    new = list(follow.begin())
    while new:
        fresh = [config for config in new if config.name not in found]
        found |= {config.name: config for config in fresh}
        over = ((config, ended(config)) for config in fresh)
        new = [more for config, end in over if end for more in follow.settled(config, end.record)]
    return list(found.values())


def validation(record: Record | None) -> float:
    """Returns the validation accuracy that a run is judged by, NaN where it failed or diverged."""
    last = record.last("val") if record and record.status == "ok" else None
    return last.value if last else math.nan


@dataclass(frozen=True)
class Scores:
    """Probes alone: the transfers say on which tasks, and none is trained."""

    name: ClassVar[str] = "scores"
    partial: ClassVar[bool] = True

    def start(self, sweep: Sweep) -> Follow:
        """Returns what is done of a sweep."""
        return Nothing((*sweep.upstream_points, *sweep.probe_points))

    def expected(self, sweep: Sweep) -> Sequence[Config]:
        """Returns upstream runs and probes."""
        return (*sweep.upstream_points, *sweep.probe_points)

    def to_dict(self) -> dict[str, Any]:
        """Returns no field."""
        return {}


@dataclass(frozen=True)
class Retrain:
    """VTAB-1k's protocol: the setting that did best on val is trained again on train and val, and then tested once.

    Of every checkpoint, task and seed, when all transfers that tune are settled. What failed or diverged is passed over; of
    equal accuracies the first by name is taken.
    """

    name: ClassVar[str] = "retrain"
    partial: ClassVar[bool] = False

    def start(self, sweep: Sweep) -> Follow:
        """Returns what follows from the results of a sweep."""
        return _Retraining(sweep)

    def expected(self, sweep: Sweep) -> Sequence[Config]:
        """Returns all points, and of every checkpoint, task and seed the longest setting once more."""
        tuned = _tuning(sweep.transfer_points).values()
        return [*sweep.points, *(again(max(runs, key=lambda t: t.steps)) for runs in tuned)]

    def to_dict(self) -> dict[str, Any]:
        """Returns no field."""
        return {}


def rule_of(saved: Mapping[str, Any]) -> Rule:
    """Returns the rule whose name and fields these are, as a folder remembers them."""
    from sweeps.live import Live

    rules: tuple[type[Rule], ...] = (Scores, Retrain, Live)
    fields = {name: value for name, value in saved.items() if name != "rule"}
    return next(rule for rule in rules if rule.name == saved["rule"])(**fields)


def again(config: Transfer) -> Transfer:
    """Returns the transfer with the settings of one that tuned, which learns from train and val and measures test."""
    return replace(config, fit="trainval")


def _tuning(transfers: Iterable[Transfer]) -> dict[tuple[str, str, int], list[Transfer]]:
    groups: dict[tuple[str, str, int], list[Transfer]] = defaultdict(list)
    for each in transfers:
        if each.fit == "tune":
            groups[_group(each)].append(each)
    return groups


def _group(config: Transfer) -> tuple[str, str, int]:
    return config.upstream.name, config.task, config.seed


class _Retraining:
    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._open = {group: {t.name for t in runs} for group, runs in _tuning(sweep.transfer_points).items()}
        self._best: dict[tuple[str, str, int], tuple[float, Transfer]] = {}

    def begin(self) -> Sequence[Config]:
        return self._sweep.points

    def settled(self, config: Config, record: Record | None) -> Sequence[Config]:
        if not isinstance(config, Transfer) or config.name not in (left := self._open.get(_group(config), set())):
            return ()
        left.remove(config.name)
        value, group = validation(record), _group(config)
        if not math.isnan(value):
            best = self._best.get(group)
            if best is None or (-value, config.name) < (-best[0], best[1].name):
                self._best[group] = value, config
        return [again(self._best[group][1])] if not left and group in self._best else ()

    def lines(self) -> list[str]:
        return []
