"""CoAtNet-0 to 7 in the paper's three data regimes: ImageNet-1k, ImageNet-21k and JFT, each with its transfers to ImageNet-1k.

    augreg run coatnet --upstream i21k

14 upstream points (4 of ImageNet-1k, 5 of ImageNet-21k, 5 of JFT) and 2 transfers of each (384 and 512 px), 28 more. JFT is
proprietary: put another set in its place. By FLOPs about 960,000 TPU-v4 core-hours, nearly all of them for 6 and 7. In the
paper the JFT runs took 0.58, 0.95, 1.82, 6.6 and 20.1 thousand TPU-v3 core-days (3 to 7). Expect at 384 and 512 px:
ImageNet-1k 83.9% to 86.0%, ImageNet-21k 87.1% to 88.56%, JFT 88.5% to 90.9%. Source: CoAtNet, Tables 4, 5 and 10 to 12.
CoAtNet-4 is trained on ImageNet-21k without RandAugment, with a weak one, and with that for 150 epochs. The recipe of
CoAtNet-6 and 7 is not stated and is CoAtNet-5's here. Learning rates of transfers are constant.
"""

from sweeps.recipes import of_model
from sweeps.space import By, Grid, Sweep, When

_1K = tuple(f"CoAtNet-{n}" for n in range(4))
_21K = tuple(f"CoAtNet-{n}" for n in (2, 3, 4))
# "dagger": stride in the depthwise convolution.
_JFT = ("CoAtNet-3:dagger", "CoAtNet-4", "CoAtNet-5", "CoAtNet-6", "CoAtNet-7")
_PIXELS = {"resolution": (384, 512)}
_TRANSFER = {
    "task": "imagenet2012",
    "lr": 5e-5,
    "wd": 1e-8,
    "warmup_steps": 0,
    "optimizer": "adam",
    "decay": "constant",
    "ema": 0.9999,
    "smoothing": 0.1,
}
_RARE = {"lr": 1e-3, "wd": 0.01, "do": 0.0, "loss": "sigmoid", "smoothing": 1e-4, "decay": "linear"}


def _upstream(by: By) -> By:
    return By("upstream.model", by.values)


_SD_1K = of_model(_1K, (0.2, 0.3, 0.5, 0.7))
_SD_21K = of_model(_21K, (0.3, 0.5, 0.7))

SWEEP = Sweep(
    name="coatnet",
    about=__doc__,
    upstream=(
        Grid(
            {"model": _1K},
            {
                "dataset": "i1k",
                "epochs": 300.0,
                "lr": 1e-3,
                "aug": "coatnet",
                "wd": 0.05,
                "do": 0.0,
                "sd": _SD_1K,
                "loss": "softmax",
                "smoothing": 0.1,
            },
        ),
        Grid(
            {
                "model": _21K,
                "aug": When("model", ("CoAtNet-4",), ("none", "coatnet_jft"), "none"),
                "epochs": When("aug", ("coatnet_jft",), (90.0, 150.0), 90.0),
            },
            # 5 epochs of the 12.4 million images of which the set's authors speak.
            {**_RARE, "dataset": "i21k", "sd": _SD_21K, "warmup_steps": 15_137},
        ),
        Grid(
            {"model": _JFT},
            {
                **_RARE,
                "dataset": By("model", dict(zip(_JFT, ("jft300m", "jft300m", "jft300m", "jft3b", "jft3b"), strict=True))),
                "epochs": 14.0,
                "lr": of_model(_JFT, (1e-3, 5e-4, 5e-4, 5e-4, 5e-4)),
                "aug": "coatnet_jft",
                "sd": of_model(_JFT, (0.0, 0.1, 0.0, 0.0, 0.0)),
                "warmup_steps": 20_000,
            },
        ),
    ),
    transfer=(
        Grid(
            _PIXELS,
            {
                **_TRANSFER,
                "steps": 74_318,
                "batch_size": 512,
                # (2, 20) with Mixup 0.8 is AugReg's strongest level.
                "aug": _upstream(of_model(_1K, ("coatnet", "coatnet", "coatnet", "strong2"))),
                "sd": _upstream(_SD_1K),
            },
            of={"epochs": (300.0,)},
        ),
        Grid(
            _PIXELS,
            {
                **_TRANSFER,
                "steps": 37_159,
                "batch_size": 1_024,
                "aug": By("upstream.aug", {"none": "none", "coatnet_jft": "coatnet_jft"}),
                "sd": _upstream(_SD_21K),
            },
            of={"epochs": (90.0, 150.0)},
        ),
        Grid(
            _PIXELS,
            {
                **_TRANSFER,
                "steps": 74_318,
                "batch_size": 512,
                "aug": "coatnet_jft",
                "sd": _upstream(of_model(_JFT, (0.1, 0.3, 0.2, 0.2, 0.2))),
            },
            of={"epochs": (14.0,)},
        ),
    ),
    figures=("coatnet-size",),
)
