"""Published numbers of "How to train your ViT?", read from `results/published` (its README names the sources).

What its upstream runs reach, what its 27 recommended checkpoints reach on VTAB and on ImageNet-1k, and how its cheap choice
compares with its dear one. Published numbers are never mixed with measured ones.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.points.levels import LEVELS
from bench.points.tasks import TASKS
from bench.points.vtab import FULL
from bench.select.matrix import by, compare

FOLDER = next(
    (f for f in (Path(__file__).parents[1] / "published", Path(__file__).parents[2] / "results" / "published") if f.is_dir()),
    Path("results") / "published",
)
"""Where the numbers lie: in the installed package, else beside the code."""
VTAB, IMAGENET, FIGURE_5 = "vtab_full.csv", "imagenet_transfer.csv", "upstream_vs_downstream.csv"
IMAGE_TEXT = "image_text.csv"
FIGURE_4, FIGURE_4_NARROW, FIGURE_7 = "fig4_cells.csv", "fig4_narrow.csv", "fig7_cells.csv"
_LEVELS = {LEVELS[name].paper: name for name in ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2")}
"""The seven levels as the headers of figures have them, and as the release does."""
_SETS = {"i1k": 300 * 1.28e6, "i21k_30": 30 * 13e6, "i21k": 300 * 13e6}
"""Images seen in pre-training: epochs of section 3.4 times the sizes that Fig. 1 gives its upstream sets."""
MINIVAL = "imagenet2012_minival"
"""Column of Fig. 5 left for ImageNet-1k where downstream validation is minival instead of ImageNetV2."""


def vtab_full(folder: Path = FOLDER) -> pd.DataFrame:
    """Table 5 beside Table 3: test accuracies of 27 checkpoints on VTAB's 19 tasks in full, a matrix for `bench.select.matrix`.

    Returns:
      513 rows: candidate, name, ds, params, seen (images, in pre-training), imagenet_224 and imagenet_384 (accuracy on
      ImageNet-1k after fine-tuning at that resolution), task, group, test, n_test. Accuracies are fractions. There are no
      validation scores.

    Raises:
      UserError: a file is missing, or has other columns.
    """
    wide = read(folder / VTAB, ("name", "ds", *(task.removeprefix("vtab_") for task in FULL)))
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


def selection(folder: Path = FOLDER) -> pd.DataFrame:
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


def upstream_vs_downstream(folder: Path = FOLDER) -> pd.DataFrame:
    """Fig. 5 left as the cells that `bench.report.upstream_best` draws.

    Returns:
      54 rows: name, adapt_ds (a task, or `MINIVAL`), value: a fraction, negative where the cheap choice loses.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    tasks = ("imagenet2012", "cifar100", "oxford_iiit_pet", "resisc45", "kitti", MINIVAL)
    wide = read(folder / FIGURE_5, ("name", *tasks))
    cells = wide.melt("name", list(tasks), var_name="adapt_ds", value_name="value")
    return cells.assign(value=cells["value"] / 100)


def imagenet_transfer(folder: Path = FOLDER) -> pd.DataFrame:
    """Table 3: ImageNet-1k test accuracy of the recommended checkpoints, in long form.

    Returns:
      Columns name, ds, resolution, rule, test, img_per_sec (of a V100 at that resolution), params. `rule` says how the
      checkpoint was chosen: `upstream_best`, `imagenet_v2`, or `as_it_is` for an upstream run that was not fine-tuned; it is
      empty for JFT-300M, whose models are the earlier ViT's. Accuracies are fractions; what was not published has no row.

    Raises:
      UserError: a file is missing, or has other columns.
    """
    columns = {f"{ds}_{px}": (ds, px, "upstream_best") for px in (224, 384) for ds in _SETS}
    columns |= {"i1k_upstream_224": ("i1k", 224, "as_it_is"), "i21k_v2_384": ("i21k", 384, "imagenet_v2")}
    columns |= {"jft300m_384": ("jft300m", 384, "")}
    wide = read(folder / IMAGENET, ("name", "params_millions", "img_per_sec_224", "img_per_sec_384", *columns))
    found = []
    for column, (ds, px, rule) in columns.items():
        facts = {"name": wide["name"], "ds": ds, "resolution": px, "rule": rule, "test": wide[column] / 100}
        found.append(pd.DataFrame({**facts, "img_per_sec": wide[f"img_per_sec_{px}"], "params": 1e6 * wide["params_millions"]}))
    return pd.concat(found).dropna(subset="test").reset_index(drop=True)


