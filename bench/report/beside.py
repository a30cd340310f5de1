"""A table's heatmap beside the published one: differences, and how alike the two rank what they hold.

Source of the published cells: "How to train your ViT?", Fig. 4, its narrow column, and Fig. 7. They are whole percents, so a
table that gave them differs by up to half a point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError, choose_from
from bench.report import heatmap, order
from bench.select import published
from bench.select.runs import require

HALF = 0.005
"""What rounding to whole percents changes at most."""
_FEWEST = 3
"""Pairs below which a rank correlation says nothing."""


@dataclass(frozen=True)
class Reference:
    """Published cells that a table has as well.

    Attributes:
      name: to ask for it.
      about: what its cells are.
      keys: columns that name a cell, `ds` and `name` first.
      read: the published cells, given the folder they lie in; `keys` and `value`.
      of_table: the same of a table.
    """

    name: str
    about: str
    keys: tuple[str, ...]
    read: Callable[[Path], pd.DataFrame]
    of_table: Callable[[pd.DataFrame], pd.DataFrame]


REFERENCES: dict[str, Reference] = {
    r.name: r
    for r in (
        Reference(
            "augreg-fig4",
            "Upstream validation accuracy in %",
            ("ds", "name", "do", "aug"),
            published.fig4_cells,
            heatmap.cells,
        ),
        Reference(
            "augreg-fig4-narrow",
            "Best accuracy with dropout minus best without, points",
            ("ds", "name"),
            published.fig4_narrow,
            lambda table: heatmap.narrow(heatmap.cells(table)),
        ),
        Reference(
            "augreg-fig7",
            "Accuracy with dropout minus without, points",
            ("ds", "name", "aug"),
            published.fig7_cells,
            lambda table: heatmap.gains(heatmap.cells(table)),
        ),
    )
}


def find(name: str) -> Reference:
    """Returns the reference of a name; raises `UserError` with the nearest names for another."""
    if name not in REFERENCES:
        raise UserError(f"nothing published is called {name!r}; {choose_from(name, REFERENCES)}")
    return REFERENCES[name]


def compare(table: pd.DataFrame, reference: str, folder: Path = published.FOLDER) -> pd.DataFrame:
    """The cells of a table beside the published ones.

    Args:
      table: columns of `bench.records.schema`.
      reference: a name of `REFERENCES`.
      folder: where the published numbers lie.

    Returns:
      One row per published cell of the upstream sets that the table has, in the order of the figure: the reference's keys,
      `value` (empty where the table has no such cell) and `published`, fractions, `difference`, and `same`: whether the value
      rounds to the published one (False where it is empty).

    Raises:
      UserError: unknown reference, no published numbers, or a table that has none of the cells.
    """
    asked = find(reference)
    keys = list(asked.keys)
    theirs = asked.read(folder).rename(columns={"value": "published"})
    cells = asked.of_table(table)
    mine = cells[[*keys, "value"]].dropna(subset="value")
    found = theirs[theirs["ds"].isin(mine["ds"])].merge(mine, on=keys, how="left", validate="one_to_one")
    if found["value"].isna().all():
        raise UserError(
            f"the table has no cell of {reference}, which is of {_said(theirs['ds'])} and {_said(theirs['name'])};"
            f" the table has {_said(cells['ds'])} and {_said(cells['name'])}{'' if len(mine) else ', and no value in any cell'}"
        )
    found["difference"] = found["value"] - found["published"]
    found["same"] = found["difference"].abs() <= HALF + 1e-9
    ranks: dict[str, list[Any]] = {
        "ds": order.upstream_sets(found["ds"]),
        "name": order.models(found["name"]),
        "do": sorted(found["do"].unique()) if "do" in keys else [],
        "aug": order.levels(found["aug"]) if "aug" in keys else [],
    }
    by = pd.DataFrame({key: found[key].map({v: i for i, v in enumerate(ranks[key])}) for key in keys})
    columns = [*keys, "value", "published", "difference", "same"]
    return found.loc[by.sort_values(keys).index, columns].reset_index(drop=True)


def summary(cells: pd.DataFrame) -> pd.DataFrame:
    """How alike the two are, by upstream set.

    Args:
      cells: as `compare` returns them.

    Returns:
      One row per upstream set: `ds`; `cells`, published ones; `compared`, those that the table has; `same`, those that round to
      the published value; `mean`, `largest`: of the differences, fractions, the largest by size; `spearman`: rank correlation
      over the compared cells, empty for fewer than three or where all values of a side are equal.

    Raises:
      UserError: a column is missing or there is no cell.
    """
    require(cells, ("ds", "value", "published", "difference", "same"))
    rows = []
    for ds, of_set in cells.groupby("ds", sort=False):
        have = of_set.dropna(subset="value")
        differences = have["difference"].to_numpy(float)
        varied = len(have) >= _FEWEST and have["value"].nunique() > 1 and have["published"].nunique() > 1
        rows.append(
            {
                "ds": ds,
                "cells": len(of_set),
                "compared": len(have),
                "same": int(have["same"].sum()),
                "mean": differences.mean() if len(have) else np.nan,
                "largest": differences[np.abs(differences).argmax()] if len(have) else np.nan,
                "spearman": have["value"].corr(have["published"], method="spearman") if varied else np.nan,
            }
        )
    return pd.DataFrame(rows)


def for_people(found: pd.DataFrame) -> pd.DataFrame:
    """What `summary` returns as strings under plain headings, differences in points."""
    points = {c: [f"{100 * v:+.2f}" if v == v else "" for v in found[c]] for c in ("mean", "largest")}
    return pd.DataFrame(
        {
            "upstream set": found["ds"],
            "published cells": found["cells"].astype(str),
            "compared": found["compared"].astype(str),
            "round alike": found["same"].astype(str),
            "mean difference, points": points["mean"],
            "largest": points["largest"],
            "rank correlation": [f"{v:.3f}" if v == v else "" for v in found["spearman"]],
        }
    )


def _said(values: pd.Series) -> str:
    distinct = list(dict.fromkeys(values))
    return ", ".join(distinct[:4]) + (", ..." if len(distinct) > 4 else "") or "nothing"
