"""The axes of a search as Optuna's distributions, and what samplers of ours have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from sweeps.search.axes import Axis, Choice, Float


def distribution(axis: Axis) -> BaseDistribution:
    """Returns Optuna's name for an axis."""
    if isinstance(axis, Choice):
        return CategoricalDistribution(list(axis.values))
    if isinstance(axis, Float):
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    return IntDistribution(axis.low, axis.high, log=axis.log)


class JointSampler(optuna.samplers.BaseSampler):
    """A sampler that knows its axes beforehand and samples all of them together.

    Args:
      axes: of the search.
    """

    def __init__(self, axes: Mapping[str, Axis]) -> None:
        self._space = {name: distribution(axis) for name, axis in axes.items()}

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Returns all axes, also before the first trial."""
        return self._space

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Is never right.

        Raises:
          ValueError: always.
        """
        raise ValueError(f"{type(self).__name__} was made for {', '.join(self._space)}, not for {param_name!r}")
