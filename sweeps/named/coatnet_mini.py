"""`coatnet` in miniature: a small CoAtNet on a tenth of the digits and on all of them, each with transfers of its own.

    augreg run coatnet-mini

4 upstream points (2 of a tenth with 2 seeds, 2 of all with and without RandAugment) and 2 transfers of each (28 and 32 px), 8
more. A few minutes on two cores, most of them compilation. Expect more data to win.
"""

from sweeps.space import Grid, Sweep

_UPSTREAM = {"model": "CoAtNet-mu", "dataset": "mnist5k", "do": 0.0, "sd": 0.1, "lr": 5e-3}
_TRANSFER = {"task": "digits", "lr": 3e-3, "wd": 1e-8, "warmup_steps": 0, "batch_size": 64, "ema": 0.9, "smoothing": 0.1}
_OWN = {**_TRANSFER, "optimizer": "adam", "decay": "constant"}
_PIXELS = {"resolution": (28, 32)}

SWEEP = Sweep(
    name="coatnet-mini",
    about=__doc__,
    upstream=(
        Grid({"seed": (0, 1)}, {**_UPSTREAM, "fraction": 0.1, "epochs": 20.0, "aug": "coatnet", "wd": 0.05, "smoothing": 0.1}),
        Grid({"aug": ("none", "coatnet_jft")}, {**_UPSTREAM, "epochs": 6.0, "wd": 0.01, "decay": "linear"}),
    ),
    transfer=(
        Grid(_PIXELS, {**_OWN, "steps": 20, "sd": 0.2, "aug": "coatnet"}, of={"epochs": (20.0,)}),
        Grid(_PIXELS, {**_OWN, "steps": 40, "sd": 0.1}, of={"epochs": (6.0,)}),
    ),
    figures=("coatnet-size",),
)
