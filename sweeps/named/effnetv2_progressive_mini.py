"""`effnetv2-progressive` in miniature: digits that grow from 14 to 28 px, against 28 px throughout.

    augreg run effnetv2-progressive-mini

4 upstream points (2 schedules x 2 seeds), no transfers. A few minutes on two cores, most of them compilation. Expect both to
reach about 90%.
"""

from sweeps.space import Grid, Sweep

SWEEP = Sweep(
    name="effnetv2-progressive-mini",
    about=__doc__,
    upstream=Grid(
        axes={"progressive": ("mini", ""), "seed": (0, 1)},
        fixed={
            "model": "EfficientNetV2-mu",
            "dataset": "mnist5k",
            "epochs": 6.0,
            "lr": 0.004,
            "wd": 1e-5,
            "do": 0.2,
            "sd": 0.2,
            "aug": "effnetv2m_paper",
            "optimizer": "rmsprop_l2",
            "smoothing": 0.1,
            "ema": 0.9,
            "decay": "exponential",
        },
    ),
    figures=("efficientnetv2-time",),
)
