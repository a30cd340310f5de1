"""The thrifty strategy's constants: tuned on the tasks of one group, and judged on the tasks of the others.

Tuning goes by validation scores, as selection does. Of the constants that cost no more than the strategy to beat, on the tasks
tuned on, it takes those that lose the least. Whether they beat it is a matter of the other tasks' test scores, opened once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from bench.errors import UserError, choose_from
from bench.select.compare import compare, compare_seeds
from bench.select.intervals import Interval, difference, verdict
from bench.select.measures import REFERENCE, measured
from bench.select.strategies.thrifty import Constants, thrifty

GRID = tuple(Constants(*values) for values in product((0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (0.001, 0.003, 0.01, 0.03)))
NAME = "thrifty"
_KEY = ["name", "adapt_ds", "seed"]


@dataclass(frozen=True)
class Tuned:
    """Constants that were tuned on one group, and what they are worth on the others.

    Attributes:
      group: of the tasks tuned on.
      against: the strategy to beat.
      constants: those chosen.
      trials: a row for each of the grid, named by its constants, and one for `against`: means over the group's tasks of
        `lost`, validation accuracy of `adapt_all` less its own, and of `share`, of what `adapt_all` costs.
      comparison: of `thrifty`, `against` and `adapt_all` on the other tasks, as `compare_seeds` returns it.
      difference: test accuracy of `thrifty` less that of `against` on the other tasks, paired by task.
    """

    group: str
    against: str
    constants: Constants
    trials: pd.DataFrame
    comparison: pd.DataFrame
    difference: Interval

    @property
    def verdict(self) -> str:
        """Returns in one line whether the two can be told apart, and who is better."""
        return verdict(self.difference, NAME, self.against)

    def lines(self) -> list[str]:
        """Returns what was chosen and what it is worth, for people."""
        shares = _costs(self.comparison).groupby(self.comparison["strategy"]).mean().to_dict()
        lost, spent = (self.trials[column].to_dict() for column in ("lost", "share"))
        return [
            f"tuned on {self.group}: {_label(self.constants)}",
            *(
                f"  {who} loses {100 * lost[at]:.2f} points of validation for {100 * spent[at]:.1f}% of the cost of {REFERENCE}"
                for who, at in ((NAME, _label(self.constants)), (self.against, self.against))
            ),
            f"on the other tasks: {self.verdict}",
            f"  for {100 * shares[NAME]:.1f}% of the cost of {REFERENCE}, {self.against} for {100 * shares[self.against]:.1f}%",
        ]


def _label(constants: Constants) -> str:
    return f"trust {constants.trust:g}, surprise {constants.surprise:g}, price {constants.price:g}"


def tune(
    table: pd.DataFrame,
    scores: pd.DataFrame,
    group: str,
    against: str = "hybrid",
    *,
    ds: Iterable[str] | None = None,
    pool: str = "model",
    grid: Sequence[Constants] = GRID,
) -> Tuned:
    """Tunes the thrifty strategy on one task group and compares it with another strategy on the others.

    Args:
      table: as of `compare`.
      scores: as of `compare`.
      group: of the tasks to tune on.
      against: the strategy to beat, at its usual budget.
      ds: as of `compare`.
      pool: as of `compare`.
      grid: constants to choose from.

    Raises:
      UserError: no task of the table is of the group, or all are; or what `compare` raises.
    """
    ds = None if ds is None else list(ds)
    known = compare(table, scores, ds, [REFERENCE], pool=pool)[["adapt_ds", "adapt_group"]].drop_duplicates()
    mine = known.loc[known["adapt_group"] == group, "adapt_ds"].tolist()
    others = known.loc[known["adapt_group"] != group, "adapt_ds"].tolist()
    if not mine:
        raise UserError(
            f"no task of the table is {group!r}; {choose_from(group, sorted(known['adapt_group'].dropna().unique()))}"
        )
    if not others:
        raise UserError(f"all tasks of the table are {group!r}, so that none is left to judge by what was tuned on these")
    by_label = {_label(constants): constants for constants in grid}
    tried = [thrifty(constants, label) for label, constants in by_label.items()]
    trials = _trials(compare_seeds(table, scores, ds=ds, strategies=[*tried, against, REFERENCE], pool=pool, tasks=mine))
    constants = by_label[_best(trials, against)]
    rivals = [thrifty(constants, NAME), against, REFERENCE]
    found = compare_seeds(table, scores, ds=ds, strategies=rivals, pool=pool, tasks=others)
    return Tuned(group, against, constants, trials, found, difference(found, NAME, against))


def _trials(comparison: pd.DataFrame) -> pd.DataFrame:
    whole = comparison[comparison["strategy"] == REFERENCE].set_index(_KEY)["val"]
    lost = whole.reindex(pd.MultiIndex.from_frame(comparison[_KEY])).to_numpy() - comparison["val"].fillna(0.0).to_numpy()
    each = comparison.assign(lost=lost, share=_costs(comparison)).groupby("strategy", sort=False)
    return each[["lost", "share"]].mean().drop(REFERENCE)


def _best(trials: pd.DataFrame, against: str) -> str:
    """The trial that loses least of those that cost no more than `against`; where all cost more, the cheapest."""
    tried = trials.drop(against)
    fair = tried[tried["share"] <= trials["share"][against]]
    ordered = fair.sort_values(["lost", "share"], kind="stable") if len(fair) else tried.sort_values("share", kind="stable")
    return str(ordered.index[0])


def _costs(comparison: pd.DataFrame) -> pd.Series:
    """Share of the FLOPs of adapting everything; of the fine-tunes where FLOPs are not known everywhere."""
    shares = measured(comparison)
    known = shares["share_of_flops"].notna().all()
    return shares["share_of_flops" if known else "share_of_finetunes"]
