"""Speed figures: the arithmetic on a fake clock, the runner's files and refusals."""

import csv
import dataclasses
import itertools
import json
import math
import subprocess
import sys

import pytest
from rich.console import Console

from bench import cost
from bench.errors import UserError
from bench.perf import compile, figure, probe, pytorch, runner, setting, timing
from bench.select.scores import SCORES
from bench.train import gain


class Clock:
    """Time passes only when a contender works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def worker(self, *seconds):
        left = itertools.chain(seconds, itertools.repeat(seconds[-1]))

        def work():
            self.now += next(left)

        return work


def times(rounds=5, **contenders):
    clock = Clock()
    return timing.interleave({name: clock.worker(*seconds) for name, seconds in contenders.items()}, rounds, clock, 0)


def test_first_round_does_not_count():
    found = times(a=(100.0, 2.0))
    assert found.seconds["a"] == [2.0] * 5
    assert found.of("a") == timing.Spread(2.0, 2.0, 2.0)


def test_contenders_take_turns():
    seen = []
    timing.interleave({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 2, rest=0)
    assert "".join(seen) == "ababab"


def test_a_machine_that_slows_down_moves_seconds_but_no_ratio():
    found = times(a=(1.0, 1.0, 2.0, 4.0, 8.0, 16.0), b=(4.0, 4.0, 8.0, 16.0, 32.0, 64.0))
    assert found.of("a") == timing.Spread(4.0, 2.0, 8.0)
    assert found.ratio("b", "a") == timing.Spread(4.0, 4.0, 4.0)


def test_share_of_the_ceiling():
    # The product runs at 100 FLOP/s, the step at 60 / 2 = 30 FLOP/s.
    found = times(step=(2.0,), product=(0.5,))
    assert timing.share(found, "step", 60.0, "product", 50.0).median == pytest.approx(0.3)


def test_rates_and_factors_keep_low_below_high():
    spread = timing.Spread(2.0, 1.0, 4.0)
    assert spread.per(8.0) == timing.Spread(4.0, 2.0, 8.0)
    assert spread.times(3.0) == timing.Spread(6.0, 3.0, 12.0)


def test_flops_of_a_step_are_three_forward_passes_of_its_batch():
    assert setting.TI16.flops == 3 * 8 * cost.forward_flops("Ti/16", 224, setting.CLASSES)


def test_images_fill_the_shape():
    for resolution in (28, 30):
        assert gain.images(3, resolution).shape == (3, resolution, resolution, 3)


def test_grid_of_the_compile_benchmark_has_no_equal_settings():
    assert len({tuple(map(float, point)) for point in compile.GRID}) == 8


def test_command_prints_and_writes_finite_positive_figures(tmp_path):
    path = tmp_path / "new" / "figures.json"
    command = [sys.executable, "-m", "bench.perf", "--quick", "--only", "order", "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "numpy permutation" in done.stdout
    found = json.loads(path.read_text())
    assert {"jax", "platform", "device", "cores"} <= set(found["machine"])
    assert {row["benchmark"] for row in found["figures"]} == {"order"}
    for row in found["figures"]:
        assert 0 < row["low"] <= row["median"] <= row["high"] < math.inf


def test_csv_has_a_row_a_figure(tmp_path):
    figures = [
        figure.Figure("x", "a, b", "x", timing.Spread(2.0, 1.0, 3.0), "other", "2"),
        figure.Figure("x", "c", "s", figure.once(1.0)),
    ]
    runner.save(figures, tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["what"] for row in rows] == ["a, b", "c"]
    assert float(rows[0]["high"]) == 3.0
    assert rows[0]["jax"] == runner.machine()["jax"]


def test_nothing_that_is_not_a_number_is_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        runner.save([figure.Figure("x", "a", "x", figure.once(math.nan))], tmp_path / "figures.json")


def test_unknown_benchmark_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(runner, "BENCHMARKS", {"order": lambda quick: pytest.fail(f"ran, quick={quick}")})
    with pytest.raises(UserError, match="did you mean 'order'"):
        runner.run(["order", "ordr"], True, Console(quiet=True))


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.json or \.csv"):
        runner.save([], tmp_path / "figures.txt")


def fails(quick):
    """Fails."""
    raise UserError(f"not here, quick={quick}")


def test_a_benchmark_that_cannot_run_is_skipped_with_a_line(capsys):
    assert runner.run([], True, Console(), {"fails": fails}) == []
    assert "fails: skipped; not here" in capsys.readouterr().out


def test_a_benchmark_that_cannot_run_is_refused_when_it_is_named():
    with pytest.raises(UserError, match="not here"):
        runner.run(["fails"], True, Console(quiet=True), {"fails": fails})


def test_without_pytorch_its_benchmark_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match="needs torch and timm"):
        pytorch.run(True)


@pytest.fixture
def pair():
    try:
        pytorch.libraries()
    except UserError as error:
        pytest.skip(str(error))
    (found,) = pytorch.QUICK
    return dataclasses.replace(found, case=dataclasses.replace(found.case, chunk=1))


def test_pytorch_takes_steps_of_the_same_model(pair):
    run = pytorch.dispatch(pair)
    first, *later = [run() for _ in range(8)]
    assert min(later) < first


def test_another_model_is_no_comparison(pair):
    with pytest.raises(ValueError, match="parameters"):
        pytorch.dispatch(dataclasses.replace(pair, options={**pair.options, "depth": 3}))


def test_the_comparison_ends_in_a_ratio_with_a_target(pair, monkeypatch):
    monkeypatch.setattr(pytorch, "QUICK", (pair,))
    *times, ratio = pytorch.run(True)
    assert [found.unit for found in times] == ["ms/step", "ms/step"]
    assert ratio.what == "ViT-mu, 28 px, batch 64, 1 device(s)"
    assert (ratio.unit, ratio.target) == ("x", "1 or less")
    assert ratio.value.median > 0


@pytest.mark.parametrize("resolution", [28, 40])
def test_a_probed_task_is_real_digits_that_fill_the_picture(resolution):
    train, val, test = probe.task(resolution)
    assert [split.images.shape for split in (train, val, test)] == [(n, resolution, resolution, 3) for n in (800, 200, 200)]
    assert set(train.labels) == set(range(setting.CLASSES))


def test_a_probe_gives_all_scores_beside_the_bare_passes_of_the_same_images(monkeypatch):
    monkeypatch.setattr(probe, "SIZES", (130, 40, 30))
    monkeypatch.setattr(probe, "SOURCE_CLASSES", 7)
    bare, whole = probe.contenders(setting.VIT_MU)
    assert [features.shape for features in bare()] == [(128, 48)] * 2
    assert {each.score for each in whole()} == set(SCORES)
