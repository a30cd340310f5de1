"""The proposals of a search: persisted before they are handed out, told what came of them.

The files `WORKDIR/proposals/NNNNNN.json` and the records are all there is. A new coordinator builds Optuna's trials from them,
hands out again what has no result yet, and goes on; the study that people look at plays no part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from bench.errors import UserError
from bench.points import Upstream
from bench.records.atomic import read_json, write_json
from bench.records.record import Record
from sweeps.search import objectives, pruners, samplers
from sweeps.search.joint import distribution
from sweeps.search.space import Search
from sweeps.search.two_trial import TwoTrialSampler

FOLDER = "proposals"


class Proposals:
    """The points of a search, one after the other.

    Args:
      workdir: of the sweep; one coordinator at a time.
      search: what is searched.
      known: returns the accepted record of a config, None where there is none.
      name: of the sweep; Hyperband draws brackets by it.
      pruner: a name of `sweeps.search.pruners.PRUNERS`.

    Raises:
      UserError: the folder's proposals are not this search's, the sampler needs what is not installed, or no such name.
    """

    def __init__(
        self,
        workdir: Path,
        search: Search,
        known: Callable[[Upstream], Record | None] = lambda _: None,
        *,
        name: str = "search",
        pruner: str = "",
    ) -> None:
        if pruner and search.sampler == "two-trial":
            raise UserError("the two-trial tuner compares runs that ended: it takes no pruner")
        self._folder, self._search = workdir / FOLDER, search
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
        self._restore(known)

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

    def params(self, config: Upstream) -> Mapping[str, Any]:
        """Returns the values of the axes at which a point was proposed."""
        return dict(self._trial(self._numbers[config.name][0]).params)

    def trials(self) -> list[FrozenTrial]:
        """Returns Optuna's view of all proposals, in their order."""
        return self._study.get_trials(deepcopy=False)

    def next(self) -> Upstream | None:
        """Returns a point to train, None where there is nothing now (more results are needed) or nothing any more."""
        if self._unsent:
            return self._unsent.pop(0)
        while len(self._configs) < self._search.trials:
            sampler = samplers.build(self._search, len(self._configs))
            self._study.sampler = sampler
            if isinstance(sampler, TwoTrialSampler) and not sampler.ready(self._study):
                return None
            config = self._propose()
            if len(self._numbers[config.name]) == 1:
                return config
            # An earlier point: what is known of it counts for both.
            if config.name in self._told:
                self._finish(self._numbers[config.name][-1], self._records[config.name])
        return None

    def tell(self, record: Record) -> None:
        """Notes the result of a point; of one that is known already, or was never proposed, nothing."""
        name = record.config.name
        if name in self._records or name not in self._numbers:
            return
        self._records[name] = record
        self._unsent = [config for config in self._unsent if config.name != name]
        if self._base is None and self._objective.relative:
            return  # all wait for the first proposal
        for waiting in [n for n in self._records if n not in self._told]:
            self._told.add(waiting)
            for number in self._numbers[waiting]:
                self._finish(number, self._records[waiting])

    def decide(self, progress: Mapping[str, Any]) -> list[str]:
        """Returns the names of runs that are not worth going on with, each once.

        Args:
          progress: of a launch: `run`, `steps` and `values`, the [run, step, accuracy] that it measured.
        """
        hopeless = []
        for name, step, value in progress.get("values", ()):
            if name != progress["run"] or name not in self._numbers or name in self._records or not progress["steps"]:
                continue
            if self._report(name, pruners.percent(step, progress["steps"]), value) and name not in self._pruned:
                self._pruned.add(name)
                hopeless.append(name)
        return hopeless

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

    def _path(self, number: int) -> Path:
        return self._folder / f"{number + 1:06d}.json"

    def _propose(self) -> Upstream:
        number = len(self._configs)
        first = self._search.first[number] if number < len(self._search.first) else {}
        if first and not isinstance(self._study.sampler, TwoTrialSampler):
            self._study.enqueue_trial(dict(first))
        trial = self._study.ask(self._distributions)
        config = self._search.config(trial.params)
        attributes = {k: v for k, v in self._trial(number).system_attrs.items() if k != "fixed_params"}
        value = {
            "name": config.name,
            "digest": config.digest,
            "config": config.to_dict(),
            "params": trial.params,
            "attributes": attributes,
        }
        if not write_json(self._path(number), value, exclusive=True):
            raise UserError(f"{self._path(number)} was written by somebody else: one coordinator a folder")
        self._note(config)
        return config

    def _note(self, config: Upstream) -> None:
        self._numbers[config.name].append(len(self._configs))
        self._configs.append(config)

    def _restore(self, known: Callable[[Upstream], Record | None]) -> None:
        while (path := self._path(len(self._configs))).exists():
            value = read_json(path)
            config = self._search_config(path, value)
            self._study.add_trial(
                create_trial(
                    state=TrialState.RUNNING,
                    params=value["params"],
                    distributions=self._distributions,
                    system_attrs=value["attributes"],
                )
            )
            self._note(config)
        if len(self._configs) < len(left := sorted(self._folder.glob("*.json"))):
            raise UserError(
                f"{self._path(len(self._configs))} is missing, but {left[-1].name} is there: the folder was damaged"
            )
        for config in self.configs:
            record = known(config)
            if record is None:
                self._unsent.append(config)
            else:
                self.tell(record)

    def _search_config(self, path: Path, value: Mapping[str, Any]) -> Upstream:
        try:
            config = self._search.config(value["params"])
        except (KeyError, UserError) as error:
            raise UserError(f"{path}: no proposal of this search ({error}); it was changed: use another --workdir") from None
        if (config.name, config.digest) != (value["name"], value["digest"]):
            raise UserError(
                f"{path}: proposed as {value['name']} ({value['digest']}), but this search and this code make {config.name}"
                f" ({config.digest}) of it; results of two searches are never mixed: use another --workdir"
            )
        return config

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
