"""`augreg-scratch-resisc45` in miniature: from scratch on half of the digits, short against long.

    augreg run augreg-scratch-resisc45-mini

32 upstream points (2 budgets x 2 learning rates x 2 decays x 2 regularisations x 2 levels), no transfers. A few minutes on two
cores. Expect the longer budget to win.
"""

from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="augreg-scratch-resisc45-mini",
    about=__doc__,
    upstream=Grid(
        axes={
            "epochs": (2.0, 6.0),
            "lr": (1e-3, 3e-3),
            "wd": By("lr", {1e-3: (0.03, 0.1), 3e-3: (0.01, 0.0333)}),
            "do=sd": (0.0, 0.1),
            "aug": ("none", "scratch1"),
        },
        fixed={"model": "ViT-mu", "dataset": "mnist5k", "fraction": 0.5},
    ),
    figures=("augreg-fig2",),
)
