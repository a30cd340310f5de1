"""The one driver of strategies: it replays a finished table, and it waits for runs that are being trained."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from bench.errors import UserError
from bench.select.pool import Pool
from bench.select.strategy import Choice, Strategy


class Driver:
    """A strategy at work on a pool, one question at a time.

    It keeps the rules: a strategy gets a pool of its own, asks for runs that exist, and adapts no more checkpoints than its
    budget allows. What it asks for again is answered from memory.

    Attributes:
      budget: number of checkpoints that may be adapted.
      choice: None until the strategy has chosen.
    """

    def __init__(self, strategy: Strategy, pool: Pool, budget: int | None = None) -> None:
        """Starts the strategy.

        Args:
          strategy: what chooses.
          pool: for one task.
          budget: number of checkpoints that may be adapted; None for the strategy's usual.

        Raises:
          UserError: the budget is below 1, no checkpoint has what the strategy needs, or as `tell`.
        """
        if budget is not None and budget < 1:
            raise UserError(f"a budget of {budget} checkpoints, but at least 1 must be adapted")
        if lacking := strategy.lacks(pool):
            raise UserError(strategy.complaint(lacking[0]))
        self.budget = strategy.budget(pool, budget)
        self.choice: Choice | None = None
        self._strategy, self._task = strategy, pool.task
        self._checkpoint_of = pool.checkpoint_of
        self._adapted: set[str] = set()
        self._scores: dict[str, float | None] = {}  # None: not answered yet
        self._question: list[str] = []
        self._ask = strategy.choose(pool.copy(), self.budget)
        self._go_on(None)

    @property
    def asked(self) -> list[str]:
        """Returns all runs asked for so far, each once, in order; diverged ones included."""
        return list(self._scores)

    @property
    def wanted(self) -> list[str]:
        """Returns the runs that await an answer; none once there is a choice."""
        return [run for run, score in self._scores.items() if score is None]

    def tell(self, scores: pd.Series) -> None:
        """Answers; the strategy goes on once all of `wanted` are known.

        Args:
          scores: validation scores by name of run, NaN where a run diverged or has none. Runs that are not wanted are passed
            over.

        Raises:
          UserError: the strategy asks for a run that the pool does not have, exceeds its budget, or chooses a run that it did
            not ask for.
        """
        waiting = set(self.wanted)
        self._scores |= {str(run): float(score) for run, score in scores.items() if run in waiting}
        if waiting and not self.wanted:
            self._go_on(self._answer())

    def _answer(self) -> pd.Series:
        return pd.Series({run: self._scores[run] for run in self._question}, dtype="float64")

    def _go_on(self, answer: pd.Series | None) -> None:
        """Lets the strategy run until it asks for something that is not known, or has chosen."""
        try:
            while True:
                asked = next(self._ask) if answer is None else self._ask.send(answer)
                self._question = list(dict.fromkeys(asked))
                self._scores |= {run: None for run in self._question if run not in self._scores}
                self._check()
                if self.wanted:
                    return
                answer = self._answer()
        except StopIteration as end:
            choice: Choice = end.value
        if choice.run is not None and choice.run not in self._scores:
            raise self._broke(f"chose {choice.run!r}, which it did not ask for")
        self.choice = choice

    def _check(self) -> None:
        for run in self._question:
            if run not in self._checkpoint_of:
                raise self._broke(f"asked for {run!r}, which is no run of {self._task}")
            self._adapted.add(self._checkpoint_of[run])
        if len(self._adapted) > self.budget:
            raise self._broke(f"asked for runs of {len(self._adapted)} checkpoints, but may adapt {self.budget}")

    def _broke(self, what: str) -> UserError:
        return UserError(f"strategy {self._strategy.name!r} {what}")


def drive(
    strategy: Strategy, pool: Pool, budget: int | None, answer: Callable[[list[str]], pd.Series]
) -> tuple[Choice, list[str]]:
    """Drives a strategy to its end, where every answer is there at once.

    Args:
      strategy: as of `Driver`.
      pool: as of `Driver`.
      budget: as of `Driver`.
      answer: gives the validation scores of the runs that are asked for, by name of run.

    Returns:
      The choice, and the names of all runs that the strategy had to see trained, in the order in which it asked.

    Raises:
      UserError: as `Driver`, or a run got no answer.
    """
    driver = Driver(strategy, pool, budget)
    while driver.choice is None:
        wanted = driver.wanted
        driver.tell(answer(wanted))
        if unanswered := set(wanted).intersection(driver.wanted):
            raise UserError(f"no answer for {min(unanswered)!r}")
    return driver.choice, driver.asked
