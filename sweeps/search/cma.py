"""CMA-ES as an Optuna sampler that keeps nothing: its state is computed anew from the trials.

Optuna's own pickles the optimiser into the study and unpickles it from there, and nothing is ever unpickled here. Constants are
those of Optuna's: centre and a sixth of the unit cube to start with, population 4 + 3 ln(d).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cmaes
import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.axes import Float, Int
from sweeps.search.joint import JointSampler

GENERATION = "cma:generation"


class CmaSampler(JointSampler):
    """CMA-ES over axes of numbers.

    A trial belongs to the generation in which it was proposed (its system attribute `cma:generation`). A generation ends when
    as many of its trials as the population have ended; what more was proposed meanwhile is not counted.

    Args:
      axes: of all parameters.
      seed: of this one proposal.
    """

    def __init__(self, axes: Mapping[str, Float | Int], seed: int) -> None:
        super().__init__(axes)
        self._axes, self._seed = dict(axes), seed

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Returns the next proposal and notes its generation."""
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        optimizer = self._evolved(study.get_trials(deepcopy=False), sign)
        study._storage.set_trial_system_attr(trial._trial_id, GENERATION, optimizer.generation)
        return {name: axis.at(float(u)) for (name, axis), u in zip(self._axes.items(), optimizer.ask(), strict=True)}

    def _evolved(self, trials: Iterable[FrozenTrial], sign: float) -> cmaes.CMA:
        dimensions = len(self._axes)
        optimizer = cmaes.CMA(
            mean=np.full(dimensions, 0.5),
            sigma=1 / 6,
            bounds=np.tile([0.0, 1.0], (dimensions, 1)),
            n_max_resampling=10 * dimensions,
            seed=self._seed,
        )
        generations: dict[int, list[tuple[np.ndarray, float]]] = {}
        for trial in trials:
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.value is not None:
                x = np.array([axis.unit(trial.params[name]) for name, axis in self._axes.items()])
                generations.setdefault(trial.system_attrs.get(GENERATION, -1), []).append((x, sign * trial.value))
        while len(found := generations.get(optimizer.generation, [])) >= optimizer.population_size:
            optimizer.tell(found[: optimizer.population_size])
        return optimizer
