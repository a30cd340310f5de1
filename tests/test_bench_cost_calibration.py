"""The published times that plans rest on, and what the closed form makes of them."""

import csv
from pathlib import Path

import pytest

from bench.cost import devices
from bench.cost.calibration import CALIBRATIONS, UNKNOWN, calibrate, calibration, implied, left_out
from bench.cost.devices import DEVICES
from bench.cost.flops import PASSES, Work, forward
from bench.errors import UserError
from bench.points import Upstream
from bench.select.published_scaling import nfnet_steps
from sweeps.predict import Predictor

PUBLISHED = Path(__file__).parents[1] / "results" / "published"
V4 = DEVICES["tpu-v4"]
# "ConvNets match Vision Transformers at scale": six models, six budgets, about 4 B images of 30,000 classes at 224 px.
EXAMPLES, CLASSES = 4e9, 30_000


def rows(name):
    with (PUBLISHED / name).open() as file:
        return list(csv.DictReader(file))


SCALING = [(r["model"], float(r["epochs"]), 1e3 * float(r["tpu_v4_core_khours"])) for r in rows("nfnet_scaling.csv")]


def work(model, epochs, resolution=224):
    return forward(f"NFNet-{model}", resolution, CLASSES).times(PASSES * EXAMPLES * epochs)


def efficiencies():
    found = {}
    for model, epochs, hours in SCALING:
        found.setdefault(model, []).append(implied(work(model, epochs), V4, hours).efficiency)
    return found


def core_hours(model, epochs, efficiency):
    return V4.best_seconds(*work(model, epochs), "bfloat16") / efficiency / 3600 * V4.cores


def test_the_published_table_is_whole():
    assert len(SCALING) == 36
    assert {m for m, _, _ in SCALING} == {"F0", "F1", "F3", "F3+", "F7", "F7+"}
    assert {e for _, e, _ in SCALING} == {0.25, 0.5, 1, 2, 4, 8}


@pytest.mark.parametrize(("model", "epochs", "hours"), SCALING)
def test_one_constant_gives_every_nfnet_at_every_budget_within_a_quarter(model, epochs, hours):
    config = Upstream(f"NFNet-{model}", "jft4b", epochs, 0.4, "none", 0.0, 0.0, 0.0, dtype="bfloat16")
    planned = Predictor(V4).seconds(config)
    found = planned.middle / 3600 * V4.cores
    assert abs(found / hours - 1) < 0.25
    # The range that the plan states is honest: the published time is in it.
    assert planned.low <= hours * 3600 / V4.cores <= planned.high


@pytest.mark.parametrize(("model", "epochs", "hours"), SCALING)
def test_a_model_left_out_of_the_calibration_is_within_a_quarter_still(model, epochs, hours):
    assert abs(core_hours(model, epochs, left_out(efficiencies())[model]) / hours - 1) < 0.25


def test_the_largest_run_of_the_paper_lands_where_its_text_says():
    # 110k TPU-v4 core-hours: section 2.
    assert core_hours("F7+", 8, CALIBRATIONS["nfnet", "tpu-v4"].efficiency) == pytest.approx(110_000, rel=0.25)
    assert core_hours("F7+", 8, left_out(efficiencies())["F7+"]) == pytest.approx(110_000, rel=0.25)


def test_what_moves_through_memory_explains_what_flops_alone_do_not():
    # FLOPs alone leave F7+ 24% off when it is left out, a hair within the bound; memory traffic brings all within 16%.
    by_flops = {}
    for model, epochs, hours in SCALING:
        by_flops.setdefault(model, []).append(implied(work(model, epochs), V4, hours).utilisation)
    worst = {name: calibrate(found, "").spread for name, found in (("flops", by_flops), ("both", efficiencies()))}
    assert worst["both"] < 1.16 < 1.2 < worst["flops"]


