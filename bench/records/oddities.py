"""What is odd about an index of transfer runs, found in its numbers and said; nothing is repaired.

Some of it is known of the released index of "How to train your ViT?" (its notebook counts 51,509 rows): one transfer is
missing, `params` of R50+L/32 is a third of the real number, and B/8, which came later, has three upstream runs, 224 pixels
alone and neither size nor speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.cost.flops import weights
from bench.points import TASKS, parse_upstream
from bench.points.names import checkpoint_model

ROWS, UPSTREAM_RUNS = 51_509, 759
"""Transfers and upstream runs of the release."""
# What the released columns hold, as the notebook and single rows show; 30 epochs follow from the names of the sets.
SEEN: dict[str, tuple[float | str, ...]] = {
    "ds": ("i1k", "i21k_30", "i21k"),
    "epochs": (30.0, 300.0),
    "lr": (0.001,),
    "aug": ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2"),
    "wd": (0.03, 0.1),
    "do": (0.0, 0.1),
    "sd": (0.0, 0.1),
    "adapt_ds": ("cifar100", "imagenet2012", "kitti", "oxford_iiit_pet", "resisc45"),
    "adapt_lr": (0.001, 0.003, 0.01, 0.03),
    "adapt_steps": (500, 2_500, 10_000, 20_000),
    "adapt_resolution": (224, 384),
}
_LOST = ("i21k_30", "--imagenet2012-steps_20k-lr_0.03-res_384")
"""Upstream set and end of the name of the transfer that the release lacks."""
_WRONG_SIZE, _LATE = "R50+L/32", "B/8"
_SHOWN = 3


@dataclass(frozen=True)
class Oddity:
    """Something odd.

    Attributes:
      says: a sentence.
      rows: of the table that are concerned; 0 where it is about rows that are not there.
      known: whether the release is known for it.
    """

    says: str
    rows: int
    known: bool = False


def oddities(table: pd.DataFrame) -> list[Oddity]:
    """Returns what is odd about a table of transfers, what the release is known for first.

    Args:
      table: columns of `bench.records.schema`, as `typed` returns it.
    """
    found = [
        o for check in (_size, _unknown, _missing, _models, _params, _empty, _regularisation, _fractions) for o in check(table)
    ]
    return sorted(found, key=lambda o: not o.known)


def _size(table: pd.DataFrame) -> Iterator[Oddity]:
    rows, runs = int(table["adapt_filename"].notna().sum()), table["filename"].nunique()
    if (rows, runs) != (ROWS, UPSTREAM_RUNS):
        yield Oddity(
            f"{rows:,} transfers of {runs} upstream runs, where the release has {ROWS:,} of {UPSTREAM_RUNS}: a part of it,"
            " or another version",
            0,
        )


def _unknown(table: pd.DataFrame) -> Iterator[Oddity]:
    for column, seen in SEEN.items():
        other = table[column][table[column].notna() & ~table[column].isin(seen)]
        if len(other):
            values = ", ".join(map(str, sorted(other.unique())[:_SHOWN]))
            yield Oddity(f"column {column!r} holds what was never seen in the release: {values}", len(other))


def _missing(table: pd.DataFrame) -> Iterator[Oddity]:
    """Transfers that most runs of a model and a set have, and some lack."""
    rows = table[table["adapt_filename"].notna()]
    run, runs = pd.factorize(rows["filename"])
    setting, settings = pd.factorize(rows["adapt_filename"].str.split("--", n=1).str[-1])
    has = np.zeros((len(runs), len(settings)), bool)
    has[run, setting] = True
    of_run = rows.drop_duplicates("filename").reset_index()
    names: list[tuple[str, str]] = []
    for _, of_model in of_run.groupby(["ds", "name"]):
        ds, of = str(of_model["ds"].iloc[0]), of_model.index.to_numpy()
        usual = has[of].mean(axis=0) > 0.5
        names += [(ds, f"{runs[of[i]]}--{settings[j]}") for i, j in np.argwhere(usual & ~has[of])]
    lost = [name for ds, name in names if ds == _LOST[0] and name.endswith(_LOST[1])]
    if len(lost) == 1:
        yield Oddity(f"one transfer is missing: {lost[0]}", 0, known=True)
        names = [(ds, name) for ds, name in names if name != lost[0]]
    if names:
        shown = ", ".join(name for _, name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        lack = "transfer is" if len(names) == 1 else "transfers are"
        yield Oddity(f"{len(names):,} {lack} missing that other runs of the model have: {shown}", 0)


def _models(table: pd.DataFrame) -> Iterator[Oddity]:
    """Models with fewer upstream runs or fewer resolutions than the others of a set."""
    for ds, of_set in table.groupby("ds"):
        models = {str(name): rows for name, rows in of_set.groupby("name")}
        runs = {name: rows["filename"].nunique() for name, rows in models.items()}
        pixels = {name: sorted(map(int, rows["adapt_resolution"].dropna().unique())) for name, rows in models.items()}
        most, widest = max(runs.values()), max(map(len, pixels.values()))
        for name, rows in models.items():
            few, narrow = runs[name] < most, len(pixels[name]) < widest
            if few or narrow:
                fewer = f" where other models have {most}" if few else ""
                alone = f", transferred at {', '.join(map(str, pixels[name]))} pixels alone" if narrow and pixels[name] else ""
                yield Oddity(f"{name} on {ds}: {runs[name]} upstream runs{fewer}{alone}", len(rows), known=name == _LATE)


def _params(table: pd.DataFrame) -> Iterator[Oddity]:
    for px in (px for px in SEEN["adapt_resolution"] if isinstance(px, int)):
        for name, rows in table[table["adapt_resolution"].eq(px).fillna(False)].groupby("name"):
            least = weights(str(name), px, 1)
            if (low := rows["params"] < least).any():
                says = f"column 'params' has {rows['params'][low].min() / 1e6:.2f} million for {name} at {px} pixels, less than"
                yield Oddity(f"{says} the {least / 1e6:.2f} million of its layers", int(low.sum()), known=name == _WRONG_SIZE)


def _empty(table: pd.DataFrame) -> Iterator[Oddity]:
    for column in (
        "params",
        "infer_samples_per_sec",
        "best_val",
        "final_val",
        "final_test",
        "adapt_final_val",
        "adapt_final_test",
    ):
        for late in (True, False):
            of = table[table[column].isna() & table["name"].eq(_LATE).eq(late)]
            known = late and column in ("params", "infer_samples_per_sec")
            if len(of):
                models = ", ".join(sorted(of["name"].unique()))
                yield Oddity(f"column {column!r} is empty for {models}", len(of), known)


def _regularisation(table: pd.DataFrame) -> Iterator[Oddity]:
    if (apart := (table["do"] != table["sd"]) & table["do"].notna()).any():
        yield Oddity("columns 'do' and 'sd' differ, which are one axis of the release", int(apart.sum()))
    if (above := table["final_val"] > table["best_val"]).any():
        yield Oddity("column 'final_val' is above 'best_val'", int(above.sum()))


def _fractions(table: pd.DataFrame) -> Iterator[Oddity]:
    """Accuracies that no number of right answers out of the images of their split gives."""
    runs = [name for name in table["filename"].unique() if checkpoint_model(name) is None]
    upstream = {name: parse_upstream(name).data.val for name in runs}
    counted = {c: table["filename"].map(upstream) for c in ("best_val", "final_val")}
    for column, split in (("adapt_final_val", "val"), ("adapt_final_test", "test")):
        counted[column] = table["adapt_ds"].map({name: getattr(task, split) for name, task in TASKS.items()})
    for column, images in counted.items():
        right = table[column] * images.astype(float)
        # Six decimals are enough to tell.
        if (off := (right - right.round()).abs() > 1e-3 + 1e-6 * images.astype(float)).any():
            yield Oddity(f"column {column!r} has what no whole number of right answers gives", int(off.sum()))
