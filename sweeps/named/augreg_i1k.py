"""AugReg's first third: 300 epochs of ImageNet-1k, and the transfers of every checkpoint.

    augreg run augreg-i1k

252 upstream points (9 models x 7 levels x 2 regularisations x 2 weight decays) and 68 transfers of each (5 tasks; learning
rates and steps by task; 2 resolutions), 17,136 more. About 210,000 TPU-v4 core-hours in all, give or take a factor of 2
(`augreg plan`). Expect the first map of figure 4: any augmentation helps any model, regularisation those from B/32 on; best
B/16 at 83% minival. Sources: "How to train your ViT?", sections 3.3 to 3.5 and Table 4; the fourth learning rate of the small
tasks is in the released index only.
"""

from sweeps.recipes import TABLE_4, VIT_AXES
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="augreg-i1k",
    about=__doc__,
    upstream=Grid(VIT_AXES, fixed={"dataset": "i1k", "epochs": 300.0, "lr": 0.001}),
    transfer=TABLE_4,
    figures=("augreg-fig6-left", "augreg-fig7", "augreg-table3"),
)
