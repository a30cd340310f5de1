"""All strategies, by name, in the order in which reports show them."""

from __future__ import annotations

from bench.errors import UserError, choose_from
from bench.select.strategies.adapt_all import ADAPT_ALL
from bench.select.strategies.h_score import H_SCORE
from bench.select.strategies.halving import HALVING
from bench.select.strategies.hybrid import HYBRID
from bench.select.strategies.knn import KNN
from bench.select.strategies.leep import LEEP
from bench.select.strategies.linear_probe import LINEAR_PROBE
from bench.select.strategies.logme import LOGME
from bench.select.strategies.nleep import NLEEP
from bench.select.strategies.parc import PARC
from bench.select.strategies.per_group import PER_GROUP
from bench.select.strategies.random_k import RANDOM_K
from bench.select.strategies.ridge import RIDGE
from bench.select.strategies.size import SIZE
from bench.select.strategies.static import STATIC
from bench.select.strategies.thrifty import THRIFTY
from bench.select.strategies.transrate import TRANSRATE
from bench.select.strategies.upstream_best import UPSTREAM_BEST
from bench.select.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    s.name: s
    for s in (
        *(UPSTREAM_BEST, ADAPT_ALL),
        *(RANDOM_K, SIZE, STATIC, PER_GROUP),
        *(LINEAR_PROBE, KNN, RIDGE),
        *(LOGME, H_SCORE, LEEP, NLEEP, PARC, TRANSRATE),
        *(HYBRID, HALVING, THRIFTY),
    )
}


def find(name: str) -> Strategy:
    """Returns a strategy; raises `UserError` for a name that is none."""
    if name not in STRATEGIES:
        raise UserError(f"no strategy {name!r}; {choose_from(name, STRATEGIES)}")
    return STRATEGIES[name]
