"""Pools from a table: which checkpoints compete, and what is known of them before anything is adapted to a task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from bench.errors import UserError, choose_from
from bench.points.tasks import TASKS
from bench.select.costs import image_flops, run_flops
from bench.select.limits import parameters
from bench.select.pool import HISTORY, NO_HISTORY, Pool
from bench.select.runs import ok, upstream_runs
from bench.select.validation import validation

POOLS = ("model", "all")
OF_ALL = "any model"
"""Name of the one pool in which the checkpoints of all models compete."""
_OF_SIZE = ("filename", "name", "adapt_ds", "adapt_resolution", "params")


@dataclass(frozen=True)
class Contest:
    """One pool on one task, with what only the scorer reads.

    Attributes:
      name: the model, or `OF_ALL`.
      pool: what strategies see.
      rows: the rows of the table, index `adapt_filename`; test columns included.
      val: validation score of the runs, NaN where they diverged; index `adapt_filename`.
      split: the images that `val` was measured on.
      group, synthetic: of the task, None where it is not known.
      probes: FLOPs and seconds of one probe of every checkpoint, what scores cost; 0 without scores.
    """

    name: str
    pool: Pool
    rows: pd.DataFrame
    val: pd.Series
    split: str
    group: str | None
    synthetic: bool | None
    probes: tuple[float, float]


def pools(table: pd.DataFrame, ds: Iterable[str] | None = None, pool: str = "model") -> dict[str, pd.DataFrame]:
    """The checkpoints that compete: those of a model, models sorted by name, or all; none where all runs diverged.

    Args:
      table: columns of `bench.records.schema`.
      ds: upstream sets to restrict the pools to; None for all.
      pool: `model`, a pool for each model, or `all`, one pool named `OF_ALL`.

    Raises:
      UserError: an upstream set that the table does not have, another `pool`, or what `upstream_runs` raises.
    """
    if pool not in POOLS:
        raise UserError(f"no pool {pool!r}; {choose_from(pool, POOLS)}")
    runs = of_sets(upstream_runs(table), ds or ())
    names = runs["name"] if pool == "model" else pd.Series(OF_ALL, index=runs.index)
    return {str(name): rows[ok(rows["status"])] for name, rows in runs.groupby(names)}


def of_sets(table: pd.DataFrame, ds: Iterable[str]) -> pd.DataFrame:
    """Returns the rows of some upstream sets; all rows where none is named.

    Raises:
      UserError: an upstream set that the table does not have.
    """
    known = sorted(table["ds"].dropna().unique())
    for wanted in (ds := list(ds)):
        if wanted not in known:
            raise UserError(f"no run of the table has ds {wanted!r}; {choose_from(wanted, known)}")
    return table[table["ds"].isin(ds)] if ds else table


def contests(
    by_name: Mapping[str, pd.DataFrame], transfers: pd.DataFrame, scores: pd.DataFrame | None, seed: int
) -> Iterator[Contest]:
    """Yields every pool on every task that it was transferred to, tasks sorted by name.

    Args:
      by_name: as `pools` returns it.
      transfers: as `bench.select.runs.transfer_runs` returns it.
      scores: as `bench.records.scores.check` returns it; None for none.
      seed: of strategies that draw.
    """
    # Python's strings: the arrays that pandas keeps its own in are slow to take small parts of.
    named = {column: transfers[column].astype(object) for column in ("name", "filename", "adapt_filename")}
    transfers = transfers.assign(flops=run_flops(transfers), **named)
    sizes = _sizes(transfers)
    for name, checkpoints in by_name.items():
        of_pool = transfers[transfers["filename"].isin(checkpoints["filename"])]
        found = {str(task): (rows, *validation(rows)) for task, rows in of_pool.groupby("adapt_ds")}
        history = _history({task: (rows, val) for task, (rows, val, _) in found.items()})
        unadapted = parameters(checkpoints)
        for task, (rows, val, split) in found.items():
            group, synthetic = _facts(task, rows)
            others = [other for other in found if not _same_images(other, task)]
            measured = None if scores is None else _measured(scores, task, checkpoints)
            of_task = sizes.loc[task].reindex(checkpoints["filename"]).set_axis(checkpoints.index)
            pool = Pool.of(
                checkpoints.assign(params=of_task["params"].fillna(unadapted), flops=of_task["flops"]),
                rows,
                None if measured is None else _wide(measured),
                history[history["adapt_ds"].isin(others)],
                task=task,
                group=group or "",
                seed=seed,
            )
            by_run = rows.set_index("adapt_filename")
            val = val.set_axis(by_run.index)
            yield Contest(name, pool, by_run, val, split, group, synthetic, _probes(measured))


def _history(found: Mapping[str, tuple[pd.DataFrame, pd.Series]]) -> pd.DataFrame:
    """Best validation score of every checkpoint on every task."""
    parts = []
    for task, (rows, val) in found.items():
        highest = val.groupby(rows["filename"]).max().dropna()
        facts = {"adapt_ds": task, "adapt_group": _facts(task, rows)[0]}
        parts.append(pd.DataFrame({"filename": highest.index, **facts, "score": highest.to_numpy()}))
    return pd.concat(parts, ignore_index=True).astype(HISTORY) if parts else NO_HISTORY


def _same_images(one: str, other: str) -> bool:
    """Whether two tasks are one set with the same labels, cut in other places: the one would tell of the other's test."""
    if one == other:
        return True
    files = [TASKS[task].files if task in TASKS else None for task in (one, other)]
    if files[0] is None or files[1] is None:
        return False
    return (files[0].folder, files[0].label) == (files[1].folder, files[1].label)


