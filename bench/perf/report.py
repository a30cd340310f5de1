"""What people wait for at a table of the size of the released index: reading it, every figure, the page, the recommendation.

All of it is timed in CPU seconds, which other work on the machine lengthens less than the time on the wall.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.findings.verdicts import verdicts
from bench.perf.figure import Figure, once
from bench.perf.full_table import full_table
from bench.perf.timing import interleave
from bench.records.released import read_released
from bench.records.schema import RELEASED
from bench.report import page
from bench.report.augreg import FIGURES
from bench.report.augreg.face import MODELS
from bench.report.catalogue import TABLE, FigureFacts
from bench.report.figures import rendered
from bench.report.recommended import recommend
from bench.select import chosen
from bench.select.validation import V2_OF

# Two of nine models, those of the release's README.
_QUICK = ("Ti/16", "B/16")
# From which upstream set the release recommends.
_SET = "i21k"
IMPORT, DATA, DRAWING, PAGE, SIZE = 1, 1, 20, 10, 3
"""Upper ends that were set: CPU seconds, and megabytes of the page."""


def drawable() -> list[FigureFacts]:
    """Returns the figures of "How to train your ViT?" that the released columns are enough for."""
    return [figure for figure in FIGURES.values() if TABLE in figure.uses]


def notebook(table: pd.DataFrame) -> pd.DataFrame:
    """Chooses as the notebook of the release does: of every model the checkpoint that is best upstream, then its best transfer.

    Returns:
      The rows of the table that are chosen, one a model.
    """
    first = table.query(f"ds == '{_SET}'").groupby("name").apply(lambda rows: rows.sort_values("final_val").iloc[-1])
    mine = table[table["filename"].isin(first["filename"]) & (table["adapt_ds"] == V2_OF)]
    best: Any = mine.groupby("name").apply(lambda rows: rows.sort_values("adapt_final_val").iloc[-1])
    return pd.DataFrame(best)


def choice(table: pd.DataFrame) -> pd.DataFrame:
    """Chooses as figures do, and checks while doing so; returns rows as `notebook` does."""
    mine = table[table["ds"] == _SET]
    return chosen.tuned(chosen.of_task(mine, V2_OF), chosen.of_table(mine), by_resolution=False)


def contenders(table: pd.DataFrame, folder: Path) -> Mapping[str, Callable[[], Any]]:
    """Returns all that is timed, by name.

    Args:
      table: columns of `bench.records.schema`.
      folder: where its files are made.
    """
    csv, parquet, released = folder / "index.csv", folder / "index.parquet", table[list(RELEASED)]
    released.to_csv(csv, index=False)
    released.to_parquet(parquet, index=False)
    plain, figures = pd.read_csv(csv), drawable()
    frames = [figure.data(table) for figure in figures]
    return {
        "csv": lambda: read_released(csv),
        "parquet": lambda: read_released(parquet),
        "read_csv": lambda: pd.read_csv(csv),
        "data": lambda: [figure.data(table) for figure in figures],
        "draw": lambda: [rendered(figure.draw(frame), "png") for figure, frame in zip(figures, frames, strict=True)],
        "page": lambda: page.render(table, "index", {}, findings=verdicts(table)),
        "notebook": lambda: notebook(plain),
        "choice": lambda: choice(table),
        "recommend": lambda: recommend(table, [_SET]),
    }


def run(quick: bool) -> list[Figure]:
    """Reads, draws, recommends from and reports a table like the released index of 51,509 transfers."""
    table = full_table(_QUICK if quick else MODELS)
    with tempfile.TemporaryDirectory() as folder:
        work = contenders(table, Path(folder))
        size = len(work["page"]().encode()) / 1e6
        times = interleave(work, 1 if quick else 3, time.process_time)
    rows, number = f"{len(table):,} rows", len(drawable())

    def seconds(what: str, name: str, most: int | None = None) -> Figure:
        return Figure("report", f"{rows}: {what}", "CPU s", times.of(name), target="" if most is None else f"below {most}")

    def ratio(what: str, name: str, to: str, against: str) -> Figure:
        return Figure("report", f"{rows}: {what}", "x", times.ratio(name, to), against)

    return [
        seconds("import of CSV, checked", "csv", IMPORT),
        seconds("import of Parquet, checked", "parquet", IMPORT),
        ratio("import of CSV, checked", "csv", "read_csv", "pandas.read_csv, unchecked"),
        seconds(f"data of {number} AugReg figures", "data", DATA),
        seconds(f"drawing {number} AugReg figures as PNG", "draw", DRAWING),
        seconds("the page and its findings", "page", PAGE),
        Figure("report", f"{rows}: the page", "MB", once(size), target=f"below {SIZE}"),
        seconds("recommended table, as the release's notebook chooses", "notebook"),
        ratio("the same choice, checked", "choice", "notebook", "groupby and apply of the release's notebook"),
        ratio("with regret, intervals and reasons", "recommend", "notebook", "groupby and apply of the release's notebook"),
    ]
