"""`augreg-scratch-resisc45-random` in miniature: random search over training from scratch on half of the digits.

    augreg run augreg-scratch-resisc45-random-mini

At most 8 upstream points. A minute or two on two cores. Expect luck to decide.
"""

from sweeps.recipes import scratch_search
from sweeps.space import Sweep

SWEEP = Sweep(
    name="augreg-scratch-resisc45-random-mini",
    about=__doc__,
    search=scratch_search(8, (2.0, 6.0), model="ViT-mu", dataset="mnist5k", fraction=0.5),
    figures=("augreg-fig2",),
)
