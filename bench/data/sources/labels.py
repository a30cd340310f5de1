"""Labels that a task derives from other features than a data set's own label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Objects of the emptiest CLEVR image (task_adaptation, data/clevr.py, like the rest of CLEVR).
_FEWEST = 3
# The unit of CLEVR's third pixel coordinate, the distance from the camera; a class begins beyond each.
_FARTHER = (0.0, 8.0, 8.5, 9.0, 9.5, 10.0, 100.0)
# Classes that dSprites' positions and orientations are put into, and how many values either has (data/dsprites.py).
_BINS, _POSITIONS, _ORIENTATIONS = 16, 32, 40
# TFDS's numbers of KITTI's types: Car, Van and Truck come first.
_VEHICLES = 3
# Metres along the camera's axis; a class begins beyond each (task_adaptation, data/kitti.py).
_BEYOND = (-100.0, 8.0, 20.0, 999.0)
# Stands for the distance where there is no vehicle; beyond the last of the above.
_NO_VEHICLE = 1000.0


@dataclass(frozen=True)
class Several:
    """Any number of right labels an image.

    Attributes:
      function: returns the labels of an image from its features.
      most: more than so many are an error; fewer are padded.
    """

    function: Callable[[Mapping[str, Any]], Sequence[int]]
    most: int


def closest_vehicle_distance(features: Mapping[str, Any]) -> int:
    """Returns VTAB's label of a KITTI image, 0..3: the closer the nearest car, van or truck, the lower; 3 where there is none.

    Args:
      features: `objects/type`, integers `[N]`, and `objects/location`, `float32[N, 3]` in metres; the last is the depth.
    """
    objects = features["objects"]
    depths = objects["location"][:, 2][objects["type"] < _VEHICLES]
    nearest = min([_NO_VEHICLE, *depths.tolist()])
    return int(np.searchsorted(_BEYOND, nearest, side="left")) - 1


def clevr_count(features: Mapping[str, Any]) -> int:
    """Returns VTAB's label of a CLEVR image, 0..7: its objects, of which there are 3 to 10.

    Args:
      features: `objects/pixel_coords`, `float32[N, 3]`.
    """
    return len(features["objects"]["pixel_coords"]) - _FEWEST


def clevr_distance(features: Mapping[str, Any]) -> int:
    """Returns VTAB's label of a CLEVR image, 0..5: the closer the closest object, the lower.

    Args:
      features: `objects/pixel_coords`, `float32[N, 3]`; the last is the distance from the camera.
    """
    nearest = features["objects"]["pixel_coords"][:, 2].min()
    return int(np.searchsorted(_FARTHER, nearest, side="left")) - 1


def dsprites_location(features: Mapping[str, Any]) -> int:
    """Returns VTAB's label of a dSprites image, 0..15: two neighbouring horizontal positions are a class.

    Args:
      features: `label_x_position`, 0..31.
    """
    return int(features["label_x_position"]) * _BINS // _POSITIONS


def dsprites_orientation(features: Mapping[str, Any]) -> int:
    """Returns VTAB's label of a dSprites image, 0..15; classes hold three and two of the 40 orientations in turn.

    Args:
      features: `label_orientation`, 0..39.
    """
    return int(features["label_orientation"]) * _BINS // _ORIENTATIONS


# At most 9 and on 3,163 of the 50,000 images of ImageNet-ReaL none (google-research/reassessed-imagenet, real.json).
real_labels = Several(lambda features: features["real_label"].tolist(), most=9)
