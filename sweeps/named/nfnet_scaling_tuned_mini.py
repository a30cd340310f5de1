"""The two-trial learning-rate tuner in miniature: one NFNet, three budgets, digits.

    augreg run nfnet-scaling-tuned-mini

At most 12 upstream points: 2 for each of the two longer budgets, the others for the first, which climbs from 0.1. Two minutes
on two cores. Expect 0.2 to be best for all three, found in 8 trials: accuracies near 65%, 92% and 95%.
"""

from sweeps.search import Choice, Float, Search
from sweeps.space import Sweep

SWEEP = Sweep(
    name="nfnet-scaling-tuned-mini",
    about=__doc__,
    search=Search(
        sampler="two-trial",
        trials=12,
        axes={"model": Choice(["NFNet-mu"]), "epochs": Choice([2.0, 4.0, 8.0]), "lr": Float(0.0125, 6.4, log=True)},
        fixed={"dataset": "mnist5k", "aug": "none", "wd": 1e-6, "do": 0.0, "sd": 0.0, "optimizer": "nesterov_agc_l2"},
        first=({"lr": 0.1},),
    ),
    figures=("nfnet-loss", "nfnet-optimum", "nfnet-learning-rate"),
)
