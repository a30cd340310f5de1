"""Random search over the grid of `augreg-scratch-pet37`: what tuning by chance finds, and at what cost.

    augreg run augreg-scratch-pet37-random

At most 200 upstream points, drawn by chance from those of B/32 on 3,312 images of pets (a point that is drawn twice is trained
once). About a tenth of what the grid of B/32 costs. Expect the best of a few dozen draws to be near the grid's best, as the
random searches of figure 2 do, which the paper simulates over the finished grid. Source: "How to train your ViT?", figure 2 and
appendix A.
"""

from sweeps.recipes import SCRATCH_EPOCHS, scratch_search
from sweeps.space import Sweep

SWEEP = Sweep(
    name="augreg-scratch-pet37-random",
    about=__doc__,
    search=scratch_search(200, SCRATCH_EPOCHS["oxford_iiit_pet"], model="B/32", dataset="oxford_iiit_pet"),
    figures=("augreg-fig2",),
)
