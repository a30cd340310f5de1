"""The upstream runs of a table with what each cost and how well it ended: what scaling laws are fitted to.

The table has no loss, so the upstream validation error, 1 - accuracy, stands for it. Compute is in closed form
(`bench.cost.flops`), from the name of a run and the number of its training images.
"""

from __future__ import annotations

import math

import pandas as pd

from bench.cost.flops import training_flops
from bench.errors import UserError
from bench.points import UPSTREAM, Upstream, parse_upstream
from bench.select.costs import run_flops
from bench.select.runs import ok, over_transfer_seeds, transfer_runs, upstream_runs
from bench.select.validation import V2_OF, validation


def upstream(table: pd.DataFrame) -> pd.DataFrame:
    """The upstream runs that ended well, each once.

    Args:
      table: columns of `bench.records.schema`.

    Returns:
      One row a run: filename, model, ds, epochs, lr, compute (FLOPs of the training, empty
      where the number of images was never published and no record says it, or where the name follows no scheme), size (FLOPs of
      one epoch), loss (validation error, 1 - final_val).

    Raises:
      UserError: what `upstream_runs` raises, or no run ended well with a validation score.
    """
    runs = upstream_runs(table)
    runs = runs[ok(runs["status"]) & runs["final_val"].notna()].reset_index(drop=True)
    if runs.empty:
        raise UserError("no upstream run of the table ended well with a validation accuracy (final_val)")
    images = runs["n_train"] if "n_train" in runs else pd.Series(pd.NA, index=runs.index)
    found = pd.DataFrame({"filename": runs["filename"], "model": runs["name"]})
    configs = [_config(str(name)) for name in runs["filename"]]
    found["ds"] = runs["ds"].astype(str)
    found["epochs"] = runs["epochs"].astype(float)
    found["lr"] = runs["lr"].astype(float)
    found["compute"] = [_flops(c, n) for c, n in zip(configs, images, strict=True)]
    found["size"] = found["compute"] / found["epochs"]
    found["loss"] = 1 - runs["final_val"].astype(float)
    return found


def finetuned(table: pd.DataFrame, task: str = V2_OF) -> pd.DataFrame:
    """The runs of `upstream` with what each reaches on a task: test accuracy of its best transfer by validation.

    Returns:
      The columns of `upstream`, and task, accuracy (fraction) and finetune (FLOPs of that transfer); runs without a scored
      transfer to the task are left out.

    Raises:
      UserError: what `upstream` raises, or no run was transferred to the task.
    """
    runs = upstream(table)
    transfers = transfer_runs(over_transfer_seeds(table))
    transfers = transfers[transfers["adapt_ds"] == task]
    if transfers.empty:
        raise UserError(f"the table has no transfer to {task}")
    score, _ = validation(transfers)
    scored = transfers[score.notna() & transfers["adapt_final_test"].notna()]
    if scored.empty:
        raise UserError(f"no transfer to {task} has both a validation and a test accuracy")
    best = scored.loc[score[scored.index].groupby(scored["filename"]).idxmax()]
    rows = pd.DataFrame({"filename": best["filename"], "task": task, "accuracy": best["adapt_final_test"].astype(float)})
    return runs.merge(rows.assign(finetune=run_flops(best)), on="filename", validate="one_to_one")


def _config(name: str) -> Upstream | None:
    try:
        return parse_upstream(name)
    except UserError:
        return None


def _flops(config: Upstream | None, images: object) -> float:
    if config is None:
        return math.nan
    if not pd.isna(images):  # type: ignore[call-overload]
        return training_flops(config, int(images))  # type: ignore[call-overload]
    known = UPSTREAM[config.dataset].train
    return training_flops(config, round(known * config.fraction)) if known else math.nan
