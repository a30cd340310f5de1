"""How much of a device's best a family of models reaches: one number a family and device, from published times.

The best is computing at the peak and then moving every activation at the memory's bandwidth (`Device.best_seconds`). What moves
is why wide models cost less per FLOP than narrow ones: twice the channels is four times the FLOPs, but twice the activations.
docs/decisions/0010 says how this was chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.cost.devices import Device
from bench.cost.flops import Work
from bench.points import VARIANTS


@dataclass(frozen=True)
class Calibration:
    """How fast a family runs on a device.

    Attributes:
      efficiency: best seconds / real seconds.
      spread: factor by which a prediction was wrong at most when the model was left out of the calibration.
      source: of the times.
    """

    efficiency: float
    spread: float
    source: str


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the geometric mean."""
    return math.exp(fmean(math.log(value) for value in values))


def left_out(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Returns for every model the efficiency that all others give.

    Args:
      found: efficiencies by model.
    """
    return {
        model: geometric_mean([value for other, values in found.items() if other != model for value in values])
        for model in found
    }


def calibrate(found: Mapping[str, Sequence[float]], source: str) -> Calibration:
    """Returns the calibration of a family: every measurement counts the same, and each model is left out in turn.

    Args:
      found: efficiencies by model.
      source: of the measurements.
    """
    others = left_out(found)
    spread = max(max(value / others[model], others[model] / value) for model, values in found.items() for value in values)
    return Calibration(geometric_mean([value for values in found.values() for value in values]), spread, source)


_PAPER = "High-performance large-scale image recognition without normalization, Table 3: step times of F0 to F5"

# Literal results of `calibrate` over the tables in results/published; a test makes them anew.
CALIBRATIONS: dict[tuple[str, str], Calibration] = {
    ("nfnet", "tpu-v4"): Calibration(0.526, 1.16, "ConvNets match Vision Transformers at scale, Figure 2"),
    ("nfnet", "tpu-v3"): Calibration(0.476, 1.20, _PAPER),
    ("nfnet", "v100"): Calibration(0.240, 1.64, _PAPER),
}
# Nothing is published for it: halfway between the least and the most that any published time gives, and as far as they reach.
UNKNOWN = Calibration(0.31, 2.0, "no published time; the middle and the reach of all that there are")


def calibration(model: str, device: Device) -> Calibration:
    """Returns what is known of a model's family on a device, `UNKNOWN` where nothing is."""
    return CALIBRATIONS.get((VARIANTS[model].family, device.name), UNKNOWN)


@dataclass(frozen=True)
class Implied:
    """What a stated time implies.

    Attributes:
      efficiency: share of the device's best, memory traffic included; what calibrations are made of.
      utilisation: share of the device's peak FLOP/s ("model FLOPs utilisation").
    """

    efficiency: float
    utilisation: float


def implied(work: Work, device: Device, core_hours: float, dtype: str = "bfloat16") -> Implied:
    """Returns what it means that `work` took so many core-hours of a device.

    Args:
      work: all of it, backward passes included.
      device: whose cores.
      core_hours: hours of a core; a chip has `device.cores`.
      dtype: of activations.
    """
    seconds = 3600 * core_hours / device.cores
    peak = device.peak if dtype == "bfloat16" else device.peak32
    return Implied(device.best_seconds(*work, dtype) / seconds, work.flops / peak / seconds)
