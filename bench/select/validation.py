"""By which score transfer runs may be chosen, and which of them do not compare at all."""

from __future__ import annotations

import pandas as pd

from bench.errors import UserError
from bench.points.datasets import UPSTREAM, UpstreamSet
from bench.select.runs import ok

V2_OF = "imagenet2012"
"""The task that has a second validation set, ImageNetV2, in the column `adapt_final_val_v2`."""


def upstream_set(ds: str) -> UpstreamSet | None:
    """Returns the facts of an upstream set as the column `ds` spells it, None where it is unknown.

    The column has the set's name, then its fraction or the release's mark of 30 epochs: `i21k_10pct`, `i21k_30`.
    """
    sets = [name for name in UPSTREAM if ds == name or ds.startswith(f"{name}_")]
    return UPSTREAM[max(sets, key=len)] if sets else None


def saw(ds: str, task: str) -> bool:
    """Returns whether an upstream set, as the column `ds` spells it, contains the validation images of `task`."""
    found = upstream_set(ds)
    return found is not None and task in found.contains


def validation(transfers: pd.DataFrame) -> tuple[pd.Series, str]:
    """Returns the validation score of the transfer runs of one pool on one task, and the images that it was measured on.

    These are the task's own, `val`, except for imagenet2012 where any checkpoint of the pool saw them upstream: minival is cut
    from the training images that ImageNet-21k contains, so it overrates models that memorise. There it is `imagenet_v2`
    ("How to train your ViT?", section 4.5). The two scales differ by about 15 points, so they never compete: where any run that
    ended well lacks the ImageNetV2 score, all are compared by minival.

    Args:
      transfers: columns adapt_ds, ds, adapt_status, adapt_final_val and, if it is there, adapt_final_val_v2.

    Returns:
      Scores, fractions, NaN where a run diverged or has none; and `val` or `imagenet_v2`.
    """
    usable = ok(transfers["adapt_status"])
    score, split = transfers["adapt_final_val"].astype(float), "val"
    seen = any(saw(str(ds), V2_OF) for ds in transfers["ds"].dropna().unique())
    if seen and "adapt_final_val_v2" in transfers and bool(transfers["adapt_ds"].eq(V2_OF).all()):
        v2 = transfers["adapt_final_val_v2"].astype(float)
        scored = usable & (v2.notna() | score.notna())
        if scored.any() and v2[scored].notna().all():
            score, split = v2, "imagenet_v2"
    return score.where(usable), split


def notices(table: pd.DataFrame) -> list[str]:
    """Returns what is to be said of the validation scores of a table: that runs go by minival which ImageNetV2 should judge."""
    rows = table[table["adapt_ds"].eq(V2_OF).fillna(False).astype(bool)]
    seen = rows["ds"].map(lambda ds: saw(str(ds), V2_OF)).astype(bool)
    v2 = rows["adapt_final_val_v2"].notna() if "adapt_final_val_v2" in rows else pd.Series(False, index=rows.index)
    lacking = int((seen & ~v2 & ok(rows["adapt_status"])).sum())
    if not lacking:
        return []
    return [
        f"{V2_OF}: {lacking} runs of checkpoints that saw its validation images upstream have no ImageNetV2 score, so minival "
        "selects, which overrates models that memorise"
    ]


def refuse_mixtures(transfers: pd.DataFrame) -> None:
    """Checks that the runs of each task learnt from the same images, so that their scores compare.

    Args:
      transfers: column adapt_ds; of adapt_fit, adapt_version, adapt_data_fingerprint and adapt_resolution those that are there.

    Raises:
      UserError: names a task whose runs differ in what they learnt from, in its version or, at one resolution, in its images.
    """
    for column, what in (
        ("adapt_fit", "protocols"),
        ("adapt_version", "versions of the task"),
        ("adapt_data_fingerprint", "data fingerprints"),
    ):
        if column not in transfers:
            continue
        # Images that are kept resized have a fingerprint for each size.
        by = [
            "adapt_ds",
            *(["adapt_resolution"] if column == "adapt_data_fingerprint" and "adapt_resolution" in transfers else []),
        ]
        values = transfers[column].fillna("train") if column == "adapt_fit" else transfers[column]
        several = values.groupby([transfers[c] for c in by], dropna=False).nunique()
        if (several > 1).any():
            task = several.index[several > 1][0]
            task = task[0] if isinstance(task, tuple) else task
            found = ", ".join(sorted(map(str, values[transfers["adapt_ds"] == task].dropna().unique())))
            raise UserError(
                f"the transfers to {task} mix several {what} ({column}: {found}), so their scores do not compare; "
                "select from a table of one of them"
            )
