"""`augreg-scratch-pet37-random` in miniature: random search over training from scratch on a tenth of the digits.

    augreg run augreg-scratch-pet37-random-mini

At most 8 upstream points. A minute or two on two cores. Expect luck to decide.
"""

from sweeps.recipes import scratch_search
from sweeps.space import Sweep

SWEEP = Sweep(
    name="augreg-scratch-pet37-random-mini",
    about=__doc__,
    search=scratch_search(8, (10.0, 30.0), model="ViT-mu", dataset="mnist5k", fraction=0.1),
    figures=("augreg-fig2",),
)
