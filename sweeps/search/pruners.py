"""What ends hopeless runs of a search early, by name; never of a grid.

A result counts at the percentage of training after which it was measured, so runs of different lengths compare.
"""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.pruners import BasePruner

from bench.errors import UserError, choose_from

# Runs are measured after 25, 50, 75 and 100% of training (`bench.train.upstream.EVALUATIONS`), so rungs are at 25, 50 and 100%.
_FIRST, _WHOLE, _FACTOR = 25, 100, 2


def _median() -> BasePruner:
    return optuna.pruners.MedianPruner(n_startup_trials=5)


def _halving() -> BasePruner:
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=_FIRST, reduction_factor=_FACTOR)


def _hyperband() -> BasePruner:
    return optuna.pruners.HyperbandPruner(min_resource=_FIRST, max_resource=_WHOLE, reduction_factor=_FACTOR)


PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "": optuna.pruners.NopPruner,
    "median": _median,
    "halving": _halving,
    "hyperband": _hyperband,
}


def build(name: str) -> BasePruner:
    """Returns a pruner; that of no name prunes nothing.

    Raises:
      UserError: there is none of that name.
    """
    if name not in PRUNERS:
        raise UserError(f"no pruner {name!r}; {choose_from(name, [n for n in PRUNERS if n])}")
    return PRUNERS[name]()


def percent(step: int, steps: int) -> int:
    """Returns how much of a run of `steps` steps is done after `step` of them, in whole percent."""
    return round(100 * step / steps)