def image_text(folder: Path = FOLDER) -> pd.DataFrame:
    """Table 6: B/32 checkpoints as image towers of a contrastive model.

    Returns:
      Three rows: name, ds, aug (released name), wd (empty where it was not published), do, final_val, and accuracy on
      ImageNet-1k without a shot and recall of COCO and Flickr both ways, fractions.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    scores = ("final_val", "imagenet_0shot", *(f"{d}_{way}" for d in ("coco", "flickr") for way in ("i2t", "t2i")))
    wide = read(folder / IMAGE_TEXT, ("name", "ds", "aug", "wd", "do", *scores))
    return wide.assign(aug=wide["aug"].map(_LEVELS), **{score: wide[score] / 100 for score in scores})


def fig4_cells(folder: Path = FOLDER) -> pd.DataFrame:
    """Fig. 4 as the cells that `bench.report.heatmap` draws: final upstream validation accuracy.

    Returns:
      378 rows: ds, name, do, aug (released name), value, a fraction of which whole percents are known.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    wide = read(folder / FIGURE_4, ("ds", "name", "do", *_LEVELS))
    return _long(wide, ["ds", "name", "do"])


def fig4_narrow(folder: Path = FOLDER) -> pd.DataFrame:
    """The narrow column of Fig. 4: the best cell with dropout minus the best without.

    Returns:
      27 rows: ds, name, value, a fraction of which whole points are known.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    wide = read(folder / FIGURE_4_NARROW, ("ds", "name", "reg_minus_noreg"))
    return wide[["ds", "name"]].assign(value=wide["reg_minus_noreg"] / 100)


def fig7_cells(folder: Path = FOLDER) -> pd.DataFrame:
    """Fig. 7: the cell of Fig. 4 with dropout minus the one without, rounded after the subtraction.

    Returns:
      189 rows: ds, name, aug (released name), value, a fraction of which whole points are known. A published "-0" is -0.0.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    return _long(read(folder / FIGURE_7, ("ds", "name", *_LEVELS)), ["ds", "name"])


def _long(wide: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    rows = wide.rename(columns=_LEVELS).melt(keys, list(_LEVELS.values()), var_name="aug", value_name="value")
    return rows.assign(value=rows["value"] / 100)


def _imagenet(folder: Path) -> pd.DataFrame:
    """Columns name, ds, params, seen, imagenet_224, imagenet_384."""
    columns = [f"{ds}_{px}" for px in (224, 384) for ds in _SETS]
    wide = read(folder / IMAGENET, ("name", "params_millions", *columns))
    found = []
    for ds, seen in _SETS.items():
        facts = {"name": wide["name"], "ds": ds, "params": 1e6 * wide["params_millions"], "seen": seen}
        found.append(pd.DataFrame({**facts, **{f"imagenet_{px}": wide[f"{ds}_{px}"] / 100 for px in (224, 384)}}))
    return pd.concat(found, ignore_index=True)


def read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Returns the columns of a published table, which must have them.

    Raises:
      UserError: no such file, no CSV, or a column is missing.
    """
    try:
        # Integers have no -0, which the figures print.
        frame = pd.read_csv(path, dtype=dict.fromkeys(_LEVELS, "float64"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no published numbers ({error})") from None
    if missing := [column for column in columns if column not in frame]:
        raise UserError(f"{path}: no column {missing[0]!r}")
    return frame
