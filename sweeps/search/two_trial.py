"""The learning-rate tuner of "ConvNets Match Vision Transformers at Scale", section 2, as an Optuna sampler.

The best rate falls slowly and monotonically with the size of the model and with the epochs. So a cell (size, epochs) is tuned
once the next smaller size and the next fewer epochs are: the best rate is the lower one of theirs or half of it, and these two
are tried. The very first cell has no neighbour: its rate is climbed to, in factors of two, from a rule of thumb.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.axes import Axis, Choice, Float
from sweeps.search.joint import JointSampler

Cell = tuple[int, int]


class Plan(NamedTuple):
    """What the results so far say.

    Attributes:
      best: by cell (positions of size and epochs), the exponent n of the best rate, start * 2^n; tuned cells only.
      wanted: the (cell, exponent) to try now, in the order of trying.
      done: whether all cells are tuned.
    """

    best: dict[Cell, int]
    wanted: list[tuple[Cell, int]]
    done: bool


class TwoTrialSampler(JointSampler):
    """Proposes the trials of the two-trial tuner; under `study.optimize` it stops the study after the last.

    Args:
      axes: choices of models, smallest first; choices of epochs, fewest first; the range of learning rates.
      start: the rate with which the first cell begins; all rates are this times a power of two.
    """

    def __init__(self, axes: Mapping[str, Axis], start: float) -> None:
        super().__init__(axes)
        sizes, epochs, rate = axes.values()
        assert isinstance(sizes, Choice)
        assert isinstance(epochs, Choice)
        assert isinstance(rate, Float)
        self._names, self._start = tuple(axes), start
        self._sizes, self._epochs = sizes.values, epochs.values
        self._lowest = math.ceil(math.log2(rate.low / start) - 1e-9)
        self._highest = math.floor(math.log2(rate.high / start) + 1e-9)
        # By diagonals: the cells of one do not wait for each other.
        cells = ((i, j) for i in range(len(self._sizes)) for j in range(len(self._epochs)))
        self._cells = sorted(cells, key=lambda cell: (sum(cell), cell))

    def plan(self, study: optuna.Study) -> Plan:
        """Returns what the trials of `study` say, running ones included."""
        return self._plan(study.get_trials(deepcopy=False), self._sign(study))

    def best(self, study: optuna.Study) -> dict[tuple[Any, Any], float]:
        """Returns the best rate of every (size, epochs) that is tuned."""
        return {(self._sizes[i], self._epochs[j]): self._start * 2.0**n for (i, j), n in self.plan(study).best.items()}

    def ready(self, study: optuna.Study) -> bool:
        """Returns whether there is a trial to propose now; if not, more results are needed, or all cells are tuned."""
        return bool(self.plan(study).wanted)

    def exhausted(self, study: optuna.Study) -> bool:
        """Returns whether all cells are tuned."""
        return self.plan(study).done

    def _plan(self, trials: Iterable[FrozenTrial], sign: float) -> Plan:
        tried = self._tried(trials, sign)
        best: dict[Cell, int] = {}
        wanted: list[tuple[Cell, int]] = []
        for cell in self._cells:
            i, j = cell
            near = [c for c in ((i - 1, j), (i, j - 1)) if min(c) >= 0]
            if any(c not in best for c in near):
                continue
            results = tried.get(cell, {})
            candidates = self._halved(min(best[c] for c in near)) if near else self._climbed(results)
            missing = [n for n in candidates if n not in results]
            wanted += [(cell, n) for n in missing]
            if (found := _best(candidates, results)) is not None:
                best[cell] = found
        return Plan(best, wanted, len(best) == len(self._cells))

    def _tried(self, trials: Iterable[FrozenTrial], sign: float) -> dict[Cell, dict[int, float | None]]:
        """Returns the value of every trial, higher is better; None while it runs, minus infinity where it failed."""
        sizes = {value: i for i, value in enumerate(self._sizes)}
        epochs = {value: i for i, value in enumerate(self._epochs)}
        tried: dict[Cell, dict[int, float | None]] = {}
        for trial in trials:
            if len(trial.params) < len(self._names):  # it is being made now
                continue
            size, budget, rate = (trial.params[name] for name in self._names)
            cell, exponent = (sizes[size], epochs[budget]), round(math.log2(rate / self._start))
            value = None if not trial.state.is_finished() else -math.inf
            if trial.state == TrialState.COMPLETE:
                assert trial.value is not None
                value = sign * trial.value
            tried.setdefault(cell, {})[exponent] = value
        return tried

    def _halved(self, start: int) -> list[int]:
        return [n for n in (start, start - 1) if n >= self._lowest]

    def _climbed(self, results: Mapping[int, float | None]) -> list[int]:
        """Returns the exponents that the first cell needs: neighbours of the best known one, on both sides."""
        within = range(self._lowest, self._highest + 1)
        wanted = [n for n in (0, -1, 1) if n in within] or [min(within, key=abs)]
        while (best := _best(wanted, results)) is not None:
            more = [n for n in (best - 1, best + 1) if n in within and n not in wanted]
            if not more:
                break
            wanted += more
        return wanted

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Returns the next trial.

        Raises:
          RuntimeError: `ready` is false.
        """
        wanted = self.plan(study).wanted
        if not wanted:
            raise RuntimeError("the two-trial tuner has nothing to propose before more of its trials end; ask `ready` first")
        (i, j), exponent = wanted[0]
        values = self._sizes[i], self._epochs[j], self._start * 2.0**exponent
        return dict(zip(self._names, values, strict=True))

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Stops `study.optimize` once all cells are tuned."""
        # The trial itself is told only after this call.
        told = copy.copy(trial)
        told.state, told.values = state, None if values is None else list(values)
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        if self._plan([*others, told], self._sign(study)).done:
            with contextlib.suppress(RuntimeError):  # ask and tell have no loop to stop
                study.stop()

    @staticmethod
    def _sign(study: optuna.Study) -> float:
        return 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0


def _best(candidates: Sequence[int], results: Mapping[int, float | None]) -> int | None:
    """Returns the best of the candidates, the first of equals, the lowest if all failed; None while one has no result."""
    values = [results.get(n) for n in candidates]
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        return None
    return min(candidates) if max(known) == -math.inf else candidates[known.index(max(known))]
