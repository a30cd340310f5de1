"""A strategy at work: only the transfers that it asks for are trained, and what they give is its answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import pandas as pd

from bench.cost import forward_flops, training_flops
from bench.cost.flops import weights
from bench.errors import UserError
from bench.points import Checkpoint, Config, Probe, Transfer, Upstream
from bench.records import scores
from bench.records.record import Record
from bench.select.drive import Driver
from bench.select.pool import Pool
from bench.select.strategies import find
from bench.select.strategy import Choice
from bench.select.validation import V2_OF, saw
from sweeps.board import needed
from sweeps.follow import again, validation
from sweeps.space import Sweep


@dataclass(frozen=True)
class Live:
    """A strategy of `bench.select.strategies` chooses for every task among all checkpoints, and says what is trained for it.

    The sweep's transfers are what it can ask for. It begins on a task when all checkpoints are trained and probed; those that
    failed or diverged do not compete. Where transfers tune, the one that it chooses is trained again on train and val.

    Attributes:
      strategy: its name.
      budget: number of checkpoints that it may adapt to a task; None for its usual.
      upstream_scores: upstream validation accuracies of given checkpoints, by their names, where they are known.
      seed: of strategies that draw.
    """

    name: ClassVar[str] = "live"
    partial: ClassVar[bool] = True

    strategy: str
    budget: int | None = None
    upstream_scores: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def start(self, sweep: Sweep) -> Choosing:
        """Returns the strategy at the beginning of a sweep.

        Raises:
          UserError: there is no such strategy, its budget is below 1, or the sweep gives it nothing to choose by.
        """
        return Choosing(self, sweep)

    def expected(self, sweep: Sweep) -> Sequence[Config]:
        """Returns all points: the most that it can ask for."""
        return sweep.points

    def to_dict(self) -> dict[str, Any]:
        """Returns its fields as plain JSON values."""
        return asdict(self)


class Choosing:
    """A strategy at every task of a sweep; see `Live`."""

    def __init__(self, rule: Live, sweep: Sweep) -> None:
        _check(rule, sweep)
        self._rule, self._sweep = rule, sweep
        by_task: dict[str, list[Transfer]] = defaultdict(list)
        for each in sweep.transfer_points:
            by_task[each.task].append(each)
        self._contests = [_Contest(rule, sweep, transfers) for transfers in by_task.values()]

    @property
    def choices(self) -> dict[str, Choice]:
        """Returns what has been chosen, by task."""
        return {contest.task: contest.choice for contest in self._contests if contest.choice}

    def begin(self) -> Sequence[Config]:
        """Returns upstream runs and probes; where there is none, what the strategy asks for first."""
        asked = [config for contest in self._contests for config in contest.asks()]
        return [*self._sweep.upstream_points, *self._sweep.probe_points, *asked]

    def settled(self, config: Config, record: Record | None) -> Sequence[Config]:
        """Notes the end of a run; returns what the strategy then asks for."""
        return [asked for contest in self._contests if contest.hears(config, record) for asked in contest.asks()]

    def lines(self) -> list[str]:
        """Returns a line a task that is decided."""
        return [
            f"{task}: {self._rule.strategy} chooses {choice.run or choice.filename or 'nothing'} ({choice.why})"
            for task, choice in self.choices.items()
        ]


def _check(rule: Live, sweep: Sweep) -> None:
    """Checks before anything is trained that the strategy will have what it needs."""
    strategy = find(rule.strategy)
    if rule.budget is not None and rule.budget < 1:
        raise UserError(f"a budget of {rule.budget} checkpoints, but at least 1 must be adapted")
    known = bool(sweep.upstream_grids) or any(each.name in rule.upstream_scores for each in sweep.given)
    facts = {"final_val": known, "params": True, "history": False}
    for need in strategy.needs:
        if not facts.get(need, sweep.probe):
            raise UserError(strategy.complaint(need))


class _Contest:
    """One task: what must be known before the strategy can begin, and the strategy.

    Attributes:
      task: its name.
      choice: None until there is one.
    """

    def __init__(self, rule: Live, sweep: Sweep, transfers: Sequence[Transfer]) -> None:
        self.task = transfers[0].task
        self.choice: Choice | None = None
        self._rule = rule
        self._transfers = {t.name: t for t in transfers}
        self._checkpoints = {t.upstream.name: t.upstream for t in transfers}
        self._probes = {p.name: p for p in sweep.probe_points if p.task == self.task}
        self._unknown = {run.name for t in transfers if (run := needed(t))} | self._probes.keys()
        self._records: dict[str, Record] = {}
        self._driver: Driver | None = None
        self._asked: set[str] = set()

    def hears(self, config: Config, record: Record | None) -> bool:
        """Notes the end of a run; returns whether it is one of the contest's."""
        if config.name in self._unknown:
            self._unknown.remove(config.name)
            if record and record.status == "ok":
                self._records[config.name] = record
            elif isinstance(config, Upstream):
                del self._checkpoints[config.name]
                self._unknown -= {p.name for p in self._probes.values() if p.upstream.name == config.name}
        elif self._driver and config.name in self._driver.wanted:
            self._driver.tell(pd.Series({config.name: self._score(record)}, dtype="float64"))
        else:
            return False
        return True

    def asks(self) -> list[Transfer]:
        """Returns the transfers that are to be trained and were not asked for before."""
        if self._unknown or self.choice:
            return []
        if self._driver is None:
            try:
                self._driver = Driver(find(self._rule.strategy), self._pool(), self._rule.budget)
            except UserError as error:  # every probe failed, for instance
                self.choice = Choice(None, None, str(error))
                return []
        self.choice = self._driver.choice
        fresh = [self._transfers[name] for name in self._driver.wanted if name not in self._asked]
        self._asked |= {config.name for config in fresh}
        if self.choice and self.choice.run and self._transfers[self.choice.run].fit == "tune":
            fresh.append(again(self._transfers[self.choice.run]))
        return fresh

    def _score(self, record: Record | None) -> float:
        # As in a table: where a checkpoint saw ImageNet's training images, ImageNetV2 judges.
        seen = self.task == V2_OF and any(saw(_ds(each), V2_OF) for each in self._checkpoints.values())
        v2 = record.last("imagenet_v2") if seen and record and record.status == "ok" else None
        return v2.value if v2 else validation(record)

    def _pool(self) -> Pool:
        probes = self._lowest()
        competing = [t for t in self._transfers.values() if t.upstream.name in self._checkpoints]
        found = scores.from_records(self._records[p.name] for p in probes.values() if p.name in self._records)
        return Pool.of(
            pd.DataFrame([self._row(name, competing) for name in self._checkpoints], columns=_COLUMNS),
            pd.DataFrame([_run(t) for t in competing], columns=_RUN_COLUMNS),
            found[found["split"] != "test"].pivot(index="filename", columns="score", values="value").reset_index(),
            task=self.task,
            group=next(iter(self._transfers.values())).facts.group,
            seed=self._rule.seed,
        )

    def _lowest(self) -> dict[str, Probe]:
        """Returns the probe of every checkpoint at its lowest resolution, as strategies see them in a table."""
        ordered = sorted(self._probes.values(), key=lambda p: -p.resolution)
        return {p.upstream.name: p for p in ordered if p.upstream.name in self._checkpoints}

    def _row(self, name: str, competing: Sequence[Transfer]) -> dict[str, Any]:
        upstream, record = self._checkpoints[name], self._records.get(name)
        pixels = min(t.resolution for t in competing if t.upstream.name == name)
        last = record.last("val") if record else None
        classes = competing[0].facts.classes
        return {
            "filename": name,
            "name": upstream.model,
            "ds": _ds(upstream),
            "final_val": last.value if last else self._rule.upstream_scores.get(name),
            "params": weights(upstream.model, pixels, classes),
            "flops": forward_flops(upstream.model, pixels, 0),
        }


_COLUMNS = ("filename", "name", "ds", "final_val", "params", "flops")
_RUN_COLUMNS = ("adapt_filename", "filename", "adapt_lr", "adapt_steps", "adapt_resolution", "flops")


def _ds(upstream: Upstream | Checkpoint) -> str:
    run = upstream.run if isinstance(upstream, Checkpoint) else upstream
    return run.ds if run else ""


def _run(config: Transfer) -> dict[str, Any]:
    return dict(
        zip(
            _RUN_COLUMNS,
            (config.name, config.upstream.name, config.lr, config.steps, config.resolution, training_flops(config)),
            strict=True,
        )
    )
