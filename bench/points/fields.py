"""Strict construction of the frozen configs: unknown field, wrong type and impossible value each end in one clear error."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from bench.errors import UserError, choose_from

T = TypeVar("T")


def typed(owner: str, field: str, value: object, kind: type) -> Any:
    """Returns `value` as `kind` (`int` is taken for `float`, `bool` never for a number).

    Raises:
      UserError: `value` has another type or is not finite.
    """
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UserError(f"{owner}: field {field!r} must be {kind.__name__}, not {type(value).__name__} {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{owner}: field {field!r} must be finite, not {value!r}")
    return value


def within(owner: str, field: str, value: float, low: float, high: float = math.inf, *, open_low: bool = False) -> None:
    """Checks `low <= value <= high` (`low < value` with `open_low`).

    Raises:
      UserError: out of range; names the nearest valid value.
    """
    if (value > low if open_low else value >= low) and value <= high:
        return
    above = f"greater than {low:g}" if open_low else f"at least {low:g}"
    bound = above if value <= low else f"at most {high:g}"
    nearest = "" if open_low and value <= low else f" (nearest valid: {low if value < low else high:g})"
    raise UserError(f"{owner}: field {field!r} is {value!r}, but must be {bound}{nearest}")


def one_of(owner: str, field: str, value: str, valid: Iterable[str]) -> None:
    """Checks membership.

    Raises:
      UserError: not a member; names the nearest valid value.
    """
    names = list(valid)
    if value not in names:
        raise UserError(f"{owner}: field {field!r} is {value!r}; {choose_from(value, names)}")


def from_mapping(cls: type[T], values: Mapping[str, object]) -> T:
    """Builds the dataclass `cls` from a mapping.

    Raises:
      UserError: an unknown or missing field, or whatever the class itself refuses.
    """
    fields = {f.name: f for f in dataclasses.fields(cast(Any, cls))}
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.0)[0]
            raise UserError(f"{cls.__name__}: unknown field {key!r}; did you mean {near!r}?")
    missing = [
        name
        for name, f in fields.items()
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{cls.__name__}: missing field {missing[0]!r}")
    return cls(**values)
