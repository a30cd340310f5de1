"""Augmentation levels: the seven of AugReg, under their released names, and the strengths of the other recipes.

The paper's text and figures call two of the levels differently (its `light1` is the released `light0`, its `light2` the
released `light1`, its `heavy*` the released `strong*`). Code and file names use the released names; figures print the paper's.
Sources: "How to train your ViT?", section 3.3, and the released index.csv; NFNet: the paper's appendix A.1 and its code
(experiment_nfnets.py); EfficientNetV2: the code's strengths of the last of four stages (`bench.points.progressive` has the
others), and those of the paper's Table 6, which has no CutMix; CoAtNet: its paper's table of hyper-parameters. All draw from
the same sixteen operations. Two levels (`scratch1`, `scratch2`) are those of the first paper's appendix A without a name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """One augmentation level.

    Attributes:
      name: released name, as in file names and in the column `aug`.
      paper: the name on the paper's figures.
      layers: RandAugment operations applied one after the other to every image; 0 switches RandAugment off.
      magnitude: RandAugment magnitude on the scale where 10 is the reference maximum (15 and 20 extrapolate).
      mixup: alpha of the Beta(alpha, alpha) that gives the Mixup coefficient of a step; 0 switches Mixup off.
      cutmix: alpha of the Beta(alpha, alpha) that gives the area of CutMix's box; with Mixup, each has half of the batch.
      mix_first: whether RandAugment comes after mixing.
      per_image: whether every image draws a coefficient and a box of its own, not one for the whole step.
    """

    name: str
    paper: str
    layers: int
    magnitude: int
    mixup: float
    cutmix: float = 0.0
    mix_first: bool = False
    per_image: bool = False


LEVELS: dict[str, Level] = {
    level.name: level
    for level in (
        Level("none", "none", 0, 0, 0.0),
        Level("light0", "light1", 2, 0, 0.0),
        Level("light1", "light2", 2, 10, 0.2),
        Level("medium1", "medium1", 2, 15, 0.2),
        Level("medium2", "medium2", 2, 15, 0.5),
        Level("strong1", "heavy1", 2, 20, 0.5),
        Level("strong2", "heavy2", 2, 20, 0.8),
        Level("scratch1", "(4, 15, 0.5)", 4, 15, 0.5),
        Level("scratch2", "(4, 20, 0.8)", 4, 20, 0.8),
        Level("nfnet5", "NFNet-F0", 4, 5, 0.2, 1.0, mix_first=True, per_image=True),
        Level("nfnet10", "NFNet-F1, F2", 4, 10, 0.2, 1.0, mix_first=True, per_image=True),
        Level("nfnet15", "NFNet-F3 to F7", 4, 15, 0.2, 1.0, mix_first=True, per_image=True),
        Level("effnetv2s", "EfficientNetV2-S", 2, 10, 0.0),
        Level("effnetv2m", "EfficientNetV2-M", 2, 15, 0.2, 0.2, per_image=True),
        Level("effnetv2l", "EfficientNetV2-L", 2, 20, 0.5, 0.5, per_image=True),
        Level("effnetv2s_paper", "EfficientNetV2-S, paper", 2, 15, 0.0),
        Level("effnetv2m_paper", "EfficientNetV2-M, paper", 2, 20, 0.2, per_image=True),
        Level("effnetv2l_paper", "EfficientNetV2-L, paper", 2, 25, 0.5, per_image=True),
        Level("coatnet", "CoAtNet, ImageNet", 2, 15, 0.8),
        Level("coatnet_jft", "CoAtNet, JFT", 2, 5, 0.0),
    )
}
