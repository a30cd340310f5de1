"""EfficientNetV2's architecture search in miniature: three stages of small channels, a few trials, digits.

    augreg run effnetv2-nas-mini

At most 14 upstream points, by TPE (the first ten by chance), for the reward of `effnetv2-nas` with the FLOPs of a training
step in the place of its time: steps of two workers on two cores take what the other leaves them. The first point is
EfficientNetV2-mu itself, whose reward is its accuracy. Some minutes on two cores, most of it compilation: every architecture
is a program of its own. Expect small architectures to win, with rewards up to 1.13 against 0.94: all of them learn the digits.
"""

from sweeps.search import Search, architecture
from sweeps.space import Sweep

SWEEP = Sweep(
    name="effnetv2-nas-mini",
    about=__doc__,
    search=Search(
        sampler="tpe",
        trials=14,
        axes=architecture.axes([2, 2, 2]),
        fixed={
            "model": architecture.model("mu"),
            "dataset": "mnist5k",
            "epochs": 2.0,
            "lr": 0.01,
            "aug": "none",
            "wd": 0.0,
            "do": 0.0,
            "sd": 0.0,
        },
        objective="nas-flops",
        first=(architecture.point("mu"),),
    ),
)
