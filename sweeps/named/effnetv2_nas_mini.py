"""EfficientNetV2's architecture search in miniature: small channels, few trials, digits.

    augreg run effnetv2-nas-mini

At most 12 upstream points.
"""

from functools import partial

from bench.points.variants import nas
from sweeps.search import Choice, Int, Made, Search
from sweeps.space import Sweep

_STAGES = 3
_AXES = {
    f"{field}_{stage}": axis
    for stage in range(1, _STAGES + 1)
    for field, axis in {
        "kind": Choice(["fused", "mbconv"]),
        "layers": Int(1, 3),
        "kernel": Choice(list(nas.KERNELS)),
        "expansion": Choice(list(nas.EXPANSIONS)),
    }.items()
}

SWEEP = Sweep(
    name="effnetv2-nas-mini",
    about=__doc__,
    search=Search(
        sampler="tpe",
        trials=12,
        axes=_AXES,
        fixed={
            "model": Made(partial(nas.spell, "mu"), list(_AXES)),
            "dataset": "mnist5k",
            "epochs": 4.0,
            "lr": 0.01,
            "aug": "none",
            "wd": 0.0,
            "do": 0.0,
            "sd": 0.0,
        },
        objective="nas-flops",
        first=[dict(zip(_AXES, ["fused", 1, 3, 1, "fused", 2, 3, 4, "mbconv", 2, 3, 4], strict=True))],
    ),
)
