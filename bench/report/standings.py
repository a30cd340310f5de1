"""How strategies stand: what each loses on average, what it takes, and whether that differs from the cheap choice."""

from __future__ import annotations

import math

import pandas as pd

from bench.report.text import bounded
from bench.select.intervals import against
from bench.select.means import ALL_MODELS, OVER_TASKS, OVERALL, means
from bench.select.measures import REFERENCE
from bench.select.strategies import STRATEGIES
from bench.select.strategies.upstream_best import UPSTREAM_BEST

COLUMNS = ("strategy", "about", "tasks", "test", "regret", "regret_low", "regret_high", "finetunes", "share", "verdict")


def standings(comparison: pd.DataFrame, averaged: pd.DataFrame | None = None) -> pd.DataFrame:
    """Means over the tasks on which every strategy has a test score, over all pools; the least regret first.

    Args:
      comparison: as `bench.select.compare.compare` returns it.
      averaged: its `bench.select.means.means`, which take a while; None to have them taken here.

    Returns:
      One row per strategy: `tasks`, pairs of pool and task behind the means; `test` and `regret`, fractions, `regret_low` and
      `regret_high`, the 95% interval over tasks, empty for fewer than six; `finetunes`, and their `share` of those of
      `adapt_all`; `verdict`, what its paired interval against `upstream_best` says, empty for that and for the reference.
    """
    found = means(comparison) if averaged is None else averaged
    found = found[(found["name"] == ALL_MODELS) & (found["scope"] == OVERALL) & (found["convention"] == OVER_TASKS)]
    if found.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    cheap = UPSTREAM_BEST.name
    there = set(found["strategy"])
    verdicts = against(comparison, cheap).set_index("strategy")["verdict"].to_dict() if cheap in there else {}
    most = found.loc[found["strategy"] == REFERENCE, "finetunes"].max()
    rows = found.assign(
        about=[STRATEGIES[s].about if s in STRATEGIES else "" for s in found["strategy"]],
        share=found["finetunes"] / most if most > 0 else math.nan,
        verdict=[verdicts.get(s, "") if s != REFERENCE else "" for s in found["strategy"]],
    )
    return rows.sort_values("regret", kind="stable", ignore_index=True)[list(COLUMNS)]


def for_people(frame: pd.DataFrame) -> pd.DataFrame:
    """The standings as strings under plain headings."""
    regret = [
        "reference" if strategy == REFERENCE else bounded(*ends)
        for strategy, *ends in frame[["strategy", "regret", "regret_low", "regret_high"]].itertuples(index=False, name=None)
    ]
    return pd.DataFrame(
        {
            "strategy": frame["strategy"],
            "chooses": frame["about"],
            "regret, points": regret,
            "test": [f"{100 * v:.1f}%" if pd.notna(v) else "" for v in frame["test"]],
            "fine-tunes": [f"{v:,.0f}" if pd.notna(v) else "" for v in frame["finetunes"]],
            "of all": [f"{100 * v:.3g}%" if pd.notna(v) else "" for v in frame["share"]],
            "models x tasks": frame["tasks"].astype(str),
            "against upstream_best": frame["verdict"],
        }
    ).astype("string")
