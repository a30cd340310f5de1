"""Both of them: the checkpoint that did best upstream, and those that the linear probe likes best.

Source: "Which Model to Transfer? Finding the Needle in the Growing Haystack" (arXiv 2010.06402), which finds that each of the
two alone can lose much.
"""

from __future__ import annotations

from bench.select.pool import Pool
from bench.select.strategies.ranking import adapt, top
from bench.select.strategy import Ask, Strategy


def _choose(pool: Pool, budget: int) -> Ask:
    upstream = top(pool.checkpoints["final_val"], 1)
    probed = top(pool.scores["linear_probe"].drop(upstream), budget - len(upstream))
    return adapt(pool, [*upstream, *probed], f"best of the first upstream and {len(probed)} by linear_probe")


HYBRID = Strategy(
    "hybrid",
    "the first upstream and the others of the budget by linear probe",
    _choose,
    ("final_val", "linear_probe"),
    usual=2,
)
