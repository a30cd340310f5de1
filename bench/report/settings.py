"""How to fine-tune: the settings of transfer runs in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.points import Transfer
from bench.points.names import transfer_fields

# What a name does not say.
_BATCH = Transfer.__dataclass_fields__["batch_size"].default


def settings(rows: Iterable[Mapping[Any, Any]]) -> str:
    """Returns the settings of one transfer run of each task: "lr 0.01, 2,500 steps, 384 px, batch 512".

    Where tasks differ, what they share comes first: "batch 512; cifar100, dtd: lr 0.01; kitti: lr 0.001". Empty without a run.

    Args:
      rows: of the table.
    """
    parts = {str(row["adapt_ds"]): _parts(row) for row in rows}
    if not parts:
        return ""
    first = next(iter(parts.values()))
    shared = [part for part in first if all(part in of_task for of_task in parts.values())]
    tasks: dict[str, list[str]] = {}
    for task, of_task in parts.items():
        tasks.setdefault(", ".join(p for p in of_task if p not in shared), []).append(task)
    own = [f"{', '.join(names)}: {how}" for how, names in tasks.items() if how]
    return "; ".join(([", ".join(shared)] if shared else []) + own)


def usual(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    """Returns the transfer run whose settings did best over the tasks of `rows`, for a task that was not tried; or none.

    Of the settings that the most tasks have been tried with, those with the best mean of validation accuracy, each task's less
    its own mean, so that none weighs more for being easier.
    """
    keys = ["adapt_lr", "adapt_steps", "adapt_resolution"]
    tried = rows.dropna(subset=["adapt_final_val", *keys])
    if tried.empty:
        return []
    val = tried["adapt_final_val"].astype(float)
    tried = tried.assign(ahead=val - val.groupby(tried["adapt_ds"]).transform("mean"))
    found = tried.groupby(keys).agg(tasks=("adapt_ds", "nunique"), ahead=("ahead", "mean"))
    chosen = found.sort_values(["tasks", "ahead"], ascending=False, kind="stable").index[0]
    return tried[(tried[keys] == list(chosen)).all(axis=1)].head(1).to_dict("records")


def _parts(row: Mapping[Any, Any]) -> list[str]:
    known = {c: row[c] for c in ("adapt_lr", "adapt_steps", "adapt_resolution") if pd.notna(row.get(c))}
    written = {"adapt_lr": "lr {:g}", "adapt_steps": "{:,.0f} steps", "adapt_resolution": "{:.0f} px"}
    parts = [written[c].format(value) for c, value in known.items()]
    with suppress(UserError):  # a name of another scheme says nothing of it
        parts.append(f"batch {transfer_fields(str(row['adapt_filename']))[1].get('batch_size', _BATCH)}")
    return parts
