"""The grid of `augreg-size` over NFNets: does a network without normalisation need augmentation as Vision Transformers do?

    augreg run augreg-nfnet

336 upstream points (8 models x 3 fractions x 7 levels x 2 regularisations), no transfers. About 320,000 TPU-v4 core-hours.
Recipe, training resolutions and optimiser are NFNet's for ImageNet (paper, appendix A.1 and Table 1), except augmentation,
dropout and stochastic depth, which are the axes. Expect, at the full set, what the paper's ablation finds: Mixup and
RandAugment add 2 to 3 points, more to the larger models. Warm-up is 5 epochs.
"""

from sweeps.recipes import NFNET_IMAGENET, NFNET_PIXELS, VIT_LEVELS, VIT_RATES
from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="augreg-nfnet",
    about=__doc__,
    upstream=Grid(
        axes={"model": tuple(NFNET_PIXELS), "fraction": (0.01, 0.1, 1.0), "aug": VIT_LEVELS, "do=sd": VIT_RATES},
        fixed={
            **NFNET_IMAGENET,
            "resolution": By("model", NFNET_PIXELS),
            "warmup_steps": By("fraction", {0.01: 15, 0.1: 155, 1.0: 1_548}),
        },
    ),
    figures=("augreg-fig7",),
)
