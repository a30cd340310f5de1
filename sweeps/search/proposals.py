"""The proposals of a search: persisted before they are handed out, told what came of them.

The files `WORKDIR/proposals/NNNNNN.json` and the records are all there is. A new coordinator builds Optuna's trials from them,
hands out again what has no result yet, and goes on; the study that people look at plays no part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from bench.errors import UserError
from bench.points import Config, Upstream
from bench.records.record import Record
from sweeps.layout import Workdir
from sweeps.search import files, objectives, pruners, samplers
from sweeps.search.files import Proposal
from sweeps.search.joint import distribution
from sweeps.search.space import Search
from sweeps.search.two_trial import TwoTrialSampler
from sweeps.space import Sweep


class Proposals:
    """The points of a search, one after the other. It is told all results, those of earlier coordinators first.

    Args:
      workdir: of the sweep; one coordinator at a time.
      search: what is searched.
      name: of the sweep; Hyperband draws brackets by it.
      pruner: a name of `sweeps.search.pruners.PRUNERS`.

    Raises:
      UserError: the folder's proposals are not this search's, the sampler needs what is not installed, or no such name.
    """

    def __init__(
        self,
        workdir: Path,
        search: Search,
        *,
        name: str = "search",
        pruner: str = "",
    ) -> None:
        if pruner and search.sampler == "two-trial":
            raise UserError("the two-trial tuner compares runs that ended: it takes no pruner")
        self._workdir, self._search = workdir, search
        self._objective = objectives.find(search.objective)
        if self._objective.relative and set(search.first[0] if search.first else ()) != set(search.axes):
            raise UserError(f"objective {search.objective!r} compares with the first proposal: give all its axes in `first`")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions = {name: distribution(axis) for name, axis in search.axes.items()}
        self._study = optuna.create_study(
            study_name=name, direction=StudyDirection.MAXIMIZE, sampler=samplers.build(search, 0), pruner=pruners.build(pruner)
        )
        self._configs: list[Upstream] = []  # of every proposal
        self._numbers: dict[str, list[int]] = defaultdict(list)  # proposals by name: equal points are trained once
        self._records: dict[str, Record] = {}
        self._told: set[str] = set()
        self._pruned: set[str] = set()
        self._unsent: list[Upstream] = []
        self._drawn: Proposal | None = None
        self._restore()

    @classmethod
    def of(cls, sweep: Sweep, workdir: Workdir) -> Proposals:
        """Returns the proposals of a sweep that is a search, as its folder has them; their results are told anew."""
        assert sweep.search is not None
        return cls(workdir.path, sweep.search, name=sweep.name, pruner=sweep.pruner)

    @property
    def total(self) -> int:
        """Returns how many points there are in all: at most that many before the search is exhausted, exactly after it."""
        return len(self._numbers) if self.exhausted else self._search.trials

    @property
    def exhausted(self) -> bool:
        """Returns whether nothing more will be proposed."""
        sampler = self._study.sampler
        tuned = isinstance(sampler, TwoTrialSampler) and sampler.exhausted(self._study)
        return not self._unsent and (tuned or len(self._configs) >= self._search.trials)

    @property
    def configs(self) -> tuple[Upstream, ...]:
        """Returns every point that was proposed so far, each once, in the order of proposing."""
        return tuple(self._configs[numbers[0]] for numbers in self._numbers.values())

    def params(self, config: Config) -> Mapping[str, Any]:
        """Returns the values of the axes at which a point was proposed."""
        return dict(self._trial(self._numbers[config.name][0]).params)

    def trials(self) -> list[FrozenTrial]:
        """Returns Optuna's view of all proposals, in their order."""
        return self._study.get_trials(deepcopy=False)

    def next(self) -> Upstream | None:
        """Returns a point to train, None where there is nothing now (more results are needed) or nothing any more.

        Raises:
          OSError: the point could not be written; the next call tries again.
        """
        if self._unsent:
            return self._unsent.pop(0)
        while len(self._configs) < self._search.trials:
            sampler = samplers.build(self._search, len(self._configs))
            self._study.sampler = sampler
            if self._drawn is None and isinstance(sampler, TwoTrialSampler) and not sampler.ready(self._study):
                return None
            config = self._propose()
            if len(self._numbers[config.name]) == 1:
                return config
            # An earlier point: what is known of it counts for both.
            if config.name in self._told:
                self._finish(self._numbers[config.name][-1], self._records[config.name])
        return None

    def tell(self, record: Record) -> list[tuple[Record, float]]:
        """Notes the result of a point; of one that is known already, or was never proposed, nothing.

        Returns:
          The records whose value for the search is known now, with it: none while a relative objective waits for its base, then
          all that waited.
        """
        name = record.config.name
        if name in self._records or name not in self._numbers:
            return []
        self._records[name] = record
        self._unsent = [config for config in self._unsent if config.name != name]
        if self._base is None and self._objective.relative:
            return []  # all wait for the first proposal
        waiting = [each for name, each in self._records.items() if name not in self._told]
        for each in waiting:
            self._told.add(each.config.name)
            for number in self._numbers[each.config.name]:
                self._finish(number, each)
        return [(each, self._objective.of(each, self._base)) for each in waiting]

    def decide(self, progress: Mapping[str, Any]) -> list[str]:
        """Returns the names of runs that are not worth going on with: of a launch the one that it is at, or none.

        Args:
          progress: of the launch: `run`, `steps` and `values`, the [run, step, accuracy] that it measured.
        """
        run, steps = progress["run"], progress["steps"]
        if run not in self._numbers or run in self._records:
            return []
        for name, step, value in progress.get("values", ()):
            if name == run and steps and self._report(run, pruners.percent(step, steps), value):
                self._pruned.add(run)
        return [run] if run in self._pruned else []

    def best(self) -> tuple[Upstream, float] | None:
        """Returns the best point so far with its objective, None where no point ended well."""
        ended = [t for t in self.trials() if t.state == TrialState.COMPLETE and self._status(t.number) == "ok"]
        if not ended:
            return None
        found = max(ended, key=lambda t: (t.value, -t.number))
        assert found.value is not None
        return self._configs[found.number], found.value

    @property
    def _base(self) -> Record | None:
        return self._records.get(self._configs[0].name) if self._configs else None

    def _status(self, number: int) -> str:
        return self._records[self._configs[number].name].status

    def _trial(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _propose(self) -> Upstream:
        # Kept until it is on disk: a disk that is full is tried again, and a trial cannot be taken back.
        self._drawn = self._drawn or self._draw()
        files.write(self._workdir, len(self._configs), self._drawn)
        config, self._drawn = self._drawn.config, None
        self._note(config)
        return config

    def _draw(self) -> Proposal:
        number = len(self._configs)
        first = self._search.first[number] if number < len(self._search.first) else {}
        if first and not isinstance(self._study.sampler, TwoTrialSampler):
            self._study.enqueue_trial(dict(first))
        trial = self._study.ask(self._distributions)
        attributes = {k: v for k, v in self._trial(number).system_attrs.items() if k != "fixed_params"}
        return Proposal(self._search.config(trial.params), trial.params, attributes)

    def _note(self, config: Upstream) -> None:
        self._numbers[config.name].append(len(self._configs))
        self._configs.append(config)

    def _restore(self) -> None:
        for config, params, attributes in files.read(self._workdir):
            self._check(config, params)
            trial = create_trial(
                state=TrialState.RUNNING,
                params=dict(params),
                distributions=self._distributions,
                system_attrs=dict(attributes),
            )
            self._study.add_trial(trial)
            self._note(config)
        self._unsent = list(self.configs)

    def _check(self, config: Upstream, params: Mapping[str, Any]) -> None:
        path = files.path(self._workdir, len(self._configs))
        try:
            mine = self._search.config(params)
        except (KeyError, UserError) as error:
            raise UserError(f"{path}: no proposal of this search ({error}): use another --workdir") from None
        if mine != config:
            raise UserError(
                f"{path}: proposed as {config.name}, but this search makes {mine.name} of it: it was changed, and results of"
                " two searches are never mixed: use another --workdir"
            )

    def _finish(self, number: int, record: Record) -> None:
        for measured in (m for m in record.measurements if (m.split, m.metric) == ("val", "accuracy")):
            steps = record.config.steps(record.data["train"]) if isinstance(record.config, Upstream) else 0
            self._report_to(number, pruners.percent(measured.step, max(steps, 1)), measured.value)
        if record.status == "pruned":
            self._study.tell(number, state=TrialState.PRUNED)
        else:
            self._study.tell(number, self._objective.of(record, self._base))

    def _report(self, name: str, percent: int, value: float) -> bool:
        answers = [self._report_to(number, percent, value) for number in self._numbers[name]]
        return any(answers)

    def _report_to(self, number: int, percent: int, value: float) -> bool:
        """Returns whether the pruner would end the trial at what it reports now; what it reported before is not asked again."""
        frozen = self._trial(number)
        if percent in frozen.intermediate_values:
            return False
        trial = optuna.trial.Trial(self._study, frozen._trial_id)
        trial.report(value, percent)
        return trial.should_prune()


def optima(proposals: Proposals) -> Iterable[tuple[tuple[Any, Any], float]]:
    """Yields ((model, epochs), rate) for what the two-trial tuner has tuned; nothing for other samplers."""
    sampler = proposals._study.sampler
    if isinstance(sampler, TwoTrialSampler):
        yield from sampler.best(proposals._study).items()
