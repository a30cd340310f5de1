"""`augreg-i21k-300ep` in miniature: three times the passes of `augreg-i21k-30ep-mini`.

    augreg run augreg-i21k-300ep-mini

16 upstream points (2 models x 2 levels x 2 regularisations x 2 weight decays) and 10 transfers of each (2 tasks; learning
rates and steps by task; 1 or 2 resolutions), 160 more. A few minutes on two cores. Expect above 90% validation accuracy from
the best.
"""

from sweeps.recipes import MINI_AXES, MINI_TRANSFERS
from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="augreg-i21k-300ep-mini",
    about=__doc__,
    upstream=Grid(MINI_AXES, fixed={"dataset": "mnist5k", "fraction": 1.0, "epochs": 12.0, "lr": 0.003}),
    transfer=MINI_TRANSFERS,
    figures=("augreg-fig5-left", "augreg-fig6-left", "augreg-fig7", "augreg-table3"),
)
