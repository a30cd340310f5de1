"""What a finished sweep leaves: the figures of the papers that it is for, and one table of several sweeps."""

import pandas as pd
import pytest
from made import accept

from bench.errors import UserError
from bench.report.gallery import FIGURES
from sweeps import archive, named
from sweeps.layout import Workdir
from sweeps.results import expected, table_of, write_results
from sweeps.show import sweep_lines

SCALING = named.find("nfnet-scaling-mini")


def workdir_of(folder, sweep, points=None, **changes):
    workdir = Workdir(folder)
    workdir.claim(sweep.name)
    for config in sweep.points if points is None else points:
        accept(workdir, config, **changes)
    return workdir


@pytest.mark.parametrize("name", named.names())
def test_sweeps_name_figures_that_there_are(name):
    sweep = named.find(name)
    assert set(sweep.figures) <= set(FIGURES)
    assert [f"figures when it is done: {', '.join(sweep.figures)}"] * bool(sweep.figures) == [
        line for line in sweep_lines(sweep) if line.startswith("figures")
    ]


def test_a_miniature_draws_what_its_sweep_draws():
    both = [(named.find(name), named.find(f"{name}-mini")) for name in named.names() if f"{name}-mini" in named.names()]
    assert len(both) == 17
    # One NFNet makes no pair of equal compute.
    assert {mini.name: {*sweep.figures} ^ {*mini.figures} for sweep, mini in both if sweep.figures != mini.figures} == {
        "nfnet-finetune-mini": {"nfnet-pairs"}
    }


def test_a_sweep_draws_its_figures_and_keeps_their_rows(tmp_path):
    workdir = workdir_of(tmp_path / "work", SCALING)
    drawn = write_results(SCALING, workdir, {})
    assert drawn.left_out == ()
    assert all((workdir.path / file).stat().st_size for file in expected(SCALING))
    best = pd.read_csv(workdir.path / "nfnet-learning-rate.csv")
    assert best["epochs"].tolist() == [1, 2, 4, 8]
    archive.pack(workdir.path, tmp_path / "kept")
    assert archive.differences(tmp_path / "kept") == []
    (tmp_path / "kept" / "nfnet-loss.csv").write_text("used\n")
    (tmp_path / "kept" / "nfnet-optimum.png").unlink()
    assert [line.split(": ")[0].rpartition("/")[2] for line in archive.differences(tmp_path / "kept")] == [
        "nfnet-loss.csv",
        "nfnet-optimum.png",
    ]


def test_what_half_a_sweep_cannot_draw_is_said_and_costs_nothing_else(tmp_path):
    workdir = workdir_of(tmp_path, SCALING, [point for point in SCALING.points if point.lr == 0.3])
    drawn = write_results(SCALING, workdir, {})
    assert drawn.left_out == (
        "nfnet-learning-rate is not drawn: no model of the table tried two learning rates with the same number of epochs",
    )
    missing = {file for file in expected(SCALING) if not (tmp_path / file).exists()}
    assert missing == {"nfnet-learning-rate.csv", "nfnet-learning-rate.png"}


def test_one_table_of_several_sweeps(augreg, tmp_path):
    sweep = named.find("smoke")
    first = workdir_of(tmp_path / "first", sweep, [*sweep.upstream_points, *sweep.transfer_points[:2]])
    second = workdir_of(tmp_path / "second", sweep, [*sweep.upstream_points, *sweep.transfer_points[2:]])
    other = workdir_of(tmp_path / "other", SCALING)
    assert augreg("table", first.path, second.path, other.path, "-o", tmp_path / "t.csv")[2].endswith("t.csv: 20 rows\n")
    assert pd.read_csv(tmp_path / "t.csv")["adapt_filename"].nunique() == 8
    whole = workdir_of(tmp_path / "whole", sweep)
    pd.testing.assert_frame_equal(table_of(first, second), table_of(whole))


def test_a_run_that_came_out_differently_is_in_no_table(tmp_path):
    sweep = named.find("smoke")
    first, second = (workdir_of(tmp_path / str(value), sweep, sweep.upstream_points[:1], value=value) for value in (0.25, 0.5))
    name = sweep.upstream_points[0].name
    with pytest.raises(
        UserError, match=f"^{name} has other results in {second.path} than in {first.path}: make a table of each"
    ):
        table_of(first, second)
