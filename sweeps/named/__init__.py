"""The named sweeps: every module of this package is one, and holds nothing but data.

A new sweep is one new module with a docstring (command, number of points, expected cost and result) and a `SWEEP`.
"""

from __future__ import annotations

import importlib
import pkgutil

from bench.errors import UserError, choose_from
from bench.points import UPSTREAM
from sweeps.space import Sweep


def names() -> list[str]:
    """Returns the names of all sweeps; a module `a_b` is the sweep `a-b`."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__))


def find(name: str) -> Sweep:
    """Returns a named sweep; `NAME@SET` is the sweep NAME over the upstream set SET.

    Raises:
      UserError: there is no sweep, or no upstream set, of that name.
    """
    name, at, dataset = name.partition("@")
    if name not in names():
        raise UserError(f"no sweep {name!r}; {choose_from(name, names())}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    sweep: Sweep = module.SWEEP
    if not at:
        return sweep
    if dataset not in UPSTREAM:
        raise UserError(f"no upstream set {dataset!r}; {choose_from(dataset, UPSTREAM)}")
    return sweep.on(dataset)