def _sizes(transfers: pd.DataFrame) -> pd.DataFrame:
    """Parameters of each adapted model and FLOPs of an image, at the lowest resolution of its runs; by task and `filename`."""
    lowest = transfers[[c for c in _OF_SIZE if c in transfers]]
    lowest = lowest.sort_values("adapt_resolution", kind="stable") if "adapt_resolution" in lowest else lowest
    first = lowest.groupby(["adapt_ds", "filename"]).first().reset_index()
    sides = first["adapt_resolution"].astype("Float64") if "adapt_resolution" in first else [None] * len(first)
    each = zip(first["name"], sides, strict=True)
    flops = [math.nan if pd.isna(side) else image_flops(str(model), int(side)) for model, side in each]
    return first[["adapt_ds", "filename"]].assign(params=parameters(first), flops=flops).set_index(["adapt_ds", "filename"])


def _measured(scores: pd.DataFrame, task: str, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """The scores of a pool on a task without those on test; where there are several resolutions, at the lowest."""
    mine = scores[(scores["adapt_ds"] == task) & scores["filename"].isin(checkpoints["filename"]) & (scores["split"] != "test")]
    lowest = mine.groupby("filename")["adapt_resolution"].transform("min")
    return mine[mine["adapt_resolution"] == lowest]


def _wide(measured: pd.DataFrame) -> pd.DataFrame:
    return measured.pivot(index="filename", columns="score", values="value").reset_index()


def _probes(measured: pd.DataFrame | None) -> tuple[float, float]:
    if measured is None:
        return 0.0, 0.0
    each = measured.groupby("filename")[["flops", "seconds"]].first()
    return float(each["flops"].sum()), float(each["seconds"].sum())


def _facts(task: str, rows: pd.DataFrame) -> tuple[str | None, bool | None]:
    """Group and kind of a task: as recorded, else (the released index records neither) as `bench.points.tasks` has them."""
    known = TASKS.get(task)
    group = rows["adapt_group"].dropna() if "adapt_group" in rows else pd.Series(dtype="string")
    synthetic = rows["adapt_synthetic"].dropna() if "adapt_synthetic" in rows else pd.Series(dtype="boolean")
    return (
        str(group.iloc[0]) if len(group) else known.group if known else None,
        bool(synthetic.iloc[0]) if len(synthetic) else known.synthetic if known else None,
    )
