"""What a strategy is: a coroutine that asks for fine-tunes, is told how they did on validation, and returns its choice."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import pandas as pd

from bench.select.pool import Pool


@dataclass(frozen=True)
class Choice:
    """What a strategy chose on one task.

    Attributes:
      filename: the checkpoint, None where no checkpoint has what the strategy needs.
      run: the transfer run of it that did best, None where none has a validation score.
      why: in a few words.
    """

    filename: str | None
    run: str | None
    why: str


FACTS = {
    "final_val": "upstream validation accuracies",
    "params": "models of several sizes",
    "history": "validation scores on other tasks",
}
"""What a strategy may need besides scores, with what that takes: columns of `Pool.checkpoints`, or its `history`."""

Ask = Generator[list[str], pd.Series, Choice]
"""Yields names of runs, is sent their validation scores (index: those names; NaN where a run diverged), returns the choice."""


@dataclass(frozen=True)
class Strategy:
    """A way of choosing a checkpoint for a task.

    Attributes:
      name: as in `--strategy` and in the column `strategy`.
      about: one line; sources included.
      choose: from a pool and a budget, the number of checkpoints that may be adapted, at least 1. It must be a function of
        these and of the answers: two sweeps, or one that was interrupted, ask for the same.
      needs: what there is nothing to choose by without: scores (columns of `Pool.scores`) or names of `FACTS`.
      rank: what the strategy orders checkpoints by before anything is adapted, the higher, the better, empty where it cannot
        say; None for a strategy that has no such order.
      usual: budget where none is given; None for the whole pool.
      limited: whether the budget binds it; the reference that adapts everything knows none.
    """

    name: str
    about: str
    choose: Callable[[Pool, int], Ask]
    needs: tuple[str, ...] = ()
    rank: Callable[[Pool], pd.Series] | None = None
    usual: int | None = 1
    limited: bool = True

    @property
    def ranks(self) -> bool:
        """Returns whether it orders checkpoints before anything is adapted."""
        return self.rank is not None

    def lacks(self, pool: Pool) -> list[str]:
        """Returns what it needs and `pool` does not have."""
        return [need for need in self.needs if not _has(pool, need)]

    def complaint(self, need: str) -> str:
        """Returns what to say where `need` is lacking."""
        if need in FACTS:
            return f"strategy {self.name!r} needs {need} ({FACTS[need]}), which the pool does not have"
        return (
            f"strategy {self.name!r} needs the score {need!r}, which no checkpoint of the pool has; sweeps with probes write "
            "scores.csv, as `augreg transfer CKPT... --scores-only` does"
        )

    def budget(self, pool: Pool, given: int | None = None) -> int:
        """Returns the number of checkpoints of `pool` that it may adapt: at least 1, all of them at most."""
        wanted = given if self.limited and given is not None else self.usual if self.limited else None
        return max(1, len(pool.checkpoints) if wanted is None else min(wanted, len(pool.checkpoints)))


def _has(pool: Pool, need: str) -> bool:
    if need == "history":
        return not pool.history.empty
    if need == "params":
        return pool.checkpoints["params"].nunique() > 1
    frame = pool.checkpoints if need in FACTS else pool.scores
    return need in frame and bool(frame[need].notna().any())
