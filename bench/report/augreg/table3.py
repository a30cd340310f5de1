"""Table 3: ImageNet-1k after fine-tuning, and speed, of the recommended checkpoint of every model and upstream set.

Source: "How to train your ViT?", Table 3.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import order
from bench.report.augreg import face, text_grid
from bench.report.augreg.face import ORIGIN, TABLE
from bench.select import chosen, published
from bench.select.runs import require
from bench.select.validation import V2_OF, saw

_SPEED, _UPSTREAM, _V2 = "img_per_sec_", "_upstream_", "_v2_"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """The table.

    Args:
      table: columns of `bench.records.schema`; None for the published one.

    Returns:
      One row per model: name; `adapt_ds`, the task; for each resolution PX `img_per_sec_PX` and, for each upstream set DS,
      `DS_PX`, the test accuracy of the recommended checkpoint, a fraction; where the task is ImageNet-1k, `i1k_upstream_PX`,
      the test accuracy before fine-tuning; where ImageNetV2 was measured, `DS_v2_PX`, that of the checkpoint that it chooses;
      published only, `jft300m_384`. Cells without a run are empty.

    Raises:
      UserError: the table lacks a column, or nothing was transferred.
    """
    if table is None:
        return _published()
    task = chosen.task_of(table)
    table = face.of_the_paper(table)
    checkpoints = chosen.of_table(table)
    of_task = chosen.of_task(table, task)
    found = chosen.tuned(of_task, checkpoints)
    if found.empty:
        raise UserError(f"table 3: no recommended checkpoint of the table has a scored transfer to {task}")
    names, sets = order.models(checkpoints["name"]), order.upstream_sets(checkpoints["ds"])
    upstream = checkpoints.set_index(["ds", "name"])
    by_v2 = _by_v2(of_task)
    columns: dict[str, pd.Series] = {}
    for i, px in enumerate(sorted(found["adapt_resolution"].unique())):
        mine = found[found["adapt_resolution"] == px]
        if "infer_samples_per_sec" in mine:
            columns[f"{_SPEED}{px}"] = mine.groupby("name")["infer_samples_per_sec"].max()
        for ds in sets:
            if i == 0 and ds == "i1k" and task == V2_OF and "final_test" in upstream:
                columns[f"{ds}{_UPSTREAM}{px}"] = upstream.loc[ds]["final_test"]
            columns[f"{ds}_{px}"] = mine[mine["ds"] == ds].set_index("name")["value"]
            again = by_v2[(by_v2["ds"] == ds) & (by_v2["adapt_resolution"] == px)]
            if len(again):
                columns[f"{ds}{_V2}{px}"] = again.set_index("name")["value"]
    wide = pd.DataFrame({c: v.astype(float).reindex(names) for c, v in columns.items()}, index=pd.Index(names, name="name"))
    return wide.reset_index().assign(adapt_ds=task, **{ORIGIN: TABLE})


def _by_v2(rows: pd.DataFrame) -> pd.DataFrame:
    """What ImageNetV2 chooses among all transfers of a model and set that saw minival upstream; nothing without its scores."""
    if "adapt_final_val_v2" not in rows:
        return rows.iloc[:0]
    seen = rows["ds"].map({ds: saw(str(ds), V2_OF) for ds in rows["ds"].dropna().unique()}).fillna(False).astype(bool)
    scored = rows[seen & rows["adapt_final_val_v2"].notna()]
    return chosen.tuned(scored, scored) if len(scored) else scored


def _published() -> pd.DataFrame:
    found = published.imagenet_transfer()
    names = order.models(found["name"])
    columns: dict[str, pd.Series] = {}
    for px, of_px in found.groupby("resolution"):
        columns[f"{_SPEED}{px}"] = of_px.groupby("name")["img_per_sec"].first()
        for infix, rule in ((_UPSTREAM, "as_it_is"), ("_", "upstream_best"), (_V2, "imagenet_v2"), ("_", "")):
            for ds, rows in of_px[of_px["rule"] == rule].groupby("ds", sort=False):
                columns[f"{ds}{infix}{px}"] = rows.set_index("name")["test"]
    wide = pd.DataFrame({c: v.reindex(names) for c, v in columns.items()}, index=pd.Index(names, name="name"))
    return wide.reset_index().assign(adapt_ds=V2_OF, **{ORIGIN: face.published("Table 3")})


def draw(frame: pd.DataFrame) -> Figure:
    """Draws the table, the best accuracy of each column in bold.

    Args:
      frame: as `data` returns it.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or there is no row.
    """
    require(frame, ("name", "adapt_ds", ORIGIN))
    shown = [str(c) for c in frame if c not in ("name", "adapt_ds", ORIGIN)]
    speeds = [c for c in shown if c.startswith(_SPEED)]
    best = {c: frame[c].max() for c in shown if c not in speeds}
    header, rows, bold = ["model"], [], []
    for column in shown:
        what, px = (
            column.removeprefix(_SPEED).rpartition("_")[::2] if column not in speeds else ("img/s", column.removeprefix(_SPEED))
        )
        header.append(f"{what.replace('_upstream', ' upstr.').replace('_v2', ' by V2')}\n{px} px")
    for row in frame.to_dict("records"):
        rows.append([str(row["name"]), *(_text(row[c], c in speeds) for c in shown)])
        bold.append([False, *(c in best and pd.notna(row[c]) and row[c] == best[c] for c in shown)])
    title = f"Recommended checkpoints, fine-tuned to {frame['adapt_ds'].iloc[0]}: test accuracy in %"
    fig = text_grid.draw(title, header, rows, bold)
    lost = frame[shown].isna()
    names = [f"{frame['name'].iloc[y]} {shown[x]}" for y, x in zip(*lost.to_numpy().nonzero(), strict=True)]
    lacks_v2 = frame["adapt_ds"].eq(V2_OF).all() and not any(_V2 in column for column in shown)
    without = "No ImageNetV2 scores, so no column of the checkpoint that these choose." if lacks_v2 else ""
    face.sign(fig, frame, [face.gaps(names, lost.size, "cells"), without])
    return fig


def _text(value: float, speed: bool) -> str:
    return "-" if pd.isna(value) else f"{value:,.0f}" if speed else f"{100 * value:.2f}"
