"""Downstream tasks as data: group, classes and split sizes. How a task is loaded is `vtab.tasks`' business.

Sizes of the five AugReg tasks: "How to train your ViT?", section 3.1 and the denominators of the released scores. The small
tasks are cut from data that Python packages carry; they show that the way works, and no finding may rest on them.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("natural", "specialized", "structured")


@dataclass(frozen=True)
class Task:
    """Facts of a downstream task; `synthetic` marks images that are rendered, not photographed."""

    name: str
    group: str
    classes: int
    train: int
    val: int
    test: int
    synthetic: bool = False


TASKS: dict[str, Task] = {
    t.name: t
    for t in (
        Task("digits", "natural", 10, 800, 200, 797),
        Task("lfw_faces", "specialized", 2, 100, 40, 60),
        Task("synthetic_sprites_position", "structured", 16, 800, 200, 500, synthetic=True),
        Task("synthetic_sprites_orientation", "structured", 16, 800, 200, 500, synthetic=True),
        Task("cifar100", "natural", 100, 49_000, 1_000, 10_000),
        Task("imagenet2012", "natural", 1000, 1_268_355, 12_812, 50_000),
        Task("kitti", "structured", 4, 6_347, 423, 711),
        Task("oxford_iiit_pet", "natural", 37, 3_312, 368, 3_669),
        Task("resisc45", "specialized", 45, 18_900, 6_300, 6_300),
    )
}

# Real images that Python packages carry; rendered ones are marked `synthetic`.
EMBEDDED_TASKS = frozenset({"digits", "lfw_faces"})
