"""Chance: what any choice has to beat."""

from __future__ import annotations

import hashlib

import pandas as pd

from bench.select.pool import Pool
from bench.select.strategies.ranking import ranker


def _rank(pool: Pool) -> pd.Series:
    """A number for every checkpoint that follows from the seed, the task and its name, and from nothing else in the pool."""
    names = pool.checkpoints.index
    drawn = [hashlib.sha256(f"{pool.seed} {pool.task} {name}".encode()).digest()[:6] for name in names]
    return pd.Series([int.from_bytes(each, "big") for each in drawn], index=names, dtype="float64")


RANDOM_K = ranker("random_k", "checkpoints drawn at random", _rank)
