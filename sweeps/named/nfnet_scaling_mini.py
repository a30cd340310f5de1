"""`nfnet-scaling` in miniature: one NFNet on digits, four budgets, learning rates in factors of 2.

    augreg run nfnet-scaling-mini

12 upstream points (4 budgets x 3 learning rates), no transfers. A few minutes on two cores. Expect accuracies of about 45%,
65%, 90% and 95%.
"""

from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="nfnet-scaling-mini",
    about=__doc__,
    upstream=Grid(
        axes={"epochs": (1.0, 2.0, 4.0, 8.0), "lr": (0.15, 0.3, 0.6)},
        fixed={
            "model": "NFNet-mu",
            "dataset": "mnist5k",
            "aug": "none",
            "wd": 1e-6,
            "do": 0.0,
            "sd": 0.0,
            "optimizer": "nesterov_agc_l2",
        },
    ),
    figures=("nfnet-loss", "nfnet-optimum", "nfnet-learning-rate"),
)
