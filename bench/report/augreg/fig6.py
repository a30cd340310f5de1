"""Figure 6: accuracy on ImageNet-1k against speed; left all models, right the small ones, larger patch against thinner model.

Source: "How to train your ViT?", Fig. 6, whose numbers are those of Table 3.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import UserError
from bench.points import VARIANTS
from bench.report import order
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.report.figures import plain
from bench.report.naming import Point, name_points
from bench.select import chosen, published
from bench.select.runs import require
from bench.select.validation import V2_OF

COLUMNS = ("name", "ds", "adapt_ds", "adapt_resolution", "speed", "value", ORIGIN)
SMALL = ("R+Ti/16", "Ti/16", "S/32", "B/32")
_LINE = ("S/16", "B/16", "L/16")
"""Models that the paper joins by a line, a width to the next."""
_OTHER = "other models"


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """Accuracy and speed of the recommended checkpoint of each model and upstream set, at each resolution.

    Args:
      table: columns of `bench.records.schema`; None for Table 3 of the paper.

    Returns:
      One row per (name, ds, adapt_resolution): `value`, the test accuracy on the task `adapt_ds`, a fraction; `speed`, images
      per second, empty where it is not known. A checkpoint that was not transferred at a resolution has an empty value there.

    Raises:
      UserError: the table lacks a column, or nothing was transferred.
    """
    if table is None:
        return _published()
    task = chosen.task_of(table)
    table = face.of_the_paper(table)
    checkpoints = chosen.of_table(table)
    found = chosen.tuned(chosen.of_task(table, task), checkpoints)
    if found.empty:
        raise UserError(f"figure 6: no recommended checkpoint of the table has a scored transfer to {task}")
    keys = ["name", "ds", "adapt_resolution"]
    pairs = checkpoints[["name", "ds"]].merge(
        pd.DataFrame({"adapt_resolution": sorted(found["adapt_resolution"].unique())}), "cross"
    )
    speed = found["infer_samples_per_sec"].astype(float) if "infer_samples_per_sec" in found else float("nan")
    joined = pairs.merge(found.assign(speed=speed)[[*keys, "speed", "value"]], on=keys, how="left")
    joined["speed"] = joined["speed"].fillna(joined.groupby(["name", "adapt_resolution"])["speed"].transform("max"))
    return joined.assign(adapt_ds=task, **{ORIGIN: TABLE})[list(COLUMNS)]


def _published() -> pd.DataFrame:
    found = published.imagenet_transfer()
    found = found[found["rule"] == "upstream_best"]
    rows = found.rename(columns={"resolution": "adapt_resolution", "img_per_sec": "speed", "test": "value"})
    return rows.assign(adapt_ds=V2_OF, **{ORIGIN: face.published("Table 3")}).reset_index(drop=True)[list(COLUMNS)]


def draw_left(frame: pd.DataFrame) -> Figure:
    """Draws all models: a colour per upstream set, a shape per kind of model and resolution; ViT-S, B and L are joined.

    Of the points of a model that are equally fast the best carries its name, as far as there is room.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or no point has a speed.
    """
    shown = _shown(frame)
    fig = Figure(figsize=(6.6, 5.0), facecolor="white")
    ax = fig.add_axes((0.1, 0.2, 0.63, 0.77))
    sets, sizes = face.set_styles(shown["ds"]), sorted(shown["adapt_resolution"].unique())
    shapes = dict(zip(("ViT", "hybrid", "ViT-Ti", _OTHER), ("o", "^", "s", "D"), strict=True))
    kinds = shown["name"].map(_kind)
    for (ds, px), rows in shown.groupby(["ds", "adapt_resolution"]):
        colour, hollow = sets[str(ds)].colour, px == sizes[0] and len(sizes) > 1
        line = rows[rows["name"].isin(_LINE)].sort_values("speed")
        ax.plot(line["speed"], 100 * line["value"], color=colour, linestyle=sets[str(ds)].dash, linewidth=1.2, zorder=1)
        for row in rows.to_dict("records"):
            mark: dict[str, Any] = {"color": colour, "markerfacecolor": "white" if hollow else colour, "markersize": 6.5}
            ax.plot([row["speed"]], [100 * row["value"]], shapes[_kind(row["name"])], **mark)
    _axes(ax, shown)
    best = shown.loc[shown.groupby(["name", "adapt_resolution", "speed"])["value"].idxmax()]
    name_points(ax, (Point(r["speed"], 100 * r["value"], r["name"]) for r in best.to_dict("records")), fontsize=7)
    grey: dict[str, Any] = {"color": "#444444", "linestyle": ""}
    resolutions = [
        Line2D(
            [],
            [],
            marker="o",
            markerfacecolor="white" if px == sizes[0] and len(sizes) > 1 else "#444444",
            label=f"{px} px",
            **grey,
        )
        for px in sizes
    ]
    handles = [
        *(
            Line2D([], [], color=s.colour, linestyle=s.dash, label=plain(face.set_name(ds)).replace(", ", ",\n"))
            for ds, s in sets.items()
        ),
        *(Line2D([], [], marker=m, label=kind, **grey) for kind, m in shapes.items() if (kinds == kind).any()),
        *resolutions,
    ]
    fig.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.74, 0.97), frameon=False, fontsize=8.5)
    joined = [name for name in _LINE if name in set(shown["name"])]
    lines = f"Lines join {', '.join(joined)} of one upstream set and resolution." if len(joined) > 1 else ""
    face.sign(fig, frame, [lines, *_notes(frame)])
    return fig


def draw_right(frame: pd.DataFrame) -> Figure:
    """Draws the small models, a panel per upstream set and a line per model; fast is left, as in the paper.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or none of the small models has a speed.
    """
    require(frame, COLUMNS)
    small = frame[frame["name"].isin(SMALL)]
    if small.empty:
        raise UserError(f"figure 6 right compares {', '.join(SMALL)}: there is none of them")
    shown = _shown(small)
    sets = [ds for ds in ("i21k", "i1k") if ds in set(shown["ds"])] or order.upstream_sets(shown["ds"])
    fig = Figure(figsize=(3.3 * max(len(sets), 2), 3.9), facecolor="white")
    panels = fig.subplots(1, len(sets), squeeze=False)[0]
    fig.subplots_adjust(left=0.1, right=0.97, top=0.83, bottom=0.235, wspace=0.2)
    looks = face.styles(SMALL)
    for ax, ds in zip(panels, sets, strict=True):
        mine = shown[shown["ds"] == ds]
        for name in order.models(mine["name"]):
            line = mine[mine["name"] == name].sort_values("speed")
            look = looks[name]
            style = {"color": look.colour, "marker": look.marker, "linestyle": "-" if name.endswith("/32") else "--"}
            ax.plot(line["speed"], 100 * line["value"], linewidth=1.3, label=name, **style)
        ax.set_title(plain(face.set_name(ds)), fontsize=9.5)
        _axes(ax, shown)
        ax.invert_xaxis()
    for ax in panels[1:]:
        ax.set_ylabel("")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="upper center", ncols=4, frameon=False, fontsize=8.5)
    face.sign(fig, small, _notes(small[small["ds"].isin(sets)]))
    return fig


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    require(frame, COLUMNS)
    shown = frame.dropna(subset=["speed", "value"])
    if shown.empty:
        raise UserError("figure 6: no point has a speed (column 'infer_samples_per_sec') and a test accuracy")
    return shown


def _kind(name: str) -> str:
    family = VARIANTS[name].family if name in VARIANTS else ""
    return "ViT-Ti" if name.startswith("Ti/") else {"vit": "ViT", "hybrid": "hybrid"}.get(family, _OTHER)


def _axes(ax: Axes, shown: pd.DataFrame) -> None:
    face.tidy(ax)
    face.log_axis(ax, shown["speed"].min(), shown["speed"].max())
    ax.set_xlabel("inference speed, images/s", fontsize=9)
    task = shown["adapt_ds"].iloc[0]
    ax.set_ylabel("ImageNet-1k top-1, %" if task == V2_OF else f"{plain(task)}, test accuracy, %", fontsize=9)


def _notes(frame: pd.DataFrame) -> list[str]:
    lost = frame[frame["value"].isna()]
    names = (lost["name"] + " " + lost["ds"] + " at " + lost["adapt_resolution"].astype(str)).tolist()
    slow = int((frame["speed"].isna() & frame["value"].notna()).sum())
    return [face.gaps(names, len(frame), "points"), f"{slow:,} points have no speed and are not shown." if slow else ""]
