"""What the cheap choice wins or loses: the model chosen by upstream validation against the one chosen downstream.

Source: "How to train your ViT?", Fig. 5 left. Its cells are test accuracies, upstream's choice minus downstream's; the narrow
panel chooses for ImageNet-1k by minival instead of by ImageNetV2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import differences, order
from bench.select import chosen
from bench.select.means import UNGROUPED, groups_of
from bench.select.pools import pools
from bench.select.published import MINIVAL
from bench.select.runs import ok, require, transfer_runs, upstream_runs
from bench.select.validation import V2_OF

_CHEAP = "upstream_best"
_LABELS = {V2_OF: f"{V2_OF} (V2)", MINIVAL: f"{V2_OF} (minival)"}
_GAP = 0.35


def of_table(table: pd.DataFrame, pool: str = "model") -> pd.DataFrame:
    """The cells of a table; where ImageNetV2 chooses for ImageNet-1k, with what minival would have chosen beside it.

    They are those of `bench.select.compare.compare`, without looking at one pool after the other.

    Args:
      table: columns of `bench.records.schema`.
      pool: as of `bench.select.compare.compare`.

    Raises:
      UserError: as `bench.select.pools.pools` and `bench.select.chosen.valued`, or nothing was transferred.
    """
    competing = [checkpoints.assign(pool=name) for name, checkpoints in pools(table, None, pool).items()]
    runs = pd.concat(competing, ignore_index=True) if competing else upstream_runs(table).iloc[:0].assign(pool="")
    rows = transfer_runs(table)
    rows = rows[rows["filename"].isin(runs["filename"])].merge(runs[["filename", "pool"]], on="filename")
    if rows.empty:
        raise UserError("no checkpoint of the table was transferred: there is no choice downstream to compare with")
    first = chosen.recommended(runs, ["pool"])["filename"]
    by_v2 = chosen.valued(rows, ["pool"])
    minival = by_v2.assign(val=by_v2["adapt_final_val"].astype(float).where(ok(by_v2["adapt_status"])))
    other = by_v2["adapt_ds"].eq(V2_OF) & by_v2["val"].notna() & (by_v2["val"] != minival["val"])
    return cells(_compared(by_v2, first), _compared(minival, first) if other.any() else None)


def _compared(rows: pd.DataFrame, first: pd.Series) -> pd.DataFrame:
    """What `cells` needs of a comparison: a row per pool and task, the choice among runs of the `first` against that of all."""
    keys = ["pool", "adapt_ds"]
    facts = rows.assign(adapt_group=chosen.groups(rows)).groupby(keys)["adapt_group"].first()
    cheap, all_of_it = (
        chosen.best(some, keys).set_index(keys)["value"].reindex(facts.index)
        for some in (rows[rows["filename"].isin(first)], rows)
    )
    frame = facts.to_frame().assign(strategy=_CHEAP, regret=all_of_it - cheap).reset_index()
    return frame.rename(columns={"pool": "name"})


def cells(comparison: pd.DataFrame, by_minival: pd.DataFrame | None = None) -> pd.DataFrame:
    """The cells of the figure, from comparisons.

    Args:
      comparison: as `compare` returns it, with the strategy `upstream_best`.
      by_minival: the same of a table without ImageNetV2 scores, for the narrow panel; None for no such panel.

    Returns:
      One row per model and task: name, adapt_ds, value, the test accuracy of upstream_best's choice minus that of adapt_all's,
      a fraction, empty where one of them has none. Tasks by group, ImageNet-1k first; chosen by minival it is the task
      `MINIVAL`.

    Raises:
      UserError: a column is missing, or `upstream_best` was not compared.
    """
    require(comparison, ("name", "adapt_ds", "adapt_group", "strategy", "regret"))
    mine = comparison[comparison["strategy"] == _CHEAP]
    require(mine, ())
    groups = groups_of(mine["adapt_group"].astype("string").fillna(UNGROUPED))
    rank = mine["adapt_group"].astype("string").fillna(UNGROUPED).map(groups.index)
    rows = mine.assign(rank=rank.where(mine["adapt_ds"] != V2_OF, -1)).sort_values(["rank", "adapt_ds"], kind="stable")
    found = [rows.assign(value=-rows["regret"].astype(float))]
    if by_minival is not None:
        narrow = by_minival[(by_minival["strategy"] == _CHEAP) & (by_minival["adapt_ds"] == V2_OF)]
        found.append(narrow.assign(adapt_ds=MINIVAL, value=-narrow["regret"].astype(float)))
    return pd.concat(found, ignore_index=True)[["name", "adapt_ds", "value"]]


def draw(cells: pd.DataFrame, foot: float = 0.0) -> Figure:
    """Draws the cells: a row per model, a column per task, and ImageNet-1k by minival in a panel of its own.

    Args:
      cells: columns name, adapt_ds, value, as the function `cells` returns them or `bench.select.published` reads them; tasks
        are drawn in order of appearance.
      foot: inches that are left free below.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing or there are no cells.
    """
    require(cells, ("name", "adapt_ds", "value"))
    names = order.models(cells["name"])
    grid = cells.pivot(index="name", columns="adapt_ds", values="value").reindex(names)
    tasks = [t for t in dict.fromkeys(cells["adapt_ds"]) if t != MINIVAL]
    narrow = [MINIVAL] if MINIVAL in grid else []
    panels = [part for part in (tasks, narrow) if part]
    norm = differences.limits(grid.to_numpy(float))
    # Where there is no panel to tell it from, ImageNet-1k needs no word on how it was validated.
    labels = _LABELS if narrow else {}
    left = 0.35 + 0.075 * max(map(len, names))
    bottom = foot + 0.2 + 0.047 * max(len(labels.get(t, t)) for part in panels for t in part)
    inner = sum(differences.CELL * len(part) for part in panels) + _GAP * (len(panels) - 1)
    width = max(left + inner + 0.2, 5.6)
    body = differences.ROW * len(names)
    height = bottom + body + 0.4
    fig = Figure(figsize=(width, height), facecolor="white")
    x = left
    for i, part in enumerate(panels):
        wide = differences.CELL * len(part)
        ax = fig.add_axes((x / width, bottom / height, wide / width, body / height))
        values = np.asarray(grid[part].to_numpy(float))
        differences.panel(ax, values, norm, [labels.get(t, t) for t in part], names if i == 0 else [""] * len(names))
        x += wide + _GAP
    head = "Test accuracy, best by upstream minus best by downstream validation, points"
    fig.text(0.1 / width, 1 - 0.08 / height, head, va="top", fontsize=9)
    return fig
