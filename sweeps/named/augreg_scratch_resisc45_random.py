"""Random search over the grid of `augreg-scratch-resisc45`: what tuning by chance finds, and at what cost.

    augreg run augreg-scratch-resisc45-random

At most 200 upstream points, drawn by chance from those of B/32 on 18,900 satellite images (a point that is drawn twice is
trained once). About a tenth of what the grid of B/32 costs. Expect the best of a few dozen draws to be near the grid's best,
as the random searches of figure 2 do, which the paper simulates over the finished grid. Source: "How to train your ViT?",
figure 2 and appendix A.
"""

from sweeps.recipes import SCRATCH_EPOCHS, scratch_search
from sweeps.space import Sweep

SWEEP = Sweep(
    name="augreg-scratch-resisc45-random",
    about=__doc__,
    search=scratch_search(200, SCRATCH_EPOCHS["resisc45"], model="B/32", dataset="resisc45"),
    figures=("augreg-fig2",),
)
