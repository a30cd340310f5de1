"""Upstream sets as data: sizes, classes and the recipe that a name takes for granted.

A run's name says only what differs from the recipe of its upstream set, so the released names (which say nothing of batch
size or warm-up) and the names of small sets are equally short. Sources: "How to train your ViT?", sections 3.1 and 3.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.points.files import IMAGENET, IMAGENET_CUT, Files


@dataclass(frozen=True)
class UpstreamSet:
    """Facts and default recipe of an upstream set.

    Attributes:
      name: spelling in file names and in the column `ds`.
      train, val, test: number of examples of each split; None where it was never published.
      classes: number of classes.
      resolution: pixels, training and evaluation.
      batch_size, warmup_steps: default recipe.
      loss: `sigmoid` or `softmax` cross-entropy.
      head_bias: initial bias of the classifier.
      agc: ratio of adaptive gradient clipping; the NFNet paper has 0.01 for batches of 4,096 and finds more right for smaller
        ones, up to 0.16 (section 4.1).
      crop: whether training images are Inception-cropped and flipped; digits keep their size and their hand.
      files: where the images come from; None for embedded sets, and for proprietary ones, which nobody outside can read.
      side: height and width of images that are all of one size and kept in memory; 0 where every image is decoded anew.
      contains: tasks whose validation images it trains on, so that their validation accuracy says too much.
    """

    name: str
    train: int | None
    val: int | None
    test: int | None
    classes: int
    resolution: int
    batch_size: int
    warmup_steps: int
    loss: str = "sigmoid"
    head_bias: float = 0.0
    agc: float = 0.01
    crop: bool = True
    files: Files | None = None
    side: int = 0
    contains: tuple[str, ...] = ()

    def cropped_on_device(self, resolution: int) -> bool:
        """Returns whether training images stay in memory whole, to be cropped by the training step, not while read."""
        return self.crop and self.side == resolution


def _imagenet21k(held_out: int) -> Files:
    cuts = f"full[:{held_out}]", f"full[{held_out}:{2 * held_out}]", f"full[{2 * held_out}:]"
    return Files("imagenet21k:1", test=cuts[0], val=cuts[1], train=cuts[2])


# ImageNet-21k holds the training images of ImageNet-1k, from which minival is cut ("How to train your ViT?", section 4.5).
_IMAGENET = ("imagenet2012",)

UPSTREAM: dict[str, UpstreamSet] = {
    s.name: s
    for s in (
        UpstreamSet("mnist5k", 4000, 500, 500, 10, 28, 64, 40, loss="softmax", agc=0.16, crop=False, side=28),
        UpstreamSet(
            "i1k",
            *(1_268_355, 12_812, 50_000, 1000, 224, 4096, 10_000),
            head_bias=-6.9,
            files=Files(IMAGENET, f"train[:{IMAGENET_CUT}]", f"train[{IMAGENET_CUT}:]", "validation"),
        ),
        # The released runs validated on 102,400 images (the denominator of their scores), never said which: the cut here is the
        # public config's with four times the images.
        UpstreamSet(
            "i21k",
            *(None, 102_400, 102_400, 21_843, 224, 4096, 10_000),
            head_bias=-10.0,
            files=_imagenet21k(102_400),
            contains=_IMAGENET,
        ),
        # The cut of big_vision's public config, vit_i21k.py.
        UpstreamSet(
            "i21k_bv",
            *(None, 25_600, 25_600, 21_843, 224, 4096, 10_000),
            head_bias=-10.0,
            files=_imagenet21k(25_600),
            contains=_IMAGENET,
        ),
        # For laptops; the recipe is this project's own, the cut that of the task.
        UpstreamSet(
            "cifar100",
            *(49_000, 1_000, 10_000, 100, 32, 512, 500),
            loss="softmax",
            agc=0.04,
            files=Files("cifar100:3", "train[:49000]", "train[49000:]", "test"),
            side=32,
        ),
        # 45 images of each class of Tiny ImageNet, for comparing checkpoints on the small tasks without a GPU; the recipe is
        # our own.
        UpstreamSet(
            "tinyimagenet8k",
            *(7_000, 1_000, 1_000, 200, 32, 256, 100),
            loss="softmax",
            agc=0.08,
            files=Files("tinyimagenet8k:1", "train", "val", "test"),
            side=32,
        ),
        # Training from scratch on two of the tasks ("How to train your ViT?", figure 2 and appendix A), with the tasks' cuts;
        # batch and warm-up, which are not stated, are those of a transfer of 10,000 steps.
        UpstreamSet(
            "oxford_iiit_pet",
            *(3_312, 368, 3_669, 37, 224, 512, 500),
            files=Files("oxford_iiit_pet:4", "train[:3312]", "train[3312:]", "test"),
        ),
        UpstreamSet(
            "resisc45",
            *(18_900, 6_300, 6_300, 45, 224, 512, 500),
            files=Files("resisc45:3", "train[:18900]", "train[18900:25200]", "train[25200:]"),
        ),
        # "Revisiting Unreasonable Effectiveness of Data", section 3; "ConvNets Match Vision Transformers at Scale", section 2;
        # "Scaling vision transformers", section 2.1, of which only the rough number of classes is known.
        UpstreamSet("jft300m", None, None, None, 18_291, 224, 4096, 10_000),
        UpstreamSet("jft3b", None, None, None, 30_000, 224, 4096, 10_000),
        UpstreamSet("jft4b", None, 130_000, None, 30_000, 224, 4096, 10_000, loss="softmax"),
    )
}

# Small sets that Python packages carry: they show that the way works, and no finding may rest on them.
EMBEDDED_SETS = frozenset({"mnist5k"})
# Google's own, never released: known by name, so that published figures can be read, and never loaded.
PROPRIETARY_SETS = frozenset({"jft300m", "jft3b", "jft4b"})

_PART = re.compile(r"(.+)_(\d+(?:\.\d+)?)pct")


def part(ds: str) -> tuple[str, float]:
    """Returns what the column `ds` says was trained on: a set, and which part of it; of `mnist5k_10pct`, mnist5k and 0.1."""
    found = _PART.fullmatch(ds)
    return (found[1], float(found[2]) / 100) if found else (ds, 1.0)
