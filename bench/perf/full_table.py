"""A table of the size and schema of the released index, with numbers that are made up: what reports must be fast enough for.

Source of what it holds: "How to train your ViT?", section 3.3 and Table 4, and the notebook of the release, which counts 51,509
transfers of 759 upstream runs: of nine models on three sets, and of B/8, which came later.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.cost import forward_flops
from bench.cost.flops import weights
from bench.points import TASKS, Transfer, Upstream
from bench.records.schema import RELEASED
from bench.records.table import typed
from bench.report.augreg.face import MODELS
from bench.select import published

# Peak learning rates and steps of each task; the release has one rate more than the paper's table for all but ImageNet-1k.
_RATES = (0.001, 0.003, 0.01, 0.03)
SETTINGS: dict[str, tuple[Sequence[float], Sequence[int]]] = {
    "imagenet2012": (_RATES[2:], (20_000,)),
    "oxford_iiit_pet": (_RATES, (500, 2_500)),
    "kitti": (_RATES, (500, 2_500)),
    "cifar100": (_RATES, (2_500, 10_000)),
    "resisc45": (_RATES, (2_500, 10_000)),
}
RESOLUTIONS = (224, 384)
_DECAYS = (0.03, 0.1)
# Images of the upstream validation split: minival, and what released accuracies on ImageNet-21k are fractions of.
_IMAGES = {"i1k": 12_812, "i21k_30": 102_400, "i21k": 102_400}
# Levels of the three checkpoints of B/8, without dropout; of one it was never said which.
_LATE, _LATE_LEVELS = "B/8", ("light1", "medium1", "medium2")
_LOST = "-i21k-30ep-.*--imagenet2012-steps_20k-lr_0.03-res_384$"
"""The names of which the release lacks one."""


def full_table(models: Sequence[str] = MODELS) -> pd.DataFrame:
    """Returns the table, columns of `bench.records.schema`: 51,509 rows; fewer of fewer `models`.

    Accuracies upstream are near those of Fig. 4, accuracies downstream grow with them, both somewhat at random. Each is a whole
    number of images over that of its split.
    """
    rng = np.random.default_rng(0)
    table = _upstream(models, rng).merge(_transfers(), how="cross")
    table = table[(table["name"] != _LATE) | (table["adapt_resolution"] == RESOLUTIONS[0])]
    table["adapt_filename"] = table["filename"] + "--" + table.pop("setting")
    lost = table["adapt_filename"].str.contains(_LOST)
    table = table.drop(index=lost.idxmax()).sort_values(["filename", "adapt_filename"], ignore_index=True)
    reached = 0.45 + 0.6 * table["final_val"] + 0.02 * (table["adapt_resolution"] == RESOLUTIONS[1])
    for column, split in (("adapt_final_val", "val"), ("adapt_final_test", "test")):
        images = table["adapt_ds"].map({task: getattr(TASKS[task], split) for task in SETTINGS})
        table[column] = _share(reached + rng.normal(0, 0.01, len(table)), images)
    sizes = list(zip(table["name"].tolist(), table["adapt_resolution"].tolist(), strict=True))
    known = {(n, px): (weights(n, px, 1000), 1e13 / forward_flops(n, px, 1000)) for n, px in set(sizes) if n != _LATE}
    facts = [known.get(size, (math.nan, math.nan)) for size in sizes]
    table[["params", "infer_samples_per_sec"]] = np.array(facts)
    return typed(table.reindex(columns=list(RELEASED)))


def _upstream(models: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    """The upstream runs, one row each: a run for each weight decay and cell of Fig. 4, and those of B/8 as of B/16."""
    cells = published.fig4_cells()
    cells = cells[cells["name"].isin(models)].merge(pd.DataFrame({"wd": _DECAYS}), how="cross")
    late = cells[(cells["ds"] == "i21k") & (cells["name"] == "B/16") & (cells["do"] == 0.0) & (cells["wd"] == _DECAYS[1])]
    runs = pd.concat([cells, late[late["aug"].isin(_LATE_LEVELS)].assign(name=_LATE)], ignore_index=True)
    runs = runs.assign(epochs=np.where(runs["ds"] == "i21k_30", 30.0, 300.0), lr=0.001, sd=runs["do"])
    images = runs["ds"].map(_IMAGES)
    runs["final_val"] = _share(runs.pop("value") + rng.uniform(-0.004, 0.004, len(runs)), images)
    runs["best_val"], runs["final_test"] = runs["final_val"] + 8 / images, _share(runs["final_val"] - 0.005, images)
    fields = runs[["name", "ds", "epochs", "lr", "aug", "wd", "do", "sd"]].itertuples(index=False)
    runs["filename"] = [Upstream(name, ds.removesuffix("_30"), *more).name for name, ds, *more in fields]
    return runs


def _transfers() -> pd.DataFrame:
    """The 68 transfers of an upstream run; `setting` is what their names say after that of the run."""
    run = Upstream(MODELS[0], "i1k", 300.0, 0.001, "none", 0.03, 0.0, 0.0)
    found = [
        {"adapt_ds": task, "adapt_lr": lr, "adapt_steps": steps, "adapt_resolution": px}
        | {"setting": Transfer(run, task, steps, lr, px).name.partition("--")[2]}
        for task, (rates, lengths) in SETTINGS.items()
        for lr, steps, px in itertools.product(rates, lengths, RESOLUTIONS)
    ]
    return pd.DataFrame(found)


def _share(accuracy: pd.Series, images: pd.Series) -> pd.Series:
    """The nearest accuracies that so many images allow."""
    return (accuracy.clip(0, 1) * images).round() / images
