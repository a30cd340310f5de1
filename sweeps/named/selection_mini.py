"""Which of 16 checkpoints to take for seven small real tasks: every strategy against adapting all of them.

    augreg run selection-mini --data FOLDER

16 upstream points (2 models x 2 budgets x 4 levels) on 7,000 images of Tiny ImageNet, 112 probes, and 84 transfers of each
(7 tasks x 3 learning rates x 2 numbers of steps x 2 seeds), 1,344 more. Under an hour on two cores. `augreg data list NAME`
says where each set comes from. Expect checkpoints of 2 to 8% upstream accuracy, which transfer better the better they are, most
clearly to natural tasks.
"""

from sweeps.space import By, Grid, Sweep

SWEEP = Sweep(
    name="selection-mini",
    about=__doc__,
    upstream=Grid(
        axes={
            "model": ("ViT-mu", "NFNet-mu"),
            "epochs": (5.0, 20.0),
            "aug": ("none", "light1", "medium1", "strong1"),
        },
        fixed={
            "dataset": "tinyimagenet8k",
            "lr": By("model", {"ViT-mu": 0.003, "NFNet-mu": 0.3}),
            "wd": 0.03,
            "do": 0.0,
            "sd": 0.0,
        },
    ),
    transfer=Grid(
        axes={
            "task": ("cifar10_1k", "gtsrb", "clothing10", "rsscn7", "neu_surface", "coil20_azimuth", "gtsrb_dist"),
            "lr": (0.01, 0.03, 0.1),
            "steps": (25, 100),
            "seed": (0, 1),
        },
        fixed={"resolution": 32, "batch_size": 64},
    ),
    probe=True,
)
