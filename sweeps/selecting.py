"""What `augreg select` shows of a table: frames to print, and figures of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from bench.errors import UserError
from bench.select.compare import compare, compare_seeds
from bench.select.curves import budgets, curves
from bench.select.intervals import against
from bench.select.means import means
from bench.select.measures import REFERENCE
from bench.select.rankings import mean_rankings, of_strategies
from bench.select.strategies import find

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Selection:
    """What is compared on a table.

    Attributes:
      table: as of `compare`.
      scores: as of `compare`.
      strategies: names; none for all that there is something to choose by.
      budget: as of `compare`.
      pool: as of `compare`.
      draws: of strategies that draw.
      baseline: the strategy that differences are from.
    """

    table: pd.DataFrame
    scores: pd.DataFrame | None = None
    strategies: tuple[str, ...] = ()
    budget: int | None = None
    pool: str = "model"
    draws: int = 1
    baseline: str = "upstream_best"

    def compared(self, budget: int | None = None, *more: str) -> pd.DataFrame:
        """Returns the comparison at a budget, and of `more` strategies if only some were named."""
        names = list(dict.fromkeys((*self.strategies, *more))) if self.strategies else None
        budget = self.budget if budget is None else budget
        return compare_seeds(self.table, self.scores, self.draws, strategies=names, budget=budget, pool=self.pool)

    def choices(self) -> Shown:
        """What every strategy picks, gets and costs on every task."""
        found = self.compared()
        return found, lambda: _compared_figure(found)

    def means(self) -> Shown:
        """Means over tasks and of groups, with intervals."""
        found = self.compared()
        return means(found), lambda: _compared_figure(found)

    def differences(self) -> Shown:
        """Every strategy less the baseline, paired by task, and whether the two can be told apart.

        Raises:
          UserError: there is no such baseline, or nothing that it could choose by.
        """
        found = self.compared(None, self.baseline)
        if len(found) and not found["strategy"].eq(self.baseline).any():
            # Named, it says which scores it lacks; if it has those, it lacks what it needs first.
            compare(self.table, self.scores, strategies=[self.baseline], pool=self.pool)
            raise UserError(find(self.baseline).complaint(find(self.baseline).needs[0]))
        return against(found, self.baseline), lambda: _compared_figure(found)

    def curves(self) -> Shown:
        """Regret by the number of checkpoints that may be adapted.

        Raises:
          UserError: a single budget was given.
        """
        if self.budget is not None:
            raise UserError("--budget and --show curves exclude each other: a curve is of all budgets")
        largest = self.compared(None, REFERENCE)
        sizes = largest.loc[largest["strategy"] == REFERENCE, "budget"]
        if sizes.empty:
            raise UserError("nothing was transferred, so there is nothing to compare")
        found = curves({size: self.compared(size, REFERENCE) for size in budgets(int(sizes.max()))})
        return found, lambda: _curves_figure(found, self.pool == "all")

    def upstream(self) -> Shown:
        """What choosing by upstream validation wins or loses, models by tasks; figure 5 (left) of the AugReg paper."""
        from bench.report.upstream_best import of_table

        found = of_table(self.table, self.pool)[["name", "adapt_ds", "value"]]
        return found, lambda: _upstream_figure(found)

    def rankings(self) -> Shown:
        """How well the strategies that rank order the checkpoints, means over tasks."""
        return mean_rankings(of_strategies(self.table, self.scores, pool=self.pool)), None


Shown = tuple[pd.DataFrame, "Callable[[], Figure] | None"]
"""What is printed, and what draws it; None where there is no figure of it."""

VIEWS: dict[str, Callable[[Selection], Shown]] = {
    "choices": Selection.choices,
    "means": Selection.means,
    "differences": Selection.differences,
    "curves": Selection.curves,
    "upstream": Selection.upstream,
    "rankings": Selection.rankings,
}


def _compared_figure(found: pd.DataFrame) -> Figure:
    from bench.report import selection

    return selection.draw(found)


def _curves_figure(found: pd.DataFrame, pooled: bool) -> Figure:
    from bench.report import regret_curves

    return regret_curves.draw(found, pooled=pooled)


def _upstream_figure(found: pd.DataFrame) -> Figure:
    from bench.report import upstream_best

    return upstream_best.draw(found)
