"""What proposes the points of a search, by name. A new sampler is one function here and one line in `SAMPLERS`."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable

import optuna
from optuna.samplers import BaseSampler

from bench.errors import UserError, choose_from
from sweeps.search.axes import Choice, Float, Int
from sweeps.search.cma import CmaSampler
from sweeps.search.space import Search
from sweeps.search.two_trial import TwoTrialSampler


def _tpe(_search: Search, seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _random(_search: Search, seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def _gp(_search: Search, seed: int) -> BaseSampler:
    if importlib.util.find_spec("torch") is None:
        raise UserError("sampler 'gp' computes with PyTorch, which is not installed: install torch, or take 'tpe'")
    return optuna.samplers.GPSampler(seed=seed)


def _cmaes(search: Search, seed: int) -> BaseSampler:
    axes: dict[str, Float | Int] = {}
    for name, axis in search.axes.items():
        if isinstance(axis, Choice):
            raise UserError(f"sampler 'cmaes' searches numbers, but axis {name!r} is a choice of {axis}: take 'tpe'")
        axes[name] = axis
    return CmaSampler(axes, seed)


def _two_trial(search: Search, _seed: int) -> BaseSampler:
    rate = list(search.axes)[-1]
    start = search.first[0] if len(search.first) == 1 else {}
    if [type(axis) for axis in search.axes.values()] != [Choice, Choice, Float] or list(start) != [rate]:
        raise UserError(
            "sampler 'two-trial' takes three axes, choices of models from small to large, choices of epochs from few to many"
            " and the learning rates, and as the only first point the rate to begin with"
        )
    return TwoTrialSampler(search.axes, start[rate])


SAMPLERS: dict[str, Callable[[Search, int], BaseSampler]] = {
    "tpe": _tpe,
    "gp": _gp,
    "random": _random,
    "cmaes": _cmaes,
    "two-trial": _two_trial,
}


def build(search: Search, number: int) -> BaseSampler:
    """Returns the sampler of proposal `number`, seeded for it alone: what was proposed before leaves no trace in it.

    Raises:
      UserError: there is none of that name, it does not fit the axes, or it needs what is not installed.
    """
    if search.sampler not in SAMPLERS:
        raise UserError(
            f"no sampler {search.sampler!r}; {choose_from(search.sampler, SAMPLERS)} (a grid is no search: see Grid)"
        )
    digest = hashlib.sha256(f"{search.seed}/{number}".encode()).digest()
    return SAMPLERS[search.sampler](search, int.from_bytes(digest[:4], "big") >> 1)
