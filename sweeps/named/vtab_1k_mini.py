"""`vtab-1k` in miniature: as `vtab-full-mini`, with a quarter of the steps.

    augreg run vtab-1k-mini

2 upstream points (2 models) and 12 transfers of each (4 tasks x 3 learning rates), 24 more, which tune; then 8 runs that learn
from train and val, one of each model and task. A few minutes on two cores. Expect scores below those of `vtab-full-mini`.
"""

from sweeps.follow import Retrain
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="vtab-1k-mini",
    about=__doc__,
    upstream=Grid(
        axes={"model": ("ViT-mu", "R-mu")},
        fixed={"dataset": "mnist5k", "epochs": 6.0, "lr": 0.003, "aug": "light1", "wd": 0.03, "do": 0.0, "sd": 0.0},
    ),
    transfer=Grid(
        axes={
            "task": ("digits", "lfw_faces", "synthetic_sprites_position", "synthetic_sprites_orientation"),
            "lr": (0.03, 0.1, 0.3),
        },
        fixed={"resolution": 28, "batch_size": 64, "steps": 10, "fit": "tune"},
    ),
    probe=True,
    follow=Retrain(),
    figures=("augreg-fig3", "augreg-table5"),
)
