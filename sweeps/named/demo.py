"""The whole way in minutes: AugReg's grid in miniature, on images that Python packages carry.

    augreg run demo

32 upstream points (2 models x 2 dataset fractions x 4 levels x 2 regularisations) and 8 transfers of each (4 tasks x 2 learning
rates), 256 more. About 4 minutes on two cores. Expect above 90% on the MNIST test split from the best model at the full set,
augmentation to cost accuracy at this short budget, and a tenth of the data to cost much more.
"""

from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="demo",
    about=__doc__,
    upstream=Grid(
        axes={
            "model": ["ViT-mu", "NFNet-mu"],
            "fraction": [0.1, 1.0],
            "aug": ["none", "light1", "medium1", "strong1"],
            "do=sd": [0.0, 0.1],
        },
        fixed={"dataset": "mnist5k", "epochs": 12.0, "lr": By("model", {"ViT-mu": 0.003, "NFNet-mu": 0.3}), "wd": 0.03},
    ),
    transfer=Grid(
        axes={
            "task": ["digits", "lfw_faces", "synthetic_sprites_position", "synthetic_sprites_orientation"],
            "lr": [0.03, 0.1],
        },
        fixed={"steps": 20, "resolution": 28, "batch_size": 64},
    ),
)
