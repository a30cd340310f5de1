"""`augreg-size` in miniature: digits instead of ImageNet, two models that fit one core.

    augreg run augreg-size-mini

48 upstream points (2 models x 3 fractions x 4 levels x 2 regularisations), no transfers. A few minutes on two cores. Expect
90% (R-mu) and 80% (ViT-mu) from all digits without augmentation, a third from a tenth of them, and augmentation to cost
accuracy at this short budget.
"""

from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="augreg-size-mini",
    about=__doc__,
    upstream=Grid(
        axes={
            "model": ("ViT-mu", "R-mu"),
            "fraction": (0.1, 0.3, 1.0),
            "aug": ("none", "light1", "medium1", "strong1"),
            "do=sd": (0.0, 0.1),
        },
        fixed={
            "dataset": "mnist5k",
            "epochs": 6.0,
            "lr": 0.003,
            "wd": 0.03,
            "warmup_steps": By("fraction", {0.1: 4, 0.3: 12, 1.0: 40}),
        },
    ),
    figures=("augreg-fig7",),
)
