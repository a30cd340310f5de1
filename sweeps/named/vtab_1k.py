"""VTAB-1k: the 19 tasks with 800 images to learn from and 200 to select by, from each of AugReg's recommended checkpoints.

    augreg run vtab-1k

9 upstream points (the recommended checkpoint of each model, ImageNet-21k for 300 epochs) and 152 transfers of each (19 tasks x
4 learning rates x 2 numbers of steps), 1,368 more. About 38,000 TPU-v4 core-hours, nearly all of them upstream. There is
no published table for these checkpoints. The sweep is that of AugReg for all of VTAB: the same for every task, as VTAB's rules
demand. Scores are those of models that have learnt from 800 images; VTAB's own table trains the best setting again on all
1,000. Labels of CLEVR and dSprites cannot be made by this version yet.
"""

from bench.points.vtab import ONE_K
from sweeps.recipes import RECOMMENDED_RUNS, VTAB_AXES
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="vtab-1k",
    about=__doc__,
    upstream=RECOMMENDED_RUNS,
    transfer=Grid(axes={"task": ONE_K, **VTAB_AXES}, fixed={"resolution": 224}),
)
