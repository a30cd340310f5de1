"""`augreg-i21k-30ep` in miniature: as many steps as `augreg-i1k-mini`, over all digits.

    augreg run augreg-i21k-30ep-mini

16 upstream points (2 models x 2 levels x 2 regularisations x 2 weight decays) and 10 transfers of each (2 tasks; learning
rates and steps by task; 1 or 2 resolutions), 160 more. A few minutes on two cores. Expect augmentation and regularisation to
hurt.
"""

from sweeps.recipes import MINI_AXES, MINI_TRANSFERS
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="augreg-i21k-30ep-mini",
    about=__doc__,
    upstream=Grid(MINI_AXES, fixed={"dataset": "mnist5k", "fraction": 1.0, "epochs": 4.0, "lr": 0.003}),
    transfer=MINI_TRANSFERS,
    figures=("augreg-fig6-left", "augreg-fig7", "augreg-table3"),
)
