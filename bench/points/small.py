"""Small tasks of real images in every group of VTAB, cut as VTAB-1k is: 800 images to learn from, 200 to select by.

They are no tasks of VTAB. Each lies on disk as `NAME.npz` (see `bench.data.disk`), cut with a fixed seed from what a public
repository holds (`bench.points.files.ORIGINS` names it): they fit a laptop, and show real differences between checkpoints.
"""

from __future__ import annotations

from bench.points.files import Files
from bench.points.task import Task


def _task(name: str, group: str, classes: int, test: int) -> Task:
    return Task(name, group, classes, 800, 200, test, files=Files(f"{name}:1", "train", "val", "test"))


SMALL = (
    _task("cifar10_1k", "natural", 10, 1_000),
    _task("gtsrb", "natural", 43, 1_000),
    _task("clothing10", "natural", 10, 1_000),
    _task("rsscn7", "specialized", 7, 1_000),
    _task("neu_surface", "specialized", 6, 800),
    # The pose of 20 objects in steps of 20 degrees, as smallNORB's azimuth.
    _task("coil20_azimuth", "structured", 18, 440),
    # How large a sign was before all were scaled to one size, in five classes, as KITTI's distance.
    _task("gtsrb_dist", "structured", 5, 1_000),
)
