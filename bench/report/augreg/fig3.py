"""Figure 3: accuracy on VTAB's three groups of tasks against speed, a line per upstream set.

Source: "How to train your ViT?", Fig. 3, whose numbers are the means of Table 5 and the speeds of Table 3.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.errors import UserError
from bench.points.tasks import GROUPS
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.report.figures import plain
from bench.select import chosen, published
from bench.select.runs import require

COLUMNS = ("suite", "name", "ds", "group", "value", "speed", "tasks", "of", ORIGIN)
OTHER = "other tasks"
_WIDTH, _PANEL, _BOTTOM = 4.9, 2.8, 0.98
"""Inches: the figure, a panel with its title, and what is below the last."""
_ACROSS = 2
"""Upstream sets in a line of the legend."""
_SUITES = {"VTAB": "vtab_", "VTAB-1k": "vtab1k_"}


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """Mean test accuracy of every recommended checkpoint on every group of tasks.

    Args:
      table: columns of `bench.records.schema`; None for Tables 3 and 5 of the paper. Where it has tasks of VTAB in full they
        count alone, else those of VTAB-1k, else all.

    Returns:
      One row per (name, ds, group): `suite`, VTAB, VTAB-1k or `OTHER`; `value`, the mean over the `tasks` tasks that have a
      score, a fraction; `of`, the number of tasks that any checkpoint has; `speed`, images per second at the smallest
      resolution, empty where it is not known.

    Raises:
      UserError: the table lacks a column, or nothing was transferred.
    """
    if table is None:
        rows = published.vtab_full().rename(columns={"test": "value"})
        facts = published.imagenet_transfer()
        speeds = facts[facts["resolution"] == 224].groupby("name")["img_per_sec"].first()
        return _means(rows.assign(speed=rows["name"].map(speeds)), "VTAB", face.published("Tables 3 and 5"))
    rows = chosen.tuned(table, chosen.of_table(table))
    if rows.empty:
        raise UserError("figure 3: no recommended checkpoint of the table was transferred")
    suite, rows = of_vtab(face.of_the_paper(rows))
    rows = rows.assign(task=rows["adapt_ds"], group=chosen.groups(rows))
    rows["speed"] = rows["infer_samples_per_sec"].astype(float) if "infer_samples_per_sec" in rows else float("nan")
    # Which resolution Table 5 is of was not published: the largest counts. The speed is the smallest's, as in the figure.
    rows["speed"] = rows.sort_values("adapt_resolution").groupby(["name", "ds"])["speed"].transform("first")
    last = rows.sort_values("adapt_resolution").groupby(["name", "ds", "task"]).tail(1)
    return _means(last, suite, TABLE)


def of_vtab(rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """What the tasks are, and the rows of VTAB's in full, else those of VTAB-1k, else all; column `adapt_ds`."""
    for suite, prefix in _SUITES.items():
        mine = rows["adapt_ds"].str.startswith(prefix).fillna(False).astype(bool)
        if mine.any():
            return suite, rows[mine]
    return OTHER, rows


def _means(rows: pd.DataFrame, suite: str, origin: str) -> pd.DataFrame:
    found = rows.dropna(subset="value").groupby(["name", "ds", "group"], as_index=False)
    means = found.agg(value=("value", "mean"), speed=("speed", "first"), tasks=("task", "nunique"))
    means["of"] = means["group"].map(rows.groupby("group")["task"].nunique())
    return means.assign(suite=suite, **{ORIGIN: origin})[list(COLUMNS)]


def draw(frame: pd.DataFrame) -> Figure:
    """Draws a panel per group, one below the other; a mark is hollow where tasks of the group are missing.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or no point has a speed.
    """
    require(frame, COLUMNS)
    shown = frame.dropna(subset=["speed", "value"])
    if shown.empty:
        raise UserError("figure 3: no point has a speed (column 'infer_samples_per_sec')")
    groups = [g for g in GROUPS if g in set(shown["group"])] + sorted(set(shown["group"]) - set(GROUPS))
    looks, suite = face.set_styles(shown["ds"]), str(shown["suite"].iloc[0])
    top = 0.35 + 0.2 * -(-len(looks) // _ACROSS)
    height = top + _PANEL * len(groups) + _BOTTOM
    fig = Figure(figsize=(_WIDTH, height), facecolor="white")
    panels = fig.subplots(len(groups), 1, squeeze=False)[:, 0]
    room = {"left": 0.75 / _WIDTH, "right": 1 - 0.3 / _WIDTH, "top": 1 - top / height, "bottom": _BOTTOM / height}
    fig.subplots_adjust(**room, hspace=0.26)
    for ax, group in zip(panels, groups, strict=True):
        mine = shown[shown["group"] == group]
        for ds, look in looks.items():
            line = mine[mine["ds"] == ds].sort_values("speed")
            ax.plot(line["speed"], 100 * line["value"], color=look.colour, linestyle=look.dash, linewidth=1.3, zorder=2)
            for row in line.to_dict("records"):
                fill = look.colour if row["tasks"] == row["of"] else "white"
                ax.plot(
                    [row["speed"]], [100 * row["value"]], look.marker, color=look.colour, markerfacecolor=fill, markersize=5.5
                )
        ax.set_title(f"{suite}, {group}" if group in GROUPS else plain(group), fontsize=9.5)
        ax.set_ylabel("mean test accuracy, %", fontsize=9)
        face.tidy(ax)
        # The names of the slowest and the fastest reach beyond their points.
        face.log_axis(ax, shown["speed"].min() / 1.15, 1.3 * shown["speed"].max())
        _names(ax, mine)
    panels[-1].set_xlabel("inference speed, images/s", fontsize=9)
    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.dash, label=plain(face.set_name(ds)))
        for ds, s in looks.items()
    ]
    fig.legend(handles=handles, loc="upper center", ncols=min(_ACROSS, len(handles)), frameon=False, fontsize=8.5)
    without = frame[frame["speed"].isna()]
    partial = shown[shown["tasks"] < shown["of"]]
    notes = [
        f"Not VTAB: the tasks that the table has, {frame.groupby('group')['of'].max().sum():,} of them."
        if suite == OTHER
        else "",
        face.gaps((partial["name"] + " " + partial["ds"]).tolist(), len(shown), "means (hollow) have tasks"),
        f"{len(without):,} means have no speed and are not shown." if len(without) else "",
    ]
    face.sign(fig, frame, notes)
    return fig


def _names(ax: Axes, rows: pd.DataFrame) -> None:
    """Names each model below its lowest point, on the ground of the panel where neighbours would touch."""
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.3 * (high - low), high)
    lowest = rows.loc[rows.groupby("name")["value"].idxmin()].sort_values("speed").to_dict("records")
    for i, row in enumerate(lowest):
        ground = low - (0.07 + 0.075 * (i % 3)) * (high - low)
        ax.plot([row["speed"]] * 2, [ground, 100 * row["value"]], color="#c8c8c8", linewidth=0.6, zorder=1)
        ax.text(row["speed"], ground, plain(row["name"]), ha="center", va="top", fontsize=7)
