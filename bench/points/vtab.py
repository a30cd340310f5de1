"""VTAB's 19 tasks as data, each as two tasks: all of its training images, `vtab_NAME`, and 1,000 of them, `vtab1k_NAME`.

Sources: google-research/task_adaptation, `data/*.py` and their tests, which state every split and its size; the versions are
those that TensorFlow Datasets still builds. Of the 1,000 images 800 are learnt from and 200 select (VTAB's `train800` and
`val200`). Cuts differ from AugReg's even where the images are the same, hence the names.
"""

from __future__ import annotations

import re

from bench.points.files import Files
from bench.points.task import Task

# VTAB-1k's numbers of images to learn from and to select by.
TRAIN, VAL = 800, 200


def _both(
    name: str,
    group: str,
    classes: int,
    sizes: tuple[int, int, int],
    tfds: str,
    cuts: tuple[str, str, str],
    label: str = "label",
) -> tuple[Task, Task]:
    """Returns a task in full and with 1,000 images; `sizes` and `cuts` are those of train, val and test in full."""
    train, val, test = cuts
    full = Task(f"vtab_{name}", group, classes, *sizes, files=Files(tfds, *cuts, label))
    files = Files(tfds, _first(train, TRAIN), _first(val, VAL), test, label)
    return full, Task(f"vtab1k_{name}", group, classes, TRAIN, VAL, sizes[2], files=files)


def _first(spec: str, n: int) -> str:
    """Returns the specification of the first `n` examples of what `spec` stands for."""
    split, start, _ = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", spec).groups()  # type: ignore[union-attr]
    return f"{split}[{start or ''}:{int(start or 0) + n}]"


_OWN = ("train", "validation", "test")


def _tail(n: int) -> tuple[str, str, str]:
    return f"train[:{n}]", f"train[{n}:]", "test"


def _single(train: int, val: int) -> tuple[str, str, str]:
    return f"train[:{train}]", f"train[{train}:{train + val}]", f"train[{train + val}:]"


_CLEVR = ((63_000, 7_000, 15_000), "clevr:3", ("train[:63000]", "train[63000:]", "validation"))
_DSPRITES = ((589_824, 73_728, 73_728), "dsprites:2", _single(589_824, 73_728))
_SMALLNORB = ((24_300, 12_150, 12_150), "smallnorb:2", ("train", "test[:12150]", "test[12150:]"))
_N, _SP, _ST = "natural", "specialized", "structured"

_PAIRS = (
    _both("caltech101", _N, 102, (2_754, 306, 6_084), "caltech101:3", _tail(2_754)),
    _both("cifar100", _N, 100, (45_000, 5_000, 10_000), "cifar100:3", _tail(45_000)),
    _both("dtd", _N, 47, (1_880, 1_880, 1_880), "dtd:3", _OWN),
    _both("flowers102", _N, 102, (1_020, 1_020, 6_149), "oxford_flowers102:2", _OWN),
    # VTAB's version 3 cannot be built any more; version 4 has the same images, 12 of them encoded anew.
    _both("pets", _N, 37, (2_944, 736, 3_669), "oxford_iiit_pet:4", _tail(2_944)),
    _both("sun397", _N, 397, (76_128, 10_875, 21_750), "sun397/tfds:4", _OWN),
    _both("svhn", _N, 10, (65_931, 7_326, 26_032), "svhn_cropped:3", _tail(65_931)),
    _both("camelyon", _SP, 2, (262_144, 32_768, 32_768), "patch_camelyon:2", _OWN),
    _both("eurosat", _SP, 10, (16_200, 5_400, 5_400), "eurosat/rgb:2", _single(16_200, 5_400)),
    _both("resisc45", _SP, 45, (18_900, 6_300, 6_300), "resisc45:3", _single(18_900, 6_300)),
    _both("retinopathy", _SP, 5, (35_126, 10_906, 42_670), "diabetic_retinopathy_detection/btgraham-300:3", _OWN),
    _both("clevr_count", _ST, 8, *_CLEVR, "clevr_count"),
    _both("clevr_distance", _ST, 6, *_CLEVR, "clevr_distance"),
    _both("dmlab", _ST, 6, (65_550, 22_628, 22_735), "dmlab:2", _OWN),
    _both("dsprites_location", _ST, 16, *_DSPRITES, "dsprites_location"),
    _both("dsprites_orientation", _ST, 16, *_DSPRITES, "dsprites_orientation"),
    _both("kitti_distance", _ST, 4, (6_347, 423, 711), "kitti:3", _OWN, "closest_vehicle_distance"),
    _both("smallnorb_azimuth", _ST, 18, *_SMALLNORB, "label_azimuth"),
    _both("smallnorb_elevation", _ST, 9, *_SMALLNORB, "label_elevation"),
)

# VTAB's order: natural, specialized, structured.
FULL = tuple(full.name for full, _ in _PAIRS)
ONE_K = tuple(small.name for _, small in _PAIRS)
VTAB = (*(full for full, _ in _PAIRS), *(small for _, small in _PAIRS))
