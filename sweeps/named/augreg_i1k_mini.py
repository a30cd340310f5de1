"""`augreg-i1k` in miniature: many passes over a tenth of the digits.

    augreg run augreg-i1k-mini

16 upstream points (2 models x 2 levels x 2 regularisations x 2 weight decays) and 10 transfers of each (2 tasks; learning
rates and steps by task; 1 or 2 resolutions), 160 more. A few minutes on two cores. Expect about 80% (R-mu) and 60% (ViT-mu)
validation accuracy without augmentation, which so short runs do not repay.
"""

from sweeps.recipes import MINI_AXES, MINI_TRANSFERS
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="augreg-i1k-mini",
    about=__doc__,
    upstream=Grid(MINI_AXES, fixed={"dataset": "mnist5k", "fraction": 0.1, "epochs": 40.0, "lr": 0.003}),
    transfer=MINI_TRANSFERS,
    figures=("augreg-fig6-left", "augreg-fig7", "augreg-table3"),
)
