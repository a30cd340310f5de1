"""Where the rows of these figures come from: runs of a table, with compute in FLOPs, or the published ones in core-hours.

A frame says it in its columns: `used` (of `bench.report.catalogue.KINDS`), `unit` of compute, `measure` that is called loss,
`note` for the foot of the drawing.
"""

from __future__ import annotations

import pandas as pd

from bench.errors import UserError
from bench.report.catalogue import OWN, PUBLISHED, TABLE
from bench.select import compute, published_scaling
from bench.select.runs import require
from bench.select.validation import V2_OF

PAPER = "ConvNets Match Vision Transformers at Scale (2310.16764)"
_DIGITISED = f"Published numbers, digitised from {PAPER}: about 1% in compute, 0.001 to 0.005 in loss"
RUNS = ("used", "unit", "measure", "note", "ds", "model", "epochs", "compute", "size", "loss")


def losses(table: pd.DataFrame | None) -> pd.DataFrame:
    """One row per upstream run: columns `RUNS`, and accuracy where the numbers are published.

    Raises:
      UserError: the table has no run whose compute is known, or what `bench.select.compute.upstream` raises.
    """
    return _known(table, compute.upstream(table)) if table is not None else _published()


def accuracies(table: pd.DataFrame | None) -> pd.DataFrame:
    """One row per fine-tuned upstream run: columns `RUNS`, task and accuracy.

    The task is ImageNet-1k; of a table without it the task with the most transfers, the first by name of several.

    Raises:
      UserError: as `losses`, or nothing was transferred.
    """
    if table is None:
        return _published().dropna(subset=["accuracy"]).assign(task=V2_OF)
    return _known(table, compute.finetuned(table, task_of(table)))


def task_of(table: pd.DataFrame) -> str:
    """ImageNet-1k; of a table without transfers to it the task with the most, the first by name of several.

    Raises:
      UserError: nothing was transferred.
    """
    require(table, ("adapt_ds",))
    counts = table["adapt_ds"].value_counts().sort_index()
    if counts.empty:
        raise UserError("the table has no transfers: this figure shows what runs reach after fine-tuning")
    return V2_OF if V2_OF in counts else str(counts.idxmax())


def used(table: pd.DataFrame) -> str:
    """Whether a table's rows are own runs, of which it says the number of training images, or released ones."""
    return OWN if "n_train" in table and table["n_train"].notna().any() else TABLE


def _published() -> pd.DataFrame:
    facts = {"used": PUBLISHED, "unit": "TPU-v4 core-hours", "measure": "validation loss", "note": _DIGITISED}
    return published_scaling.nfnet().assign(**facts)[[*RUNS, "accuracy"]]


def _known(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    known = runs.dropna(subset=["compute"])
    known = known[known["loss"] > 0]
    if known.empty:
        raise UserError(
            "no upstream run of the table has both a validation error and a known compute: its name must follow the scheme, and"
            " it must say the number of its training images (n_train) where that of its upstream set was never published"
        )
    left = len(runs) - len(known)
    note = f"{len(known):,} runs of the table; FLOPs in closed form"
    note += f"; {left:,} left out, whose compute is not known or whose error is 0" if left else ""
    facts = {"used": used(table), "unit": "FLOPs", "measure": "upstream validation error", "note": note}
    rest = [c for c in ("task", "accuracy") if c in known]
    return known.assign(**facts)[[*RUNS, *rest]].reset_index(drop=True)
