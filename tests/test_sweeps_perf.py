"""The simulated fleet and the coordinator's benchmark, small: that they measure what they say."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from made import record

from bench.points import Checkpoint
from bench.records.atomic import read_json
from bench.records.record import Cost
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.perf import adapt, overhead, simulate
from sweeps.perf.grid import Spent, cores, differences, figures, longer
from sweeps.perf.grid import sweep as find_grid
from sweeps.perf.simulate import Nobody, lengths, sweep_of
from sweeps.perf.world import Terms, World
from sweeps.run import Coordinator


def test_without_preemptions_a_fleet_loses_only_starts_and_the_end():
    found = simulate.simulate(80, Terms(slices=8, between=1e12))
    assert (found.points, found.preemptions, found.launches, found.lost) == (80, 0, 80, 0)
    # 80 launches of two minutes each, over 8 slices.
    assert found.restarts == pytest.approx(80 * 120 / (8 * found.hours * 3600))
    assert found.goodput == pytest.approx(80 * 3 / (8 * found.hours))  # three hours a run on average
    assert found.goodput + found.restarts + found.idle == pytest.approx(1)


def test_preemptions_cost_launches_and_steps_and_no_record(tmp_path):
    sweep = sweep_of(80)
    world = World(Terms(slices=8, between=3600.0), lengths(sweep), seed=1)
    workdir = Workdir(tmp_path)
    Coordinator(sweep, workdir, world, clock=world, study=Nobody).run(lambda _: None)
    records = list(workdir.records())
    assert sorted(r.config.name for r in records) == sorted(p.name for p in sweep.points)
    launches = sum(len(Launch.all(Launch.read(p.parent).job)) for p in workdir.jobs.glob("*/0001/launch.json"))
    assert world.preemptions > 100
    assert launches == 80 + world.preemptions
    # Of every preemption at most what was trained since the last checkpoint: 150 s on average.
    assert 0 < world.lost / world.preemptions < 300
    assert world.useful == pytest.approx(80 * 3 * 3600)


def test_the_same_seed_gives_the_same_simulation():
    one, other, another = (simulate.simulate(80, Terms(slices=8, between=3600.0), seed)[:8] for seed in (1, 1, 2))
    assert one == other
    assert one != another


def test_the_end_of_a_sweep_keeps_few_slices_waiting():
    found = simulate.simulate(800, Terms(slices=16))
    assert found.idle < 0.02
    assert found.goodput > 0.95


def test_a_study_is_prepared_as_if_its_trials_had_been_written(tmp_path):
    sweep, workdir = sweep_of(80), Workdir(tmp_path)
    overhead.prepare(workdir, sweep, sweep.points[10:])
    storage = overhead.storage_of(f"sqlite:///{tmp_path / 'study.db'}")
    trials = storage.get_all_trials(storage.get_study_id_from_name(sweep.name))
    assert [t.number for t in trials] == list(range(70))
    assert [t.user_attrs["name"] for t in trials] == [p.name for p in sweep.points[10:]]
    assert {t.state.name for t in trials} == {"COMPLETE"}
    assert len(list(workdir.records())) == 70
    storage.engine.dispose()


def test_adaptation_is_measured_over_8_checkpoints_6_tasks_and_8_settings():
    given = [Checkpoint(model, f"seed_{seed}", "0" * 16) for model in adapt.MODELS for seed in range(adapt.SEEDS)]
    points = adapt.sweep(given, quick=False).transfer_points
    assert len({p.upstream for p in points}) == 8
    assert len({p.task for p in points}) == 6
    assert len(points) == 8 * 6 * 8
    some = adapt.chosen(points)
    assert len({p.task for p in some}) == len(some) == 6
    assert [p.upstream.model for p in some] == ["ViT-mu", "NFNet-mu"] * 3
    assert len({(p.lr, p.steps) for p in some}) >= 3


def test_gratings_show_what_their_labels_say(tmp_path):
    adapt.write_gratings(tmp_path)
    for name, classes in (("gratings_angle", 8), ("gratings_period", 5)):
        with np.load(tmp_path / f"{name}.npz") as held:
            assert {key: held[key].shape for key in held if key.endswith("_x")} == {
                "train_x": (800, 28, 28, 1),
                "val_x": (200, 28, 28, 1),
                "test_x": (400, 28, 28, 1),
            }
            assert all(set(held[f"{split}_y"]) == set(range(classes)) for split in ("train", "val", "test"))
            power = np.abs(np.fft.rfft2(held["train_x"][..., 0].astype(float) - 128))
            if name == "gratings_angle":  # angle 0 waves along a row, angle 4 along a column
                down, across = (power[held["train_y"] == label] for label in (4, 0))
                assert down[:, 1:, 0].sum() > 2 * down[:, 0, 1:].sum()
                assert across[:, 0, 1:].sum() > 2 * across[:, 1:, 0].sum()


def test_what_adapting_takes_is_extrapolated_from_what_was_measured():
    seconds = {"train_seconds": 2.0, "steps": 10, "images": 640}
    points = adapt.sweep([Checkpoint("ViT-mu", "a", "0" * 16)], quick=False).transfer_points
    records, count = [replace(record(point), cost=Cost(**seconds)) for point in points], len(points)
    halves = [Spent(15.0, records[:1]), Spent(7.0, records[1:2])]
    found = figures(adapt.RIVAL, Spent((24.0 + count * 2.0) / cores(), records), halves)
    of = {figure.what: figure.value.median for figure in found}
    assert of["largest difference of validation accuracy"] == 0
    # A run: 9 s and as many seconds as it trains; all of ours: training shared by the cores, and what is left of it.
    rest = 24.0 / cores()
    for length in adapt.RIVAL.lengths:
        expected = count * (9 + length) / (rest + count * length / cores())
        assert of[f"{count} runs of {length} s"] == pytest.approx(expected)


def test_the_benchmarks_run_and_write_their_figures(tmp_path):
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "sweeps.perf", "--quick", "--only", "overhead", "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    figures = read_json(path)["figures"]
    assert [f["what"] for f in figures if f["unit"] == "ms"] == [
        "coordinator, a point of 80 points",
        "coordinator, a point of 80 points",
        "coordinator, a point of 160 points",
        "coordinator, a point of 160 points",
    ]
    assert {f["what"] for f in figures if f["against"] == "the coordinator"} == {
        f"{name}, a point of {size} points" for name in ("GridSampler", "enqueue_trial") for size in (80, 160)
    }


def test_the_grid_has_56_points_and_longer_trainings_only_train_longer():
    grid = find_grid(quick=False).upstream_points
    assert len(grid) == 56
    assert {(p.model, p.epochs) for p in grid} == {("ViT-mu", 8.0), ("NFNet-mu", 7.0)}
    assert len(find_grid(quick=True).upstream_points) == 4
    assert longer(20.0, 5.0, 6) == 45.0


def test_results_are_compared_point_by_point():
    one, two = find_grid(quick=True).upstream_points[:2]
    ours = [record(one, value=0.5), record(two, value=0.25)]
    assert differences(ours, [record(two, value=0.5), record(one, value=0.5)]) == [0.25, 0.0]
