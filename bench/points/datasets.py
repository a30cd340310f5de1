"""Upstream sets as data: sizes, classes and the recipe that a name takes for granted.

A run's name says only what differs from the recipe of its upstream set, so the released names (which say nothing of batch
size or warm-up) and the names of small sets are equally short. Sources: "How to train your ViT?", sections 3.1 and 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass


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


UPSTREAM: dict[str, UpstreamSet] = {
    s.name: s
    for s in (
        UpstreamSet("mnist5k", 4000, 500, 500, 10, 28, 64, 40, loss="softmax", agc=0.16, crop=False),
        UpstreamSet("i1k", 1_268_355, 12_812, 50_000, 1000, 224, 4096, 10_000, head_bias=-6.9),
        UpstreamSet("i21k", None, 102_400, None, 21_843, 224, 4096, 10_000, head_bias=-10.0),
    )
}

# Small sets that Python packages carry: they show that the way works, and no finding may rest on them.
EMBEDDED_SETS = frozenset({"mnist5k"})
