"""What NFNets gain on ImageNet from sharpness-aware minimisation, dropout, stochastic depth and repeated augmentation.

    augreg run nfnet-finetune --upstream i21k

30 upstream points (5 models x 6 budgets, each at its best learning rate) and 16 transfers of each (with and without each of
the four), 480 more. JFT-4B is proprietary: put another set in its place. In the paper one fine-tuning of F7+ took 1,600 TPU-v4
core-hours, 1.5% of its pre-training. Expect figure 1: 86.1% (F1, a quarter of an epoch) to 90.3% (F7+, 8 epochs), 90.4% with
repeated augmentation. Sources: "ConvNets Match Vision Transformers at Scale", sections 2 and 3 and figures 1 and 3, which give
the best rates of F0, F3 and F7+: F1 has F0's here, F3+ has F3's, F7 has F7+'s. 50 epochs of 384 px; what is left open (batch,
learning rate, warm-up, average, the rates of what is switched on) as in the NFNet paper's appendix A.5. Images are resized
plainly here, not cropped, so the level of F3 to F7 augments them.
"""

from sweeps.recipes import NFNET_BUDGETS, NFNET_JFT
from sweeps.space import By, Grid, Sweep

_BEST = {
    "NFNet-F1": (1.6, 1.6, 1.6, 1.6, 1.6, 0.8),
    "NFNet-F3": (1.6, 1.6, 1.6, 0.8, 0.8, 0.4),
    "NFNet-F3+": (1.6, 1.6, 1.6, 0.8, 0.8, 0.4),
    "NFNet-F7": (1.6, 1.6, 1.6, 0.8, 0.4, 0.4),
    "NFNet-F7+": (1.6, 1.6, 1.6, 0.8, 0.4, 0.4),
}

SWEEP = Sweep(
    name="nfnet-finetune",
    about=__doc__,
    upstream=tuple(
        Grid(
            axes={"epochs": NFNET_BUDGETS},
            fixed={**NFNET_JFT, "model": model, "lr": By("epochs", dict(zip(NFNET_BUDGETS, rates, strict=True)))},
        )
        for model, rates in _BEST.items()
    ),
    transfer=Grid(
        axes={"sam": (0.0, 0.05), "do": (0.0, 0.25), "sd": (0.0, 0.1), "multiplicity": (1, 4)},
        fixed={
            "task": "imagenet2012",
            "steps": 30_966,
            "lr": 0.1,
            "resolution": 384,
            "batch_size": 2_048,
            "warmup_steps": 5_000,
            "clip": 0.01,
            "wd": 1e-5,
            "aug": "nfnet15",
            "ema": 0.9999,
            "optimizer": "nesterov_agc_l2",
        },
    ),
    figures=("nfnet-imagenet", "nfnet-pairs"),
)