def test_the_constants_are_those_that_the_tables_give():
    def step_times(device):
        steps = nfnet_steps().query("device == @device")
        return {
            model: [implied(forward(model, side, 1000).times(PASSES * 32), DEVICES[device], seconds / 3600).efficiency]
            for model, side, seconds in steps[["model", "resolution", "seconds"]].itertuples(index=False)
        }

    tables = {
        ("nfnet", "tpu-v4"): efficiencies(),
        ("nfnet", "tpu-v3"): step_times("tpu-v3"),
        ("nfnet", "v100"): step_times("v100"),
    }
    assert set(tables) == set(CALIBRATIONS)
    for key, found in tables.items():
        made = calibrate(found, "")
        assert CALIBRATIONS[key].efficiency == pytest.approx(made.efficiency, abs=6e-4)
        # Rounded up, so that the range covers what it was made of.
        assert made.spread <= CALIBRATIONS[key].spread < made.spread + 0.02
    every = [value for found in tables.values() for values in found.values() for value in values]
    assert UNKNOWN.efficiency / UNKNOWN.spread <= min(every)
    assert UNKNOWN.efficiency * UNKNOWN.spread >= max(every)
    assert UNKNOWN.efficiency == pytest.approx((min(every) * max(every)) ** 0.5, rel=0.02)
    assert calibration("B/16", V4) is UNKNOWN


@pytest.mark.parametrize(
    ("model", "hours", "images"), [("g/14", 120_000, 16e9), ("G/14", 280_000, 16e9), ("SoViT-400m/14", 130_000, 40e9)]
)
def test_published_hours_of_vits_imply_a_utilisation_for_a_schedule(model, hours, images):
    published = {f"{r['model']}": r["tpu_v4_core_khours"] for r in rows("scale_reference_points.csv")}
    name = model if model.startswith("So") else f"ViT-{model}"
    assert float(published[name]) * 1e3 == hours
    found = implied(forward(model, 224, CLASSES).times(PASSES * images), V4, hours)
    # By hand: 6 FLOPs a multiply-add, 137.5 TFLOP/s a core.
    by_hand = 3 * images * forward(model, 224, CLASSES).flops / (hours * 3600 * 137.5e12)
    assert found.utilisation == pytest.approx(by_hand, rel=1e-12)
    assert 0 < found.utilisation < found.efficiency
    # Twice the images in the same time: twice as well used.
    again = implied(forward(model, 224, CLASSES).times(PASSES * 2 * images), V4, hours)
    assert again.utilisation == pytest.approx(2 * found.utilisation, rel=1e-12)


def test_the_best_time_is_computing_and_then_moving():
    device = devices.Device("x", 100.0, 50.0, 1, 0.0, 10.0, 0.0, "", "")
    assert device.best_seconds(200.0, 30.0, "bfloat16") == 200 / 100 + 2 * 30 / 10
    assert device.best_seconds(200.0, 30.0, "float32") == 200 / 50 + 4 * 30 / 10


@pytest.mark.parametrize(
    ("name", "peak", "cores", "bandwidth"),
    [
        ("tpu-v3", 123e12, 2, 900e9),
        ("tpu-v4", 275e12, 2, 1200e9),
        ("tpu-v5e", 197e12, 1, 819e9),
        ("tpu-v5p", 459e12, 2, 2765e9),
        ("tpu-v6e", 918e12, 1, 1638e9),
        ("a100", 312e12, 1, 1555e9),
        ("h100", 989e12, 1, 3350e9),
    ],
)
def test_devices_are_what_their_data_sheets_say(name, peak, cores, bandwidth):
    device = DEVICES[name]
    assert (device.peak, device.cores, device.bandwidth) == (peak, cores, bandwidth)
    assert device.price > 0
    assert device.facts
    assert any(year in device.priced for year in ("2023", "2024", "2025", "2026"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("TPU v4", "tpu-v4"),
        ("TPU v5 lite", "tpu-v5e"),
        ("TPU v5", "tpu-v5p"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("cpu", "cpu-core"),
    ],
)
def test_a_device_is_known_by_what_jax_calls_it(kind, name):
    assert devices.of_kind(kind) is DEVICES[name]


def test_an_unknown_device_is_refused_with_the_nearest_name():
    assert devices.of_kind("Radeon") is None
    with pytest.raises(UserError, match=r"no device 'tpu-v44'; did you mean 'tpu-v4'\? valid: cpu-core, .*h200"):
        devices.find("tpu-v44")


def test_work_adds_up():
    assert Work(1, 2).times(3).plus(Work(1, 1)) == (4, 7)
