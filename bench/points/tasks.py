"""Downstream tasks as data: group, classes and split sizes. How a task is loaded is `vtab.tasks`' business.

Sizes and cuts of the five AugReg tasks: "How to train your ViT?", section 3.1, and the denominators of the released scores; of
`cifar10` and `oxford_flowers102`: big_vision's `configs/transfer.py`; `cars196`, which neither has, is cut like the latter.
VTAB cuts the same sets in other places: its tasks have names of their own (`bench.points.vtab`). The small tasks are cut from
data that Python packages carry; they show that the way works, and no finding may rest on them.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.points.files import IMAGENET, IMAGENET_CUT, Files
from bench.points.small import SMALL
from bench.points.task import GROUPS as GROUPS
from bench.points.task import Task as Task
from bench.points.vtab import VTAB


@dataclass(frozen=True)
class Extra:
    """A set of images that only evaluates.

    Attributes:
      name: also of the split under which a run records its accuracy.
      of: the task whose classes it has.
      images: number of them.
      files: where they are.
      selects: whether it validates; else it tests.
    """

    name: str
    of: str
    images: int
    files: Files
    selects: bool = False


def _cropped(name: str, group: str, classes: int, sizes: tuple[int, int, int], files: Files) -> Task:
    return Task(name, group, classes, *sizes, files=files, crop=True)


_CIFAR = ("train[:49000]", "train[49000:]", "test")

TASKS: dict[str, Task] = {
    t.name: t
    for t in (
        Task("digits", "natural", 10, 800, 200, 797),
        Task("lfw_faces", "specialized", 2, 100, 40, 60),
        Task("synthetic_sprites_position", "structured", 16, 800, 200, 500, synthetic=True),
        Task("synthetic_sprites_orientation", "structured", 16, 800, 200, 500, synthetic=True),
        # Inception crops and flips are the default of AugReg's transfers; whether one of its sets is an exception was never
        # published (big_vision's later ones crop CIFAR otherwise).
        _cropped("cars196", "natural", 196, (7_330, 814, 8_041), Files("cars196:2", "train[:7330]", "train[7330:]", "test")),
        _cropped("cifar10", "natural", 10, (49_000, 1_000, 10_000), Files("cifar10:3", *_CIFAR)),
        _cropped("cifar100", "natural", 100, (49_000, 1_000, 10_000), Files("cifar100:3", *_CIFAR)),
        _cropped(
            "imagenet2012",
            *("natural", 1000, (1_268_355, 12_812, 50_000)),
            Files(IMAGENET, f"train[:{IMAGENET_CUT}]", f"train[{IMAGENET_CUT}:]", "validation"),
        ),
        _cropped(
            "kitti",
            *("structured", 4, (6_347, 423, 711)),
            Files("kitti:3", "train", "validation", "test", "closest_vehicle_distance"),
        ),
        _cropped(
            "oxford_flowers102",
            *("natural", 102, (918, 102, 6_149)),
            Files("oxford_flowers102:2", "train[:918]", "train[918:]", "test"),
        ),
        _cropped(
            "oxford_iiit_pet",
            *("natural", 37, (3_312, 368, 3_669)),
            Files("oxford_iiit_pet:4", "train[:3312]", "train[3312:]", "test"),
        ),
        _cropped(
            "resisc45",
            *("specialized", 45, (18_900, 6_300, 6_300)),
            Files("resisc45:3", "train[:18900]", "train[18900:25200]", "train[25200:]"),
        ),
        *SMALL,
        *VTAB,
    )
}

# Real images that Python packages carry; rendered ones are marked `synthetic`.
EMBEDDED_TASKS = frozenset({"digits", "lfw_faces"})

# ImageNet's other test sets: V2 validates transfers from ImageNet-21k (section 4.5), ReaL has corrected labels.
EXTRAS: dict[str, Extra] = {
    e.name: e
    for e in (
        Extra("imagenet_v2", "imagenet2012", 10_000, Files("imagenet_v2/matched-frequency:3", test="test"), selects=True),
        Extra(
            "imagenet2012_real", "imagenet2012", 50_000, Files("imagenet2012_real:1", test="validation", label="real_labels")
        ),
    )
}
