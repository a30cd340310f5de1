"""How good a choice was, how good a ranking was, and what it cost.

A choice is measured by what it loses on test against a better one, a ranking by whether the checkpoints that it puts first are
those that reach the highest test accuracy. Both read test scores, hence only after everything has been chosen.

Sources: Renggli et al., "Which model to transfer?" (2010.06402), for regret and its relative form; the repositories of LogME
and of its followers, which all take SciPy's weighted tau, and whose Recall@k asks whether the first of the ranking is among
the true first k.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
from scipy import stats

from bench.errors import UserError, choose_from

POOL = ["name", "adapt_ds"]
"""What is chosen from: the checkpoints of a model, on a task."""
REFERENCE = "adapt_all"
COSTS = ("finetunes", "adapted", "flops", "train_seconds", "chip_hours")
"""Columns of a comparison that say what a strategy costs; a comparison may lack some."""


def regret(best: float, got: float) -> float:
    """What `got` loses against `best`, as a fraction of the test images; negative where `got` is the better one."""
    return best - got


def relative_regret(best: float, got: float) -> float:
    """What `got` loses as a share of what can still be won: (best - got) / (1 - min(best, got)), between -1 and 1.

    A point lost at 98% is worse than one lost at 60%. Where both accuracies are 1 nothing is lost: 0. The other relative form
    of the literature, (best - got) / best, is 1 - Rel@1 (`rel_at`).
    """
    room = 1 - min(best, got)
    return 0.0 if room <= 0 else (best - got) / room


def weighted_tau(predicted: pd.Series, actual: pd.Series) -> float:
    """Kendall's tau that weighs a pair by the hyperbolic ranks of its members (Vigna), in [-1, 1].

    It is `scipy.stats.weightedtau` as it stands: the mean over the ranks by either argument. An order that ties all candidates
    orders nothing, so tau is 0 there.

    Args:
      predicted: a score per checkpoint, the higher the better, indexed by checkpoint.
      actual: test accuracy of the same checkpoints.

    Raises:
      UserError: other checkpoints on one side than on the other, a score that is no finite number, or fewer than two.
    """
    x, y = _matched(predicted, actual)
    if len(x) < 2:
        raise UserError("a ranking needs two checkpoints or more")
    if x.nunique() == 1 or y.nunique() == 1:
        return 0.0
    return float(stats.weightedtau(x.to_numpy(), y.to_numpy()).statistic)


def rel_at(predicted: pd.Series, actual: pd.Series, k: int = 1) -> float:
    """Rel@k: the best accuracy among the first `k` of the ranking, as a share of the best accuracy of all.

    Checkpoints that tie in `predicted` are ranked by name. Where nothing is ever right, nothing is lost: 1.
    """
    x, y = _matched(predicted, actual)
    best = float(y.max())
    return 1.0 if best == 0 else float(y[_first(x, k)].max()) / best


def recall_at(predicted: pd.Series, actual: pd.Series, k: int = 1) -> float:
    """Recall@k: 1 where the first of the ranking reaches the k-th best accuracy (ties count as reached), else 0."""
    x, y = _matched(predicted, actual)
    bar = float(y.nlargest(k).min())
    return float(y[_first(x, 1)].max() >= bar)


def measured(comparison: pd.DataFrame) -> pd.DataFrame:
    """The comparison with `relative_regret` and, for each of its costs, the share of what `adapt_all` costs on that task.

    Returns:
      A copy with the columns relative_regret and share_of_COST: fractions, empty where the comparison has no value or the
      reference costs nothing.

    Raises:
      UserError: a missing column, or no `adapt_all` among the strategies.
    """
    need(comparison, (*POOL, "strategy", "test", "regret"), "comparison")
    if not comparison["strategy"].eq(REFERENCE).any():
        raise UserError(f"shares of cost are shares of what {REFERENCE} costs; compare it as well")
    out = comparison.copy()
    best = (out["test"] + out["regret"]).astype(float)
    got = out["test"].astype(float)
    room = 1 - best.where(best < got, got)
    out["relative_regret"] = ((best - got) / room.where(room > 0)).mask(room <= 0, 0.0)
    reference = out[out["strategy"] == REFERENCE].groupby(POOL)
    for cost in (c for c in COSTS if c in out):
        whole = reference[cost].max().astype(float)
        asked = out.set_index(POOL).index
        total = pd.Series(whole.reindex(asked).to_numpy(), index=out.index)
        out[f"share_of_{cost}"] = out[cost].astype(float) / total.where(total > 0)
    return out


def wins(comparison: pd.DataFrame, strategy: str, against: str = REFERENCE) -> pd.DataFrame:
    """Where a strategy's choice is better on test than another's: 1, where it is equal: 0.5, else 0.

    Returns:
      One row per pool, task (and seed, where there are seeds) on which both have a test score: the columns of `paired` and
      `win`, whose mean is the win rate.

    Raises:
      UserError: what `paired` raises.
    """
    both = paired(comparison, strategy, against)
    return both.assign(win=np.sign(both["test"] - both["test_against"]) / 2 + 0.5)


def paired(comparison: pd.DataFrame, strategy: str, against: str) -> pd.DataFrame:
    """Two strategies side by side, where both have a test score.

    A strategy that was run with one seed is set against every seed of the other one.

    Returns:
      Columns name, adapt_ds, adapt_group, seed (where the comparison has seeds), and for `strategy` as they are and for
      `against` with the suffix `_against`: adapt_filename, test, and n_test where the comparison has it.

    Raises:
      UserError: a missing column, a strategy that was not compared, or one that has several rows on one task, as a comparison
        at several budgets has.
    """
    need(comparison, (*POOL, "adapt_group", "strategy", "adapt_filename", "test"), "comparison")
    seeded = "seed" in comparison
    facts = ["adapt_filename", "test", *(["n_test"] if "n_test" in comparison else [])]
    sides = [one_each(comparison, name).dropna(subset=["test"]) for name in (strategy, against)]
    alone = [not seeded or side["seed"].nunique() <= 1 for side in sides]
    keys = POOL if any(alone) else [*POOL, "seed"]
    seeds = ["seed"] if seeded else []
    # The side with several seeds says which they are.
    first, second = (1, 0) if alone[0] and not alone[1] else (0, 1)
    left = sides[first][[*POOL, "adapt_group", *seeds, *facts]]
    right = sides[second][[*keys, *facts]]
    both = left.merge(right, on=keys, suffixes=("", "_against"))
    if first:
        both = both.rename(columns={f: f"{f}_against" for f in facts} | {f"{f}_against": f for f in facts})
    return both


def one_each(comparison: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """The rows of a strategy, one per pool, task and seed.

    Raises:
      UserError: the strategy was not compared, or has several rows on one task.
    """
    mine = comparison[comparison["strategy"] == strategy]
    if mine.empty:
        known = sorted(comparison["strategy"].unique())
        raise UserError(f"no strategy {strategy!r} was compared; {choose_from(strategy, known)}")
    if bool((twice := mine.duplicated([*POOL, *(["seed"] if "seed" in mine else [])])).any()):
        name, task = mine.loc[twice, POOL].iloc[0]
        raise UserError(f"{strategy} has several rows for {name} on {task}: take one budget at a time")
    return mine


def _first(predicted: pd.Series, k: int) -> list[str]:
    if k < 1:
        raise UserError(f"the first {k} of a ranking: there must be at least one")
    by_name = predicted.sort_index(kind="stable")
    return by_name.sort_values(ascending=False, kind="stable").index[:k].tolist()


def _matched(predicted: pd.Series, actual: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Both sides as floats, in the order of the names."""
    for side, what in ((predicted, "score"), (actual, "accuracy")):
        if side.index.has_duplicates:
            raise UserError(f"checkpoint {side.index[side.index.duplicated()][0]!r} has two values of one {what}")
        bad = ~np.isfinite(side.astype(float).to_numpy())
        if bad.any():
            raise UserError(f"the {what} of checkpoint {side.index[bad][0]!r} is no finite number")
    if odd := sorted(set(predicted.index) ^ set(actual.index)):
        raise UserError(f"checkpoint {odd[0]!r} has a score or an accuracy, but not both")
    if predicted.empty:
        raise UserError("there are no checkpoints to rank")
    x = predicted.astype(float).sort_index()
    return x, actual.astype(float).loc[x.index]


def need(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Checks that a frame has columns.

    Raises:
      UserError: names those that are missing, of `what`.
    """
    missing: Collection[str] = [c for c in columns if c not in frame]
    if missing:
        raise UserError(f"{what}: no column {', '.join(map(repr, missing))}")
