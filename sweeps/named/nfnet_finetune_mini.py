"""`nfnet-finetune` in miniature: two checkpoints of one NFNet, with and without each of the four regularisers.

    augreg run nfnet-finetune-mini

2 upstream points (2 budgets) and 16 transfers of each (with and without each of the four), 32 more. A few minutes on two
cores. Scores of so short runs say little; the point is that all sixteen run.
"""

from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="nfnet-finetune-mini",
    about=__doc__,
    upstream=Grid(
        axes={"epochs": (2.0, 4.0)},
        fixed={
            "model": "NFNet-mu",
            "dataset": "mnist5k",
            "aug": "none",
            "wd": 1e-6,
            "do": 0.0,
            "sd": 0.0,
            "optimizer": "nesterov_agc_l2",
            "lr": By("epochs", {2.0: 0.6, 4.0: 0.3}),
        },
    ),
    transfer=Grid(
        axes={"sam": (0.0, 0.05), "do": (0.0, 0.25), "sd": (0.0, 0.1), "multiplicity": (1, 4)},
        fixed={
            "task": "digits",
            "steps": 20,
            "lr": 0.1,
            "resolution": 28,
            "batch_size": 64,
            "clip": 0.16,
            "wd": 1e-5,
            "aug": "nfnet5",
            "ema": 0.9,
            "optimizer": "nesterov_agc_l2",
        },
    ),
    figures=("nfnet-imagenet",),
)
