"""The whole way in a minute: one model, four upstream points, eight transfers; to check an installation.

    augreg run smoke

4 upstream points (2 levels x 2 regularisations) and 2 transfers of each (2 tasks), 8 more. About a minute on two cores, most
of it imports and compilation. Scores are near chance: the runs are far too short to learn.
"""

from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="smoke",
    about=__doc__,
    upstream=Grid(
        axes={"aug": ["none", "light1"], "do=sd": [0.0, 0.1]},
        fixed={"model": "ViT-mu", "dataset": "mnist5k", "fraction": 0.1, "epochs": 15.0, "lr": 0.003, "wd": 0.03},
    ),
    transfer=Grid(
        axes={"task": ["digits", "lfw_faces"]},
        fixed={"lr": 0.1, "steps": 10, "resolution": 28, "batch_size": 64},
    ),
)
