"""VTAB-1k: the 19 tasks with 800 images to learn from and 200 to select by, from each of AugReg's recommended checkpoints.

    augreg run vtab-1k

9 upstream points (the recommended checkpoint of each model, ImageNet-21k for 300 epochs) and 152 transfers of each (19 tasks x
4 learning rates x 2 numbers of steps), 1,368 more. They tune: they learn from 800 images and are judged by 200. Then, as in
VTAB's own table, the best setting of every checkpoint and task is trained once more, on all 1,000, and tested: 171 runs. Every
checkpoint is probed on every task as well. About 38,000 TPU-v4 core-hours, nearly all of them upstream. There is no published
table for these checkpoints. The settings are those of AugReg for all of VTAB: the same for every task, as VTAB's rules demand.
"""

from bench.points.vtab import ONE_K
from sweeps.follow import Retrain
from sweeps.recipes import RECOMMENDED_RUNS, VTAB_AXES
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="vtab-1k",
    about=__doc__,
    upstream=RECOMMENDED_RUNS,
    transfer=Grid(axes={"task": ONE_K, **VTAB_AXES}, fixed={"resolution": 224, "fit": "tune"}),
    probe=True,
    follow=Retrain(),
    figures=("augreg-fig3", "augreg-table5"),
)
