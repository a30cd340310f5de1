"""Data against augmentation: how much RandAugment, Mixup, dropout and stochastic depth help at 1%, 10% and all of ImageNet.

    augreg run augreg-size

378 upstream points (9 models x 3 fractions x 7 levels x 2 regularisations), no transfers. About 58,000 TPU-v4 core-hours.
Expect what "How to train your ViT?" finds for 300 epochs of ImageNet-1k (figure 4): augmentation helps every model,
regularisation the larger ones; and more of both, the less data there is, until at 1% nothing trains well (section 4.1's note
on 10% of ImageNet). Warm-up shrinks with the set: 10,000 steps would be longer than a whole run on 10% of the images.
"""

from sweeps.recipes import VIT_LEVELS, VIT_MODELS, VIT_RATES
from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="augreg-size",
    about=__doc__,
    upstream=Grid(
        axes={"model": VIT_MODELS, "fraction": (0.01, 0.1, 1.0), "aug": VIT_LEVELS, "do=sd": VIT_RATES},
        fixed={
            "dataset": "i1k",
            "epochs": 300.0,
            "lr": 0.001,
            "wd": 0.1,
            "warmup_steps": By("fraction", {0.01: 100, 0.1: 1_000, 1.0: 10_000}),
        },
    ),
    figures=("augreg-fig7",),
)
