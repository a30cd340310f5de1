"""`vtab-full` in miniature: a task of each group, on images that Python packages carry.

    augreg run vtab-full-mini

2 upstream points (2 models) and 8 transfers of each (4 tasks x 2 learning rates), 16 more; each checkpoint is probed on every
task. A few minutes on two cores. Expect digits to be easy and sprites hard.
"""

from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="vtab-full-mini",
    about=__doc__,
    upstream=Grid(
        axes={"model": ("ViT-mu", "R-mu")},
        fixed={"dataset": "mnist5k", "epochs": 6.0, "lr": 0.003, "aug": "light1", "wd": 0.03, "do": 0.0, "sd": 0.0},
    ),
    transfer=Grid(
        axes={
            "task": ("digits", "lfw_faces", "synthetic_sprites_position", "synthetic_sprites_orientation"),
            "lr": (0.03, 0.1),
        },
        fixed={"resolution": 28, "batch_size": 64, "steps": 40},
    ),
    probe=True,
    figures=("augreg-fig3", "augreg-table5"),
)
