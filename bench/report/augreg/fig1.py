"""Figure 1: augmentation and regularisation against ten times the data, on ImageNet-1k after fine-tuning.

Source: "How to train your ViT?", Fig. 1. It prints no numbers: what is known of it is in Table 3, where checkpoints without
augmentation and regularisation have no row.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.report import order
from bench.report.augreg import face
from bench.report.augreg.face import ORIGIN, TABLE
from bench.report.figures import plain
from bench.select import chosen, published
from bench.select.runs import require, upstream_runs
from bench.select.validation import V2_OF

MODELS = ("B/32", "B/16", "L/16")
_SETS = {"i1k": "1.28M", "i21k": "13M"}
"""The paper's names: the number of images."""
_JFT = "300M"
_LEGEND = 1.3
"""Inches."""
COLUMNS = ("name", "upstream", "augreg", "adapt_ds", "value", "filename", ORIGIN)


def data(table: pd.DataFrame | None) -> pd.DataFrame:
    """What the recommended checkpoint of each model and upstream set reaches, chosen among all runs and among plain ones.

    Args:
      table: columns of `bench.records.schema`; None for Table 3 of the paper.

    Returns:
      One row per model, upstream set and `augreg` (whether runs with augmentation or dropout competed), columns `COLUMNS`;
      `upstream` as the figure has it, `value` a test accuracy, a fraction, empty where there is none. The models are the
      figure's three where the table has one of them, else all; sets are i1k and i21k where it has one of them, else all. The
      row of 300M is published.

    Raises:
      UserError: the table lacks a column, or nothing was transferred.
    """
    if table is None:
        return _published()
    task = chosen.task_of(table)
    table = table[table["adapt_ds"].eq(task) | table["adapt_ds"].isna()]
    for column, wanted in (("name", MODELS), ("ds", tuple(_SETS))):
        shown = table[column].isin(wanted)
        table = table[shown] if shown.any() else table
    runs = upstream_runs(table)
    grid = pd.MultiIndex.from_product([order.models(runs["name"]), order.upstream_sets(runs["ds"])], names=["name", "ds"])
    parts = []
    for augreg, rows in ((False, runs[runs["aug"].eq("none") & runs["do"].eq(0)]), (True, runs)):
        best = (
            chosen.tuned(table, chosen.recommended(rows), by_resolution=False)
            if len(rows)
            else table.iloc[:0].assign(value=0.0)
        )
        found = best.set_index(["name", "ds"])[["value", "filename"]].reindex(grid).reset_index()
        parts.append(found.assign(augreg=augreg))
    long = pd.concat(parts, ignore_index=True).assign(adapt_ds=task, **{ORIGIN: TABLE})
    long["upstream"] = long["ds"].map(lambda ds: _SETS.get(ds, ds))
    long = long.iloc[long["name"].map({n: i for i, n in enumerate(order.models(long["name"]))}).argsort(kind="stable")]
    parts = [long]
    if task == V2_OF:
        paper = _published()
        jft = paper[(paper["upstream"] == _JFT) & paper["name"].isin(long["name"])]
        parts.append(jft.assign(**{ORIGIN: jft[ORIGIN] + f" ({_JFT})"}))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _published() -> pd.DataFrame:
    wide = published.imagenet_transfer()
    best = wide[(wide["resolution"] == 384) & wide["rule"].isin(("upstream_best", ""))]
    known = best.set_index(["name", "ds"])["test"]
    # What the earlier ViT made of 300M images has a recipe of its own, so that point is without AugReg.
    places = [(ds, label, augreg) for ds, label in _SETS.items() for augreg in (False, True)] + [("jft300m", _JFT, False)]
    rows = [
        {"name": name, "upstream": label, "augreg": augreg, "value": known.get((name, ds)) if augreg or label == _JFT else None}
        for name in MODELS
        for ds, label, augreg in places
    ]
    facts: dict[str, Any] = {"adapt_ds": V2_OF, "filename": pd.NA, ORIGIN: face.published("Table 3")}
    return pd.DataFrame(rows).astype({"value": "float64"}).assign(**facts)[list(COLUMNS)]


def draw(frame: pd.DataFrame) -> Figure:
    """Draws a line per model over upstream sets, each without and with AugReg.

    Args:
      frame: columns `COLUMNS`.

    Returns:
      A figure of its own, unknown to pyplot.

    Raises:
      UserError: a column is missing, or no row has a value.
    """
    require(frame, COLUMNS)
    if frame["value"].isna().all():
        raise UserError("figure 1: no checkpoint has a test accuracy")
    at = frame.assign(x=frame["upstream"] + frame["augreg"].map({True: "\n+ AugReg", False: ""}))
    places = sorted(dict.fromkeys(at["x"]), key=lambda x: (x == _JFT, list(at["upstream"]).index(x.split("\n")[0]), "\n" in x))
    width = max(4.6, 0.95 * len(places)) + _LEGEND
    fig = Figure(figsize=(width, 3.9), facecolor="white")
    ax = fig.add_axes((0.65 / width, 0.27, (width - 0.8 - _LEGEND) / width, 0.69))
    for name, style in face.styles(order.models(at["name"])).items():
        mine = at[at["name"] == name].set_index("x")["value"].reindex(places)
        marks: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markersize": 6}
        # A line ends where a point is missing.
        ax.plot(range(len(places)), 100 * mine.to_numpy(), linewidth=1.4, label=plain(name), **marks)
    missing = at[at["value"].isna()]
    for x in dict.fromkeys(missing["x"]):
        if at.loc[at["x"] == x, "value"].isna().all():
            ax.axvspan(places.index(x) - 0.4, places.index(x) + 0.4, fill=False, hatch="////", edgecolor="#c8c8c8", linewidth=0)
    face.tidy(ax)
    ax.set_xlim(-0.5, len(places) - 0.5)
    ax.set_xticks(range(len(places)), [plain(p) for p in places], fontsize=8.5)
    ax.set_xlabel("pre-training images" if set(at["upstream"]) <= {*_SETS.values(), _JFT} else "upstream set", fontsize=9)
    ax.set_ylabel(
        "ImageNet-1k top-1, %" if at["adapt_ds"].eq(V2_OF).all() else f"{at['adapt_ds'].iloc[0]}, test, %", fontsize=9
    )
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
    names = (missing["name"] + " " + missing["x"].str.replace("\n", " ")).tolist()
    note = face.gaps(names, len(at), "points")
    face.sign(fig, frame, [note])
    return fig
