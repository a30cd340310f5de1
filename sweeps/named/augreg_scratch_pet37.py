"""Can augmentation and compute replace upstream data? Vision Transformers from scratch on 3,312 images of pets.

    augreg run augreg-scratch-pet37

2,208 upstream points, no transfers: 1,920 of B/32 (5 budgets x 4 learning rates x 4 decays x 3 regularisations x 8 levels) and
288 of B/16 (3 x 2 x 2 x 3 x 8). About 160,000 TPU-v4 core-hours, most of it for 300,000 epochs. Expect what figure 2 shows: no
budget comes near a transferred checkpoint. Source: "How to train your ViT?", figure 2 and the table of appendix A; its 8
levels are given as numbers only, two of them (`scratch1`, `scratch2`) stand nowhere else.
"""

from sweeps.recipes import SCRATCH_EPOCHS, scratch
from sweeps.space import Sweep

SWEEP = Sweep(
    name="augreg-scratch-pet37",
    about=__doc__,
    upstream=(
        scratch("B/32", "oxford_iiit_pet", SCRATCH_EPOCHS["oxford_iiit_pet"]),
        scratch("B/16", "oxford_iiit_pet", (1e3, 3e3, 1e4), (3e-4, 1e-3), (3e-5, 1e-4)),
    ),
    figures=("augreg-fig2",),
)
