"""What a checkpoint may take: at most so many parameters, at least so many images per second.

A limit is a property of the adapted model, at the resolution that it was adapted at: one checkpoint may be fast enough at 224
pixels and too slow at 384.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.cost.flops import weights
from bench.errors import UserError
from bench.points import TASKS, VARIANTS

# Pixels at which a model is counted where the table does not say.
_RESOLUTION = 224


@dataclass(frozen=True)
class Limits:
    """What is asked of a checkpoint; None asks nothing.

    Attributes:
      max_params: parameters, head included.
      min_speed: images per second in evaluation, on the device that the table was measured on.
    """

    max_params: float | None = None
    min_speed: float | None = None


def parameters(table: pd.DataFrame) -> pd.Series:
    """Returns the parameters of every row's model; empty for a model that is unknown and has none recorded.

    The table's number counts unless it is missing or less than the weights of the model's own convolutions and projections:
    the released index has no number for B/8 and a third of the real one for R50+L/32.
    """
    recorded = table["params"].astype(float) if "params" in table else pd.Series(float("nan"), index=table.index)
    facts = table[[c for c in ("name", "adapt_ds", "adapt_resolution") if c in table]].to_dict("records")
    least = pd.Series([_weights(row) for row in facts], index=table.index, dtype="float64").astype(float)
    return recorded.where(least.isna() | (recorded >= least), least)


def speed(table: pd.DataFrame) -> pd.Series:
    """Returns the images per second of every row, empty where the table has none."""
    column = "infer_samples_per_sec"
    return table[column].astype(float) if column in table else pd.Series(float("nan"), index=table.index)


def within(table: pd.DataFrame, limits: Limits) -> tuple[pd.DataFrame, list[str]]:
    """Returns the rows of the table that keep the limits, and a sentence for every model of which rows were left out.

    A row whose number is unknown does not keep the limit.

    Raises:
      UserError: no row keeps them; it says the nearest that would do.
    """
    fits = pd.DataFrame({"params": True, "speed": True}, index=table.index)
    params, fast = parameters(table), speed(table)
    if limits.max_params is not None:
        fits["params"] = params <= limits.max_params
    if limits.min_speed is not None:
        fits["speed"] = fast >= limits.min_speed
    kept = fits.all(axis=1)
    if len(table) and not kept.any():
        raise UserError(_nearest(table["name"], params, fast, fits, limits))
    return table[kept], _left_out(table, params, fast, fits)


def _weights(row: dict[Any, Any]) -> float:
    name, task, resolution = row["name"], row.get("adapt_ds"), row.get("adapt_resolution")
    if name not in VARIANTS:
        return float("nan")
    classes = TASKS[task].classes if pd.notna(task) and task in TASKS else 1
    try:
        return float(weights(name, _RESOLUTION if pd.isna(resolution) else int(resolution), classes))
    except UserError:  # a size that this model cannot take, while none of its own was recorded
        return float("nan")


def _nearest(names: pd.Series, params: pd.Series, fast: pd.Series, fits: pd.DataFrame, limits: Limits) -> str:
    if not fits["params"].any():
        if params.isna().all():
            return "the table has no number of parameters, so they cannot be limited"
        at = int(params.fillna(math.inf).to_numpy().argmin())
        return (
            f"no checkpoint has at most {limits.max_params:,.0f} parameters: the smallest is {names.iloc[at]} with"
            f" {params.iloc[at]:,.0f}; raise the limit to that"
        )
    among = fast.where(fits["params"])
    if among.isna().all():
        return "the table has no speed of the checkpoints that are small enough, so it cannot be limited"
    at = int(among.fillna(-math.inf).to_numpy().argmax())
    small = "" if limits.max_params is None else f" of those with at most {limits.max_params:,.0f} parameters"
    return (
        f"no checkpoint{small} reaches {limits.min_speed:,.6g} images per second: the fastest is {names.iloc[at]} with"
        f" {among.iloc[at]:,.6g}; lower the limit to that"
    )


def _left_out(table: pd.DataFrame, params: pd.Series, fast: pd.Series, fits: pd.DataFrame) -> list[str]:
    out = []
    gone = ~fits.all(axis=1)
    for name, rows in table[gone].groupby("name"):
        why = []
        if (large := params[rows.index][~fits.loc[rows.index, "params"]]).size:
            why.append("parameters unknown" if large.isna().all() else f"{large.max():,.0f} parameters")
        if (slow := fast[rows.index][~fits.loc[rows.index, "speed"]]).size:
            why.append("speed unknown" if slow.isna().all() else f"{slow.min():,.6g} images per second")
        some = "" if gone[table["name"] == name].all() else f"{len(rows)} of {int((table['name'] == name).sum())} rows of "
        out.append(f"left out: {some}{name} ({', '.join(why)})")
    return out
