"""`nfnet-scaling` with the paper's tuner: two learning rates a model and budget in the place of a grid of rates.

    augreg run nfnet-scaling-tuned --upstream i21k

At most 76 upstream points: 2 for each of 35 (model, epochs), and 3 or a few more for the first, F0 for 0.25 epochs, which
climbs in factors of two from 0.1 * batch / 256 = 1.6. The others start from the best rate of the next smaller model and of
the next fewer epochs, and try it and half of it. JFT-4B is proprietary: put another set in its place. Expect the best rates
of figure 3, falling from 1.6 to 0.4, for two fifths of what `nfnet-scaling` costs. Source: "ConvNets Match Vision
Transformers at Scale", section 2; what it leaves open as in the NFNet paper's appendix A.5.
"""

from sweeps.recipes import NFNET_BUDGETS, NFNET_JFT
from sweeps.search import Choice, Float, Search
from sweeps.space import Sweep

SWEEP = Sweep(
    name="nfnet-scaling-tuned",
    about=__doc__,
    search=Search(
        sampler="two-trial",
        trials=76,
        axes={
            "model": Choice(["NFNet-F0", "NFNet-F1", "NFNet-F3", "NFNet-F3+", "NFNet-F7", "NFNet-F7+"]),
            "epochs": Choice(NFNET_BUDGETS),
            "lr": Float(0.0125, 25.6, log=True),
        },
        fixed=NFNET_JFT,
        first=({"lr": 1.6},),
    ),
    figures=("nfnet-loss", "nfnet-optimum", "nfnet-learning-rate"),
)
