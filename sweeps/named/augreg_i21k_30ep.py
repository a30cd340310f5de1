"""AugReg's second third: 30 epochs of ImageNet-21k, as much compute as 300 of ImageNet-1k.

    augreg run augreg-i21k-30ep

252 upstream points (9 models x 7 levels x 2 regularisations x 2 weight decays) and 68 transfers of each (5 tasks; learning
rates and steps by task; 2 resolutions), 17,136 more. About 210,000 TPU-v4 core-hours in all, give or take a factor of 2
(`augreg plan`, 12.4 million images). Expect the second map of figure 4: any augmentation hurts all but the largest models;
best L/16 at 49%. Sources: "How to train your ViT?", sections 3.3 to 3.5 and Table 4; the fourth learning rate of the small
tasks is in the released index only.
"""

from sweeps.recipes import TABLE_4, VIT_AXES
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="augreg-i21k-30ep",
    about=__doc__,
    upstream=Grid(VIT_AXES, fixed={"dataset": "i21k", "epochs": 30.0, "lr": 0.001}),
    transfer=TABLE_4,
    figures=("augreg-fig6-left", "augreg-fig7", "augreg-table3"),
)
