"""How the loss of NFNets falls with compute: six models, six budgets of JFT-4B, learning rates in factors of 2.

    augreg run nfnet-scaling --upstream i21k

180 upstream points (6 models x 6 budgets x 5 learning rates), no transfers. JFT-4B is proprietary: put another set in its
place. For JFT-4B the best learning rate of every model and budget cost 620,000 TPU-v4 core-hours in all (figure 2: from 400
for F0 over a quarter of an epoch to 107,000 for F7+ over 8 epochs), five learning rates five times that. Expect the logarithm
of the loss to fall linearly with that of compute, the best learning rate to fall slowly with size and budget (figure 3: from
1.6 to 0.4), and larger models to want more epochs. Source: "ConvNets Match Vision Transformers at Scale", section 2; what it
leaves open as in the NFNet paper's appendix A.5.
"""

from sweeps.recipes import NFNET_BUDGETS, NFNET_JFT
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="nfnet-scaling",
    about=__doc__,
    upstream=Grid(
        axes={
            "model": ("NFNet-F0", "NFNet-F1", "NFNet-F3", "NFNet-F3+", "NFNet-F7", "NFNet-F7+"),
            "epochs": NFNET_BUDGETS,
            "lr": (0.2, 0.4, 0.8, 1.6, 3.2),
        },
        fixed=NFNET_JFT,
    ),
    figures=("nfnet-loss", "nfnet-optimum", "nfnet-learning-rate"),
)
