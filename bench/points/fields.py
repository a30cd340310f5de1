"""Strict construction of the frozen configs: unknown field, wrong type and impossible value each end in one clear error."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping
from typing import Any, TypeVar, cast

from bench.errors import UserError, choose_from

T = TypeVar("T")


def typed(owner: str, field: str, value: object, kind: type) -> Any:
    """Returns `value` as `kind` (`int` is taken for `float`, `bool` never for a number).

    Raises:
      UserError: `value` has another type or is not finite; names the value that was probably meant.
    """
    if kind is float and type(value) is int and (whole := _convert(value, float)) is not None:
        value = whole
    if type(value) is not kind:
        near = None if kind is str else _convert(value, kind)
        hint = "" if near is None else f"; did you mean {near!r}?"
        raise UserError(f"{owner}: field {field!r} must be {kind.__name__}, not {type(value).__name__} {value!r}{hint}")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UserError(f"{owner}: field {field!r} must be finite, not {value!r}")
        value += 0.0  # -0.0 becomes 0.0: they are equal, so they must have one name and one digest
    return value


def type_fields(config: object, kinds: Mapping[str, type]) -> None:
    """Checks and converts (see `typed`) the named fields of a frozen dataclass that is being built."""
    for field, kind in kinds.items():
        object.__setattr__(config, field, typed(type(config).__name__, field, getattr(config, field), kind))


def _convert(value: Any, kind: type) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        return None


def within(owner: str, field: str, value: float, low: float, high: float = math.inf, *, open_low: bool = False) -> None:
    """Checks `low <= value <= high` (`low < value` with `open_low`).

    Raises:
      UserError: out of range; names the nearest valid value.
    """
    if (value > low if open_low else value >= low) and value <= high:
        return
    above = f"greater than {low}" if open_low else f"at least {low}"
    bound = above if value <= low else f"at most {high}"
    nearest = "" if open_low and value <= low else f" (nearest valid: {low if value < low else high})"
    raise UserError(f"{owner}: field {field!r} is {value!r}, but must be {bound}{nearest}")


def one_of(owner: str, field: str, value: str, valid: Collection[str]) -> None:
    """Checks membership.

    Raises:
      UserError: not a member; names the nearest valid value.
    """
    if value not in valid:
        raise UserError(f"{owner}: field {field!r} is {value!r}; {choose_from(value, valid)}")


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
