"""Published numbers about size, compute and time, read from `results/published` (its README names the sources).

They come from "ConvNets Match Vision Transformers at Scale" (NFNets, and the ViTs it compares with), "EfficientNetV2" and
"CoAtNet". Accuracies become fractions, thousands of core-hours become core-hours.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.select.published import FOLDER, read

NFNET_SET = "jft4b"
"""Upstream set of all runs of the NFNet paper."""


def nfnet(folder: Path = FOLDER) -> pd.DataFrame:
    """Figures 1 and 2: six NFNets at six budgets, a frame for `bench.select.frontier` and `bench.select.equal_compute`.

    Returns:
      36 rows: model (as the registry spells it), ds, epochs, compute (TPU-v4 core-hours of pre-training), size (those of one
      epoch), loss (on held-out images of the upstream set), accuracy (on ImageNet-1k after fine-tuning, a fraction; empty for
      the 11 runs that Figure 1 leaves out).

    Raises:
      UserError: the file is missing, or has other columns.
    """
    wide = read(folder / "nfnet_scaling.csv", ("model", "epochs", "tpu_v4_core_khours", "validation_loss", "imagenet_top1"))
    compute = 1e3 * wide["tpu_v4_core_khours"]
    return pd.DataFrame(
        {
            "model": "NFNet-" + wide["model"],
            "ds": NFNET_SET,
            "epochs": wide["epochs"].astype(float),
            "compute": compute,
            "size": compute / wide["epochs"],
            "loss": wide["validation_loss"],
            "accuracy": wide["imagenet_top1"] / 100,
        }
    )


def nfnet_rates(folder: Path = FOLDER) -> pd.DataFrame:
    """Figure 3: model, ds, epochs and lr, the best peak learning rate on a grid of factors of two; batch 4,096.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    rows = read(folder / "nfnet_best_lr.csv", ("model", "epochs", "best_lr"))
    found = pd.DataFrame({"model": "NFNet-" + rows["model"], "ds": NFNET_SET, "epochs": rows["epochs"].astype(float)})
    return found.assign(lr=rows["best_lr"].astype(float))


def nfnet_steps(folder: Path = FOLDER) -> pd.DataFrame:
    """Table 3 of the NFNet paper: model, resolution (pixels), device (a name of `bench.cost`), seconds of a step of 32 images.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    columns = {"tpu_v3_core_ms": "tpu-v3", "v100_ms": "v100"}
    wide = read(folder / "nfnet_step_times.csv", ("model", "resolution", *columns)).rename(columns=columns)
    found = wide.melt(["model", "resolution"], var_name="device", value_name="seconds")
    return found.assign(model="NFNet-" + found["model"], seconds=found["seconds"] / 1e3)


def repeated_augmentation(folder: Path = FOLDER) -> pd.DataFrame:
    """Text of section 3: model, ds, epochs (of pre-training), multiplicity (how often a batch of fine-tuning has an image) and
    accuracy (ImageNet-1k, a fraction).

    Raises:
      UserError: the file is missing, or has other columns.
    """
    rows = read(folder / "repeated_augmentation.csv", ("model", "epochs", "multiplicity", "imagenet_top1"))
    found = rows[["model", "epochs", "multiplicity"]].assign(ds=NFNET_SET, accuracy=rows["imagenet_top1"] / 100)
    return found[["model", "ds", "epochs", "multiplicity", "accuracy"]]


def references(folder: Path = FOLDER) -> pd.DataFrame:
    """What the NFNets are compared with: model, ds (pre-training, in words), compute (TPU-v4 core-hours, empty where it was not
    estimated), accuracy (ImageNet-1k, a fraction), note.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    rows = read(folder / "scale_reference_points.csv", ("model", "pretraining", "imagenet_top1", "tpu_v4_core_khours", "note"))
    found = rows[["model", "note"]].assign(ds=rows["pretraining"], compute=1e3 * rows["tpu_v4_core_khours"])
    return found.assign(accuracy=rows["imagenet_top1"] / 100)[["model", "ds", "compute", "accuracy", "note"]]


def efficientnetv2(folder: Path = FOLDER) -> pd.DataFrame:
    """Table 7: model, ds, accuracy (ImageNet-1k, a fraction), hours (of training on 32 TPU-v3 cores), checked (whether the
    hours were found quoted elsewhere; the others are from memory).

    Raises:
      UserError: the file is missing, or has other columns.
    """
    rows = read(folder / "efficientnetv2.csv", ("model", "upstream", "imagenet_top1", "hours", "checked"))
    found = rows[["model", "hours"]].assign(ds=rows["upstream"], accuracy=rows["imagenet_top1"] / 100)
    found["hours"] = found["hours"].astype(float)
    return found.assign(checked=rows["checked"].eq("yes"))[["model", "ds", "accuracy", "hours", "checked"]]


def coatnet(folder: Path = FOLDER) -> pd.DataFrame:
    """Its results on ImageNet: model, ds, resolution (pixels in fine-tuning, empty where it was not read), params, accuracy
    (ImageNet-1k, a fraction), note.

    Raises:
      UserError: the file is missing, or has other columns.
    """
    columns = ("model", "upstream", "resolution", "params_millions", "imagenet_top1", "note")
    rows = read(folder / "coatnet.csv", columns)
    found = rows[["model", "note"]].assign(ds=rows["upstream"], resolution=rows["resolution"].astype("Int64"))
    found = found.assign(params=1e6 * rows["params_millions"], accuracy=rows["imagenet_top1"] / 100)
    return found[["model", "ds", "resolution", "params", "accuracy", "note"]]
