"""What every config of a run shares: a name, a checked constructor, a plain form, a digest.

A config holds everything that decides the numbers of a run and nothing else (no paths, no devices, no checkpoint intervals).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from bench.errors import UserError

# Raised whenever the same config would train differently, so that old and new results are never mixed under one name.
CONFIG_VERSION = 5
OPTIMIZERS = ("adam", "nesterov_agc", "momentum", "rmsprop", "nesterov_agc_l2", "rmsprop_l2")
DECAYS = ("cosine", "linear", "constant", "exponential")
DTYPES = ("float32", "bfloat16")
MAX_INT = 2**31 - 1  # what 32-bit device code can hold
MAX_NAME = 255  # bytes; common file systems take no longer name


class Config(ABC):
    """What the two configs share: a name, a checked constructor, a plain form, a digest."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """Returns the run's name."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the whole config as plain JSON values; `from_dict` of it gives an equal config."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def facts_used(self) -> dict[str, Any]:
        """Returns the facts that the config only names (shapes, strengths), so that the digest guards them too."""
        return {}

    @cached_property
    def digest(self) -> str:
        """Returns 16 hex digits of SHA-256 over the canonical JSON of the whole config and the facts it names."""
        whole = {"version": CONFIG_VERSION, "kind": self.kind, **self.to_dict(), "facts": self.facts_used()}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]

    def _nameable(self) -> None:
        if len(self.name) > MAX_NAME:
            raise UserError(
                f"{type(self).__name__}: the name has {len(self.name)} characters, more than the {MAX_NAME} of a file name;"
                f" use numbers with fewer digits: {self.name}"
            )


def positional(number: float | Decimal) -> str:
    """Returns the shortest positional form that parses back: 300 for 300.0, 0.25, 0.00001 (never an exponent)."""
    text = format(number if isinstance(number, Decimal) else Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
