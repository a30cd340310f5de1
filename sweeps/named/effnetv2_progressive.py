"""Progressive learning with EfficientNetV2: the paper's schedule, the released code's, and none.

    augreg run effnetv2-progressive

27 upstream points (3 models x 3 schedules x 3 seeds), no transfers. About 25,000 TPU-v4 core-hours, give or take a factor
of 2. Expect 83.9%, 85.1% and 85.7% for S, M and L on ImageNet's validation set, and, without a schedule, no better
accuracy for considerably more compute (paper, section 4 and Table 7). The paper's schedule ends at 300 px (S) or 380 px and
raises dropout; the code's ends at 300 or 384 px, has constant dropout and CutMix, and its strengths differ: no-schedule runs
have the code's throughout.
"""

from sweeps.recipes import EFFNETV2, of_model
from sweeps.space import Grid, Sweep

_MODELS = ("EfficientNetV2-S", "EfficientNetV2-M", "EfficientNetV2-L")
_CODE = {
    "aug": of_model(_MODELS, ("effnetv2s", "effnetv2m", "effnetv2l")),
    "do": of_model(_MODELS, (0.2, 0.3, 0.4)),
    "resolution": of_model(_MODELS, (300, 384, 384)),
}
_PAPER = {
    "progressive": "paper",
    "aug": of_model(_MODELS, ("effnetv2s_paper", "effnetv2m_paper", "effnetv2l_paper")),
    "do": of_model(_MODELS, (0.3, 0.4, 0.5)),
    "resolution": of_model(_MODELS, (300, 380, 380)),
}
_SEEDS = (0, 1, 2)

SWEEP = Sweep(
    name="effnetv2-progressive",
    about=__doc__,
    upstream=(
        Grid({"model": _MODELS, "seed": _SEEDS}, {**EFFNETV2, **_PAPER}),
        Grid({"model": _MODELS, "progressive": ("code", ""), "seed": _SEEDS}, {**EFFNETV2, **_CODE}),
    ),
    figures=("efficientnetv2-time",),
)
