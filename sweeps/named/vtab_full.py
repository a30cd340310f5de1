"""VTAB with all of its training images: the 19 tasks from each of AugReg's recommended checkpoints.

    augreg run vtab-full

9 upstream points (the recommended checkpoint of each model, ImageNet-21k for 300 epochs) and 152 transfers of each (19 tasks x
4 learning rates x 2 numbers of steps), 1,368 more. About 38,000 TPU-v4 core-hours, nearly all of them upstream. Expect
Table 5 of "How to train your ViT?": means over the natural, specialized and structured tasks of 92.2, 91.3 and 80.8 for L/16.
The sweep is that of its appendix C, which states no resolution; it is 224 px here.
"""

from bench.points.vtab import FULL
from sweeps.recipes import RECOMMENDED_RUNS, VTAB_AXES
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="vtab-full",
    about=__doc__,
    upstream=RECOMMENDED_RUNS,
    transfer=Grid(axes={"task": FULL, **VTAB_AXES}, fixed={"resolution": 224}),
    figures=("augreg-fig3", "augreg-table5"),
)
