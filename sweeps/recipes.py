"""Axes and recipes that several named sweeps share, with their sources.

Costs in the sweeps' docstrings are training FLOPs (`bench.cost`; ImageNet-21k with 12.4 million images, JFT-300M with 303
million) at 40% of the 137.5 TFLOP/s of a TPU-v4 core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.points.variants import VARIANTS
from sweeps.axes import By, Grid
from sweeps.search import Choice, Made, Search
from vtab.protocols import PROTOCOLS

# "How to train your ViT?", section 3.3 and figure 4: capacity grows down the list.
VIT_MODELS = ("R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "R26+S/32", "B/16", "L/16", "R50+L/32")
VIT_LEVELS = ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2")
VIT_RATES = (0.0, 0.1)
# Decoupled and multiplied by the learning rate, which peaks at 0.001 (appendix A, footnote 4).
VIT_DECAYS = (0.03, 0.1)
VIT_AXES: Mapping[str, Sequence[Any]] = {
    "model": VIT_MODELS,
    "aug": VIT_LEVELS,
    "do=sd": VIT_RATES,
    "wd": VIT_DECAYS,
}

_FIVE = PROTOCOLS["augreg-five"]
TABLE_4 = Grid(
    axes={
        "task": _FIVE.tasks,
        "lr": By("task", {task: _FIVE.of(task).lrs for task in _FIVE.tasks}),
        "steps": By("task", {task: _FIVE.of(task).steps for task in _FIVE.tasks}),
        "resolution": _FIVE.resolutions,
    }
)

# Section 4.5 and the released index: of each model the checkpoint with the best final validation accuracy on ImageNet-21k.
RECOMMENDED: Mapping[str, tuple[str, float, float]] = {
    "R+Ti/16": ("none", 0.03, 0.0),
    "Ti/16": ("none", 0.03, 0.0),
    "S/32": ("none", 0.1, 0.0),
    "S/16": ("light1", 0.03, 0.0),
    "B/32": ("light1", 0.1, 0.0),
    "R26+S/32": ("light1", 0.1, 0.0),
    "B/16": ("medium1", 0.1, 0.0),
    "L/16": ("strong1", 0.1, 0.0),
    "R50+L/32": ("medium1", 0.1, 0.1),
}
RECOMMENDED_RUNS = Grid(
    axes={"model": tuple(RECOMMENDED)},
    fixed={
        "dataset": "i21k",
        "epochs": 300.0,
        "lr": 0.001,
        **{f: By("model", {m: r[i] for m, r in RECOMMENDED.items()}) for f, i in (("aug", 0), ("wd", 1), ("do", 2), ("sd", 2))},
    },
)
# Appendix C: what the paper swept for VTAB.
VTAB_AXES: Mapping[str, Sequence[Any]] = {"lr": PROTOCOLS["vtab-full"].lrs, "steps": PROTOCOLS["vtab-full"].steps}

# NFNet, appendix A.1 and Table 1: weight decay of 2e-5 added to the gradient, 5 epochs of warm-up, peak 0.1 x 4096 / 256.
NFNET_IMAGENET: Mapping[str, Any] = {
    "dataset": "i1k",
    "epochs": 360.0,
    "lr": 1.6,
    "wd": 2e-5,
    "optimizer": "nesterov_agc_l2",
    "loss": "softmax",
    "smoothing": 0.1,
}
NFNET_PIXELS = {f"NFNet-F{n}": px for n, px in enumerate((192, 224, 256, 320, 384, 416, 448, 480))}

# "ConvNets Match Vision Transformers at Scale", section 2; what it leaves open as in the NFNet paper's appendix A.5: no
# augmentation but crops, no average, weight decay 1e-6. Warm-up is stated in neither; it is the set's.
NFNET_BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
NFNET_JFT: Mapping[str, Any] = {
    "dataset": "jft4b",
    "aug": "none",
    "wd": 1e-6,
    "do": 0.0,
    "sd": 0.0,
    "optimizer": "nesterov_agc_l2",
}

# EfficientNetV2's code (main_tf2.py, hparams.py) and section 4: 0.016 x 4096 / 256, 5 epochs of warm-up, x0.97 every 2.4.
EFFNETV2: Mapping[str, Any] = {
    "dataset": "i1k",
    "epochs": 350.0,
    "lr": 0.256,
    "wd": 1e-5,
    "sd": 0.2,
    "optimizer": "rmsprop_l2",
    "loss": "softmax",
    "smoothing": 0.1,
    "ema": 0.9999,
    "decay": "exponential",
    "warmup_steps": 1_548,
}


def of_model(models: Sequence[str], values: Sequence[Any]) -> By:
    """Returns what depends on the model, the values in the order of the models.

    Raises:
      ValueError: there are more or fewer values than models, or an unknown model.
    """
    pairs = dict(zip(models, values, strict=True))
    if unknown := [m for m in models if m not in VARIANTS]:
        raise ValueError(f"no models {unknown}")
    return By("model", pairs)


# The same structure on images that Python packages carry.
MINI_AXES: Mapping[str, Sequence[Any]] = {
    "model": ("ViT-mu", "R-mu"),
    "aug": ("none", "medium1"),
    "do=sd": VIT_RATES,
    "wd": VIT_DECAYS,
}
MINI_TRANSFERS = Grid(
    axes={
        "task": ("digits", "lfw_faces"),
        "lr": By("task", {"digits": (0.03, 0.1), "lfw_faces": (0.01, 0.03, 0.1)}),
        "steps": By("task", {"digits": (20, 40), "lfw_faces": (10,)}),
        "resolution": By("task", {"digits": (28,), "lfw_faces": (28, 42)}),
    },
    fixed={"batch_size": 64},
)

# "How to train your ViT?", appendix A: training from scratch on small sets. Its weight decays are per step at the peak of the
# schedule; divided by the learning rate, to 3 digits, they are in the unit of a config.
SCRATCH_EPOCHS = {
    "oxford_iiit_pet": (1e3, 3e3, 1e4, 3e4, 3e5),
    "resisc45": (75.0, 250.0, 750.0, 2.5e3, 7.5e3, 2.5e4),
}
SCRATCH_LEVELS = ("none", "light1", "medium1", "medium2", "strong1", "strong2", "scratch1", "scratch2")
SCRATCH_RATES = (0.0, 0.1, 0.2)


_SCRATCH_LRS = (1e-4, 3e-4, 1e-3, 3e-3)
_SCRATCH_DECAYS = (1e-5, 3e-5, 1e-4, 3e-4)


def _decay(lr: float, per_step: float) -> float:
    return float(f"{per_step / lr:.3g}")


def scratch(
    model: str,
    dataset: str,
    epochs: Sequence[float],
    rates: Sequence[float] = _SCRATCH_LRS,
    decays: Sequence[float] = _SCRATCH_DECAYS,
) -> Grid:
    """Returns one row of the appendix's table: all learning rates with all weight decays, levels and regularisations."""
    return Grid(
        axes={
            "epochs": epochs,
            "lr": rates,
            "wd": By("lr", {lr: tuple(_decay(lr, wd) for wd in decays) for lr in rates}),
            "do=sd": SCRATCH_RATES,
            "aug": SCRATCH_LEVELS,
        },
        fixed={"model": model, "dataset": dataset},
    )


def scratch_search(trials: int, epochs: Sequence[float], **fixed: Any) -> Search:
    """Returns a random search over the points of `scratch` with the table's own rates and decays."""
    return Search(
        sampler="random",
        trials=trials,
        axes={
            "epochs": Choice(epochs),
            "rate": Choice(_SCRATCH_LRS),
            "decay": Choice(_SCRATCH_DECAYS),
            "do=sd": Choice(SCRATCH_RATES),
            "aug": Choice(SCRATCH_LEVELS),
        },
        fixed={**fixed, "lr": Made(float, ("rate",)), "wd": Made(_decay, ("rate", "decay"))},
    )
