"""The seven AugReg augmentation levels, under their released names.

The paper's text and figures call two of the levels differently (its `light1` is the released `light0`, its `light2` the
released `light1`, its `heavy*` the released `strong*`). Code and file names use the released names; figures print the paper's.
Source: "How to train your ViT?", section 3.3, and the released index.csv.
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
    """

    name: str
    paper: str
    layers: int
    magnitude: int
    mixup: float


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
    )
}
