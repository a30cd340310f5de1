"""Published numbers that selection can be tried on, read from `results/published` (its README names the sources).

They come from "How to train your ViT?": what its 27 recommended checkpoints reach on VTAB and on ImageNet-1k, and how its cheap
choice compares with its dear one. Published numbers are never mixed with measured ones.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.points.tasks import TASKS
from bench.points.vtab import FULL
from bench.select.matrix import by, compare

FOLDER = next(
    (f for f in (Path(__file__).parents[1] / "published", Path(__file__).parents[2] / "results" / "published") if f.is_dir()),
    Path("results") / "published",
)
"""Where the numbers lie: in the installed package, else beside the code."""
VTAB, IMAGENET, FIGURE_5 = "vtab_full.csv", "imagenet_transfer.csv", "upstream_vs_downstream.csv"
_SETS = {"i1k": 300 * 1.28e6, "i21k_30": 30 * 13e6, "i21k": 300 * 13e6}
"""Images seen in pre-training: epochs of section 3.4 times the sizes that Fig. 1 gives its upstream sets."""
MINIVAL = "imagenet2012_minival"
"""Column of Fig. 5 left for ImageNet-1k where downstream validation is minival instead of ImageNetV2."""


def vtab_full(folder: Path) -> pd.DataFrame:
    """Table 5 beside Table 3: test accuracies of 27 checkpoints on VTAB's 19 tasks in full, a matrix for `bench.select.matrix`.

    Returns:
      513 rows: candidate, name, ds, params, seen (images, in pre-training), imagenet_224 and imagenet_384 (accuracy on
      ImageNet-1k after fine-tuning at that resolution), task, group, test, n_test. Accuracies are fractions. There are no
      validation scores.

    Raises:
      UserError: a file is missing, or has other columns.
    """
    wide = _read(folder / VTAB, ("name", "ds", *(task.removeprefix("vtab_") for task in FULL)))
    facts = _imagenet(folder)
    wide = wide.rename(columns={task.removeprefix("vtab_"): task for task in FULL})[["name", "ds", *FULL]]
    rows = wide.melt(["name", "ds"], var_name="task", value_name="test").merge(facts, on=["name", "ds"], validate="many_to_one")
    rows["test"] /= 100
    rows["candidate"] = rows["name"] + " " + rows["ds"]
    rows["group"] = rows["task"].map(lambda task: TASKS[task].group)
    rows["n_test"] = rows["task"].map(lambda task: TASKS[task].test)
    columns = [
        *("candidate", "name", "ds", "params", "seen", "imagenet_224", "imagenet_384"),
        "task",
        "group",
        "test",
        "n_test",
    ]
    return rows[columns].sort_values(["candidate", "task"], ignore_index=True)


def selection(folder: Path) -> pd.DataFrame:
    """What rules that never look at the task lose on `vtab_full`, test on test: `bench.select.matrix.compare` of it.

    Raises:
      UserError: as `vtab_full`.
    """
    matrix = vtab_full(folder)
    rules = (
        by(matrix, "best ImageNet score, 224 px", "imagenet_224"),
        by(matrix, "best ImageNet score, 384 px", "imagenet_384"),
        # Of one model's checkpoints the one that saw the most images in pre-training.
        by(matrix, "largest", "params", "seen"),
        "static",
        "per_group",
    )
    return compare(matrix, rules, test_on_test=True)


def upstream_vs_downstream(folder: Path) -> pd.DataFrame:
    """Fig. 5 left as the cells that `bench.report.upstream_best` draws.

    Returns:
      54 rows: name, adapt_ds (a task, or `MINIVAL`), value: a fraction, negative where the cheap choice loses.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    tasks = ("imagenet2012", "cifar100", "oxford_iiit_pet", "resisc45", "kitti", MINIVAL)
    wide = _read(folder / FIGURE_5, ("name", *tasks))
    cells = wide.melt("name", list(tasks), var_name="adapt_ds", value_name="value")
    return cells.assign(value=cells["value"] / 100)


def _imagenet(folder: Path) -> pd.DataFrame:
    """Columns name, ds, params, seen, imagenet_224, imagenet_384."""
    columns = [f"{ds}_{px}" for px in (224, 384) for ds in _SETS]
    wide = _read(folder / IMAGENET, ("name", "params_millions", *columns))
    found = []
    for ds, seen in _SETS.items():
        facts = {"name": wide["name"], "ds": ds, "params": 1e6 * wide["params_millions"], "seen": seen}
        found.append(pd.DataFrame({**facts, **{f"imagenet_{px}": wide[f"{ds}_{px}"] / 100 for px in (224, 384)}}))
    return pd.concat(found, ignore_index=True)


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no published numbers ({error})") from None
    if missing := [column for column in columns if column not in frame]:
        raise UserError(f"{path}: no column {missing[0]!r}")
    return frame
