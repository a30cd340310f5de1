"""AugReg's last third: 300 epochs of ImageNet-21k, where the recommended checkpoints come from.

    augreg run augreg-i21k-300ep

252 upstream points (9 models x 7 levels x 2 regularisations x 2 weight decays) and 68 transfers of each (5 tasks; learning
rates and steps by task; 2 resolutions), 17,136 more. About 1.1 million TPU-v4 core-hours in all, give or take a factor of 2
(`augreg plan`, 12.4 million images). Expect the third map of figure 4: augmentation helps from B/32 on and still hurts the
small models; best L/16 and R50+L/32 at 51%. Sources: "How to train your ViT?", sections 3.3 to 3.5 and Table 4; the fourth
learning rate of the small tasks is in the released index only.
"""

from sweeps.recipes import TABLE_4, VIT_AXES
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="augreg-i21k-300ep",
    about=__doc__,
    upstream=Grid(VIT_AXES, fixed={"dataset": "i21k", "epochs": 300.0, "lr": 0.001}),
    transfer=TABLE_4,
    figures=("augreg-fig5-left", "augreg-fig6-left", "augreg-fig7", "augreg-table3"),
)
