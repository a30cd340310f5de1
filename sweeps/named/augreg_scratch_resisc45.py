"""Can augmentation and compute replace upstream data? Vision Transformers from scratch on 18,900 satellite images.

    augreg run augreg-scratch-resisc45

2,544 upstream points, no transfers: 2,304 of B/32 (6 budgets x 4 learning rates x 4 decays x 3 regularisations x 8 levels) and
240 of B/16 (5 x 2 x 3 x 8). About 110,000 TPU-v4 core-hours. Expect what figure 2 shows: two orders of magnitude more compute
come close to a transferred checkpoint, but not up to it. Source: "How to train your ViT?", figure 2 and the table of appendix
A; its 8 levels are given as numbers only, two of them (`scratch1`, `scratch2`) stand nowhere else.
"""

from sweeps.recipes import SCRATCH_EPOCHS, scratch
from sweeps.space import Sweep

SWEEP = Sweep(
    name="augreg-scratch-resisc45",
    about=__doc__,
    upstream=(
        scratch("B/32", "resisc45", SCRATCH_EPOCHS["resisc45"]),
        scratch("B/16", "resisc45", (75.0, 250.0, 750.0, 2.5e3, 7.5e3), (1e-3,), (1e-4, 3e-4)),
    ),
    figures=("augreg-fig2",),
)
