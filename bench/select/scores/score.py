"""What a score is, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.errors import UserError
from bench.select.scores.features import Features, Floats, Labels


@dataclass(frozen=True)
class Scored:
    """One measured score.

    Attributes:
      score: name of the score.
      split: images that it was measured on: train, val or test.
      n: number of these images.
      value: the higher, the better; always a finite number.
    """

    score: str
    split: str
    n: int
    value: float


@dataclass(frozen=True)
class Score:
    """A function that says how well features suit a task.

    Attributes:
      name: as in records and tables.
      about: what it is, in one line.
      source: the paper, or the code, that it follows.
      split_kind: `train`: one number of the training images; `held_out`: accuracies on val and test of what was fitted on
        train.
      function: returns the value of every split, `train` alone, or `val` and (where there are test images) `test`.
      needs_head: whether it reads the probabilities of the checkpoint's source classes.
      most: training images that it is computed from at most, as its time or memory grows with their square; None for all.
    """

    name: str
    about: str
    source: str
    split_kind: Literal["train", "held_out"]
    function: Callable[[Features], Mapping[str, float]]
    needs_head: bool = False
    most: int | None = None

    def of(self, features: Features) -> list[Scored]:
        """Returns the score of these features, one entry a split.

        Raises:
          UserError: the score is not defined for them, and why.
        """
        if self.needs_head and features.train_p is None:
            raise UserError("the checkpoint has no source head")
        used = features if self.most is None else features.at_most(self.most)
        n = {"train": len(used.train_y), "val": len(used.val_y), "test": len(used.test_y)}
        values = self.function(used)
        for split, value in values.items():
            if not np.isfinite(value):
                raise UserError(f"its value on {split} is {value}")
        return [Scored(self.name, split, n[split], float(value)) for split, value in values.items()]


def accuracies(features: Features, predict: Callable[[Floats], Labels]) -> dict[str, float]:
    """Returns the share of right predictions on val, and on test where it has images.

    Args:
      features: whose held-out splits count.
      predict: labels i64[n] of features f64[n, D].
    """
    splits = {"val": (features.val_x, features.val_y), "test": (features.test_x, features.test_y)}
    return {split: accuracy(predict(x), y) for split, (x, y) in splits.items() if len(y)}


def accuracy(predicted: Labels, labels: Labels) -> float:
    """Returns the share of right predictions."""
    return float(np.mean(predicted == labels))
