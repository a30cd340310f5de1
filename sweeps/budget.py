"""A limit on what a sweep may cost, kept before it starts and while it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from bench.errors import UserError
from bench.points import Config
from sweeps.plan import Plan, quantity
from sweeps.predict import Predictor


@dataclass
class Budget:
    """Chip-seconds that may be spent, those that are, and those that launches under way will still need.

    Predictions are corrected as launches end: by what they took, over what was predicted for them.

    Attributes:
      limit: chip-seconds.
      unit: what people gave the limit in, `$` or `chip-hours`.
      rate: units of a chip-second.
      spent: chip-seconds of all launches that have ended.
    """

    limit: float
    unit: str = "chip-hours"
    rate: float = 1 / 3600
    spent: float = 0.0
    _committed: dict[str, float] = field(default_factory=dict)
    _predicted: float = 0.0
    _taken: float = 0.0

    @classmethod
    def of(cls, price: float, money: float | None = None, hours: float | None = None) -> Budget | None:
        """Returns the budget of a sum of money at a price of a chip-hour, or of chip-hours; None where neither is given.

        Raises:
          UserError: both are given, one is not above 0, or the money has no price to be counted in.
        """
        if money is None and hours is None:
            return None
        if money is not None and hours is not None:
            raise UserError("--max-cost and --max-hours exclude each other: give one of them")
        if (money if money is not None else hours or 0.0) <= 0:
            raise UserError("--max-cost and --max-hours must be above 0")
        if hours is not None:
            return cls(3600 * hours)
        assert money is not None
        if price <= 0:
            raise UserError("--max-cost needs a price above 0 for a chip-hour: give one as --price, or a limit as --max-hours")
        return cls(3600 * money / price, "$", price / 3600)

    def check(self, plan: Plan) -> None:
        """Refuses a plan that costs more.

        Raises:
          UserError: the plan's middle estimate is above the limit.
        """
        low, middle, high = (self._shown(seconds) for seconds in plan.seconds)
        if self.spent + plan.seconds.middle > self.limit:
            before = f" after {self._shown(self.spent)} already spent" if self.spent else ""
            raise UserError(
                f"{plan.title}: it would cost {middle} ({low} to {high}){before}, more than the limit of"
                f" {self._shown(self.limit)}; raise --{'max-cost' if self.unit == '$' else 'max-hours'}, or run a smaller sweep"
            )

    @property
    def correction(self) -> float:
        """Returns what launches that ended took over what was predicted, 1 before the first."""
        return self._taken / self._predicted if self._predicted else 1.0

    @property
    def committed(self) -> float:
        """Returns the chip-seconds that launches under way are expected to take in all."""
        return self.correction * sum(self._committed.values())

    def allows(self, prediction: float) -> bool:
        """Returns whether a job of so many predicted chip-seconds may be launched as well."""
        return self.spent + self.committed + self.correction * prediction <= self.limit

    def launched(self, launch: str, prediction: float) -> None:
        """Notes that a launch is under way that is predicted to take so many chip-seconds."""
        self._committed[launch] = prediction

    def ended(self, launch: str, seconds: float, share: float = 1.0) -> None:
        """Notes what a launch took.

        Args:
          launch: as given to `launched`; others count as spent and correct nothing.
          seconds: of chips, from its start to its end.
          share: of its prediction that was done; a launch that was preempted did a part.
        """
        self.spent += seconds
        prediction = share * self._committed.pop(launch, 0.0)
        if prediction:
            self._predicted += prediction
            self._taken += seconds

    def exhausted(self, left: int) -> str:
        """Returns what a sweep says that ends because of its limit, with so many runs left out."""
        return (
            f"the limit of {self._shown(self.limit)} is reached: {self._shown(self.spent)} are spent and {left} runs left out;"
            f" the same command with a higher --{'max-cost' if self.unit == '$' else 'max-hours'} goes on"
        )

    def _shown(self, seconds: float) -> str:
        value = quantity(self.rate * seconds)
        return f"${value}" if self.unit == "$" else f"{value} {self.unit}"


class Spending:
    """A budget in terms of runs and launches, for the coordinator.

    Args:
      budget: what may be spent.
      predictor: of what runs take.
      chips: of a worker.
    """

    def __init__(self, budget: Budget, predictor: Predictor, chips: int = 1) -> None:
        self.budget, self._predictor, self._chips = budget, predictor, chips
        self._runs: dict[str, dict[str, float]] = {}

    def _predicted(self, config: Config) -> float:
        return self._predictor.seconds(config).middle

    def check(self, title: str, runs: Iterable[Config]) -> None:
        """Refuses runs that would cost more than the limit leaves; raises `UserError` with the plan's figure."""
        self.budget.check(Plan.of(title, runs, self._predictor))

    def already(self, seconds: float) -> None:
        """Notes what launches of earlier sessions took, in seconds of workers."""
        self.budget.spent += self._chips * seconds

    def allows(self, runs: Iterable[Config]) -> bool:
        """Returns whether a launch that does these runs keeps within the limit."""
        return self.budget.allows(sum(map(self._predicted, runs)))

    def launched(self, launch: str, runs: Iterable[Config]) -> None:
        """Notes that a launch is at these runs."""
        self._runs[launch] = {config.name: self._predicted(config) for config in runs}
        self.budget.launched(launch, sum(self._runs[launch].values()))

    def ended(self, launch: str, seconds: float, left: Collection[str]) -> None:
        """Notes what a launch took, in seconds of the worker, and which of its runs it left undone."""
        runs = self._runs.pop(launch, {})
        total = sum(runs.values())
        done = sum(predicted for name, predicted in runs.items() if name not in left)
        self.budget.ended(launch, self._chips * seconds, done / total if total else 0.0)
