"""All strategies, by name, in the order in which reports show them."""

from __future__ import annotations

from bench.errors import UserError, choose_from
from bench.select.strategies.adapt_all import ADAPT_ALL
from bench.select.strategies.upstream_best import UPSTREAM_BEST
from bench.select.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {s.name: s for s in (UPSTREAM_BEST, ADAPT_ALL)}


def find(name: str) -> Strategy:
    """Returns a strategy; raises `UserError` for a name that is none."""
    if name not in STRATEGIES:
        raise UserError(f"no strategy {name!r}; {choose_from(name, STRATEGIES)}")
    return STRATEGIES[name]
