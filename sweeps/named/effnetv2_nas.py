"""EfficientNetV2's training-aware architecture search: blocks, layers, kernels and expansions by stage, for accuracy per time.

    augreg run effnetv2-nas

At most 1,000 upstream points ("up to 1000 models", 10 epochs each at a reduced image size), drawn by chance, the paper's
simplest way, for A * S^-0.07 * P^-0.05: validation accuracy, measured seconds of a training step and parameters, both
relative to the first point, EfficientNetV2-B0. Source: "EfficientNetV2: Smaller Models and Faster Training", section 3.2;
recipe of section 5.1, warm-up cut to an epoch. Ours, because the paper does not say: channels and strides of B0, up to twice
its layers a stage, 128 pixels, where its progressive schedule begins. About 51 EFLOPs, 860 TPU-v4 core-hours (`augreg plan`).
All on one kind of device: step times are compared.
"""

from sweeps.recipes import EFFNETV2
from sweeps.search import Search, architecture
from sweeps.space import Sweep

SWEEP = Sweep(
    name="effnetv2-nas",
    about=__doc__,
    search=Search(
        sampler="random",
        trials=1000,
        axes=architecture.axes([2, 4, 4, 6, 10, 16]),
        fixed={
            **EFFNETV2,
            "model": architecture.model("B0"),
            "epochs": 10.0,
            "resolution": 128,
            "warmup_steps": 310,
            "aug": "none",
            "do": 0.2,
            "dtype": "bfloat16",
        },
        objective="nas",
        first=(architecture.point("B0"),),
    ),
)
