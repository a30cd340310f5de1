"""`augreg-nfnet` in miniature: digits instead of ImageNet, and one NFNet that fits one core.

    augreg run augreg-nfnet-mini

24 upstream points (3 fractions x 4 levels x 2 regularisations), no transfers. A few minutes on two cores. Expect 95% from all
digits without augmentation, below 30% from a tenth of them.
"""

from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="augreg-nfnet-mini",
    about=__doc__,
    upstream=Grid(
        axes={"fraction": (0.1, 0.3, 1.0), "aug": ("none", "light1", "medium1", "strong1"), "do=sd": (0.0, 0.1)},
        fixed={
            "model": "NFNet-mu",
            "dataset": "mnist5k",
            "epochs": 6.0,
            "lr": 0.3,
            "wd": 2e-5,
            "optimizer": "nesterov_agc_l2",
            "smoothing": 0.1,
            "warmup_steps": By("fraction", {0.1: 4, 0.3: 12, 1.0: 40}),
        },
    ),
    figures=("augreg-fig7",),
)
