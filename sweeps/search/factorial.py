"""An Optuna sampler for full grids: every point exactly once, in the order of `sweeps.order`, at the same cost for any grid.

The point of a trial follows from its number alone, which storages hand out once each. So any number of threads, processes and
machines can work on one study, and no other trial is read to choose a point. Optuna's own `GridSampler` reads all trials for
every new one, and workers that are idle at the end run points twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from sweeps.order import walk


class FactorialSampler(BaseSampler):
    """Samples a full grid without repetition.

    Trials beyond the last point end as pruned as soon as they ask for a parameter, and stop the worker that began them; there
    is at most one for every worker.

    Args:
      axes: name of every parameter to its values.
    """

    def __init__(self, axes: Mapping[str, Sequence[Any]]) -> None:
        self._axes = {name: tuple(values) for name, values in axes.items()}
        self._order = walk(tuple(len(values) for values in self._axes.values()))

    def __len__(self) -> int:
        """Returns the number of points."""
        return len(self._order)

    def point(self, number: int) -> dict[str, Any]:
        """Returns the parameters of trial `number`, which is below the number of points."""
        return {name: values[level] for (name, values), level in zip(self._axes.items(), self._order[number], strict=True)}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """Returns nothing: parameters are given one by one."""
        return {}

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Returns nothing, see `infer_relative_search_space`."""
        return {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Stops the worker where there is no point left."""
        if trial.number >= len(self):
            self._stop(study)

    def after_trial(self, study: Study, trial: FrozenTrial, state: object, values: object) -> None:  # noqa: ARG002
        """Stops the worker that has done the last point."""
        if trial.number >= len(self) - 1:
            self._stop(study)

    @staticmethod
    def _stop(study: Study) -> None:
        # Only `optimize` can be stopped; who asks and tells sees trials pruned.
        with contextlib.suppress(RuntimeError):
            study.stop()

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns a parameter's value in the trial's point.

        Raises:
          optuna.TrialPruned: all points are taken.
          ValueError: the parameter is no axis, or its distribution does not hold the value.
        """
        if trial.number >= len(self):
            raise optuna.TrialPruned(f"all {len(self)} points are taken")
        if param_name not in self._axes:
            raise ValueError(f"{param_name!r} is no axis of the grid; axes: {', '.join(self._axes)}")
        value = self.point(trial.number)[param_name]
        if not param_distribution._contains(param_distribution.to_internal_repr(value)):
            raise ValueError(f"{param_name!r} is {value!r} in the grid, which {param_distribution} does not hold")
        return value
