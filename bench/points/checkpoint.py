"""Weights that were not trained here: a released file, timm's, or one of the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from bench.errors import UserError
from bench.points.config import DTYPES, Config
from bench.points.fields import from_mapping, one_of, type_fields
from bench.points.upstream import Upstream
from bench.points.variants import VARIANTS, Variant

_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)*")
_WEIGHTS = re.compile(r"[0-9a-f]{16}")
# Digits of the weights' hash that stand in a name.
SHOWN = 8


@dataclass(frozen=True)
class Checkpoint(Config):
    """Weights from elsewhere, which transfers and probes start from.

    Attributes:
      model: a name of `VARIANTS`.
      label: what its maker calls it: words of letters, digits, `_` and `.`, joined by `-`. The canonical name of an upstream
        run of that model, as released files have it, stands for that run: the table's columns are filled from it.
      weights: 16 hex digits of the SHA-256 of its arrays, see `bench.weights.identity`.
      dtype: `float32` or `bfloat16`, in which the model computes.
    """

    kind = "checkpoint"

    model: str
    label: str
    weights: str
    dtype: str = "float32"

    def __post_init__(self) -> None:
        me = "Checkpoint"
        type_fields(self, dict.fromkeys(("model", "label", "weights", "dtype"), str))
        one_of(me, "model", self.model, VARIANTS)
        one_of(me, "dtype", self.dtype, DTYPES)
        if not _LABEL.fullmatch(self.label):
            raise UserError(f"{me}: field 'label' is {self.label!r}, but must be letters, digits, _ and ., joined by single -")
        if not _WEIGHTS.fullmatch(self.weights):
            raise UserError(f"{me}: field 'weights' is {self.weights!r}, but must be 16 hex digits")
        self._nameable()

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Checkpoint:
        """Builds a config from plain values; raises `UserError` (see `from_mapping`)."""
        return from_mapping(cls, values)

    def facts_used(self) -> dict[str, Any]:
        """Returns the shape of the model."""
        return {"variant": {"family": self.variant.family, "spec": asdict(self.variant.spec)}}

    @property
    def variant(self) -> Variant:
        """Returns the model's facts."""
        return VARIANTS[self.model]

    @property
    def randaug(self) -> str:
        """Returns how RandAugment is done in its transfers."""
        return "reference"

    @cached_property
    def run(self) -> Upstream | None:
        """Returns the upstream run that the label names, None where it names none of this model."""
        from bench.points.names import parse_upstream

        try:
            found = parse_upstream(self.label)
        except UserError:
            return None
        return found if found.model == self.model else None

    @cached_property
    def name(self) -> str:
        """Returns the label of an upstream run as it is, else the model's prefix, the label and the weights' first digits."""
        return self.label if self.run else f"{self.variant.prefix}-{self.label}-w_{self.weights[:SHOWN]}"
