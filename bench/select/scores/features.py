"""The features of a task's images under one checkpoint, and what several scores need of them, computed once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import UserError

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ROUNDING = float(np.finfo(np.float32).eps)
"""Networks compute in float32 or less: what is smaller than this, relative to the features, is rounding and no signal."""


class Spectrum(NamedTuple):
    """A thin singular value decomposition, without what is only rounding.

    Attributes:
      u: f64[N, k], left singular vectors.
      s: f64[k], singular values, falling; k may be 0.
    """

    u: Floats
    s: Floats


@dataclass(frozen=True, eq=False)
class Features:
    """Features of the images of a task, in the order of the task's examples. Arrays are converted to float64 and int64.

    Attributes:
      train_x: f[N, D]; val_x: f[M, D]; test_x: f[T, D]; T may be 0, then nothing is measured on test.
      train_y, val_y, test_y: i[N], i[M], i[T], labels from 0 to `classes` - 1; a class may be absent.
      classes: number of classes of the task.
      train_p: f[N, Z], what the source head says of the training images, a distribution over source classes; None without head.
      seed: decides what is drawn: the few shots, the starting point of the mixture, the images of a subset.

    Raises:
      UserError: shapes that do not fit, no training or validation image, a label out of range, a value that is no finite
        number, or a row of `train_p` that is no distribution.
    """

    train_x: Floats
    train_y: Labels
    val_x: Floats
    val_y: Labels
    test_x: Floats
    test_y: Labels
    classes: int
    train_p: Floats | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("_x", "_p")) and value is not None:
                object.__setattr__(self, field.name, np.asarray(value, np.float64))
            elif field.name.endswith("_y"):
                object.__setattr__(self, field.name, np.asarray(value, np.int64))
        for split in ("train", "val", "test"):
            self._check(split)
        if self.train_p is not None:
            object.__setattr__(self, "train_p", _distributions(self.train_p, len(self.train_y)))

    def _check(self, split: str) -> None:
        x, y = getattr(self, f"{split}_x"), getattr(self, f"{split}_y")
        if x.ndim != 2 or y.ndim != 1 or len(x) != len(y) or x.shape[1] != self.train_x.shape[-1] or not x.shape[1]:
            raise UserError(f"features of {split}: shapes {x.shape} and {y.shape} of features and labels do not fit together")
        if not len(y) and split != "test":
            raise UserError(f"features of {split}: there is no image; scores need training and validation images")
        finite = np.isfinite(x).all(1)
        if not finite.all():
            raise UserError(f"features of {split}: image {int(finite.argmin())} has a value that is not finite")
        if len(y) and not 0 <= y.min() <= y.max() < self.classes:
            raise UserError(f"features of {split}: labels from {y.min()} to {y.max()} are not within 0 to {self.classes - 1}")

    def at_most(self, n: int) -> Features:
        """Returns the features with at most `n` training images, drawn so that every class keeps its share."""
        if len(self.train_y) <= n:
            return self
        place = np.empty(len(self.train_y))
        shuffled = np.random.default_rng(self.seed).permutation(len(self.train_y))
        for label in self.present:
            own = shuffled[self.train_y[shuffled] == label]
            place[own] = (np.arange(len(own)) + 0.5) / len(own)
        kept = np.sort(np.argsort(place, kind="stable")[:n])
        probabilities = None if self.train_p is None else self.train_p[kept]
        return replace(self, train_x=self.train_x[kept], train_y=self.train_y[kept], train_p=probabilities)

    @cached_property
    def present(self) -> Labels:
        """The classes that occur in training, i64[K]."""
        return np.unique(self.train_y)

    @cached_property
    def member(self) -> Floats:
        """f64[N, K]: 1 where a training image is of a class that occurs."""
        return np.asarray(self.train_y[:, None] == self.present, np.float64)

    def require_two_classes(self) -> None:
        """Checks that training has more than one class.

        Raises:
          UserError: it has one.
        """
        if len(self.present) < 2:
            raise UserError("all training images are of one class, so that there is nothing to tell apart")

    @cached_property
    def rows(self) -> Floats:
        """f64[N, min(N, D)]: the training features in an orthonormal basis of the space that they span.

        Inner products are those of the features, and with them all that does not change under rotation.
        """
        fewer = self.train_x.shape[0] < self.train_x.shape[1]
        return np.transpose(np.linalg.qr(self.train_x.T, mode="r")) if fewer else self.train_x

    @cached_property
    def raw(self) -> Spectrum:
        """Spectrum of the training features as they are."""
        u, s, _ = np.linalg.svd(self.rows, full_matrices=False)
        kept = s > ROUNDING * s[0]
        return Spectrum(u[:, kept], s[kept])

    @cached_property
    def centred(self) -> Spectrum:
        """Spectrum of the training features less their mean; what counts as rounding is relative to the features themselves."""
        u, s, _ = np.linalg.svd(self.rows - self.rows.mean(0), full_matrices=False)
        kept = s > ROUNDING * self.raw.s.max(initial=0.0)
        return Spectrum(u[:, kept], s[kept])

    @cached_property
    def variance(self) -> float:
        """Mean over the features of their variance in training."""
        return float((self.centred.s**2).sum() / self.train_x.size)

    def standardised(self, x: Floats) -> Floats:
        """Returns f64[., D] with mean 0 and variance 1 in training; a feature that is constant there becomes 0 everywhere."""
        mean, deviation = self._moments
        return (x - mean) / deviation

    @cached_property
    def _moments(self) -> tuple[Floats, Floats]:
        deviation = self.train_x.std(0)
        varies = deviation > ROUNDING * np.abs(self.train_x).max(0)
        return self.train_x.mean(0), np.where(varies, deviation, np.inf)


def _distributions(p: Floats, n: int) -> Floats:
    if p.ndim != 2 or len(p) != n or not p.shape[1]:
        raise UserError(f"source probabilities: shape {p.shape} does not fit {n} training images")
    total = p.sum(1)
    # Softmax in bfloat16 sums to 1 up to about a hundredth.
    wrong = ~((np.abs(total - 1) < 0.02) & (p.min(1) >= 0))
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(f"source probabilities: row {row} is no distribution (its sum is {total[row]:.3g})")
    return np.asarray(p / total[:, None])
