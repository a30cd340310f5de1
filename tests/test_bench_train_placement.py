"""Several devices compute what one computes, with weights copied to each and with weights split, in every family."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.points.variants import FAMILIES
from bench.train.placement import SMALLEST, split_axis

# The first model with micro-batches, SAM and a moving average.
OPTIONS = "options"
MODELS = [family.variants[0].name for family in FAMILIES.values()]


@pytest.fixture(scope="module")
def found():
    command = [sys.executable, str(Path(__file__).with_name("multi_device.py")), *MODELS]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "4"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return dict(zip([*MODELS, OPTIONS], map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("how", ["copied", "split"])
@pytest.mark.parametrize("model", [*MODELS, OPTIONS])
def test_four_devices_train_what_one_trains(found, model, how):
    one, four = found[model], found[model][how]
    # Sums over devices round differently: a few units of the last place in each of two steps.
    assert four["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert one["loss"][0] != one["loss"][1]
    assert four["weights"] < 1e-5
    assert four["right"] == one["right"]


@pytest.mark.parametrize("model", MODELS)
def test_splitting_leaves_each_device_about_a_quarter(found, model):
    one = found[model]
    assert (one["copied"]["split"], one["copied"]["held"]) == (0, one["held"])
    assert one["split"]["split"] > 10
    assert one["split"]["held"] < 0.4 * one["held"]


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((768, 12, 64), 0),
        ((3, 3, 512, 512), 3),
        ((21_843, 1024), 1),  # the longer axis does not divide
        ((SMALLEST,), 0),
        ((SMALLEST - 8,), None),
        ((), None),
        ((10_001, 33), None),
    ],
)
def test_the_longest_axis_that_divides_is_split(shape, axis):
    assert split_axis(shape, 8) == axis
