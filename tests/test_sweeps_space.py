"""What a sweep is: products of axes, names, and every named sweep."""

import dataclasses
import importlib

import pytest

from bench import data
from bench.errors import UserError
from bench.points import LEVELS, VARIANTS, parse
from sweeps.named import find, names
from sweeps.space import By, Grid, Sweep
from vtab import tasks

FIXED = {"model": "ViT-mu", "dataset": "mnist5k", "epochs": 1.0, "lr": 0.1, "wd": 0.0, "do": 0.0, "sd": 0.0}
# Upstream runs and transfers of every named sweep.
SIZES = {"demo": (32, 256), "smoke": (4, 8)}


def test_every_named_sweep_has_its_number_of_points_here():
    assert {n: (len(find(n).upstream_points), len(find(n).transfer_points)) for n in names()} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_a_named_sweep_says_its_command_and_its_number_of_points(name):
    sweep = find(name)
    assert sweep.name == name
    assert sweep.about == importlib.import_module(f"sweeps.named.{name.replace('-', '_')}").__doc__
    assert f"augreg run {name}\n" in sweep.about
    upstream, transfers = SIZES[name]
    assert f"{upstream} upstream points" in sweep.about
    assert f"{transfers} more" in sweep.about


@pytest.mark.parametrize("name", SIZES)
def test_all_names_of_a_named_sweep_differ_and_parse_back(name):
    points = find(name).points
    assert len({p.name for p in points}) == len({p.digest for p in points}) == sum(SIZES[name])
    for point in points:
        assert parse(point.name) == point
        assert parse(point.name).digest == point.digest


@pytest.mark.parametrize("name", SIZES)
def test_a_named_sweep_needs_nothing_that_this_version_cannot_read_or_build(name):
    sweep = find(name)
    assert {p.dataset for p in sweep.upstream_points} <= data.EMBEDDED_LOADERS.keys()
    assert {p.task for p in sweep.transfer_points} <= tasks.EMBEDDED_LOADERS.keys()
    assert all(VARIANTS[p.model].spec is not None for p in sweep.upstream_points)


def test_the_grid_of_the_demo():
    sweep = find("demo")
    assert {(p.model, p.lr) for p in sweep.upstream_points} == {("ViT-mu", 0.003), ("NFNet-mu", 0.3)}
    assert {(p.do, p.sd) for p in sweep.upstream_points} == {(0.0, 0.0), (0.1, 0.1)}
    assert {p.fraction for p in sweep.upstream_points} == {0.1, 1.0}
    assert [a for a in LEVELS if a in {p.aug for p in sweep.upstream_points}] == ["none", "light1", "medium1", "strong1"]
    transfers = [(t.task, t.lr) for t in sweep.transfer_points[:8]]
    assert transfers[:3] == [("digits", 0.03), ("digits", 0.1), ("lfw_faces", 0.03)]
    assert {t.upstream for t in sweep.transfer_points[:8]} == {sweep.upstream_points[0]}


def test_a_sweep_over_another_upstream_set_is_the_same_but_for_the_set():
    sweep, other = find("smoke"), find("smoke@cifar100")
    assert other.name == "smoke@cifar100"
    assert other.about == sweep.about
    assert {p.dataset for p in other.upstream_points} == {t.upstream.dataset for t in other.transfer_points} == {"cifar100"}
    assert [(p.aug, p.do) for p in other.upstream_points] == [(p.aug, p.do) for p in sweep.upstream_points]
    assert {p.resolution for p in other.upstream_points} == {32}
    assert len({p.name for p in other.points}) == len(sweep.points)
    assert find("smoke").name == "smoke"


def test_a_sweep_whose_sets_are_an_axis_has_that_axis_replaced():
    sweep = Sweep("two", "", Grid({"dataset": ["i1k", "i21k"], "seed": [0, 1]}, {**FIXED, "aug": "none"}))
    assert [(p.dataset, p.seed) for p in sweep.on("mnist5k").upstream_points] == [("mnist5k", 0), ("mnist5k", 1)]


def test_an_unknown_upstream_set_is_refused_with_the_one_that_was_meant():
    with pytest.raises(UserError, match=r"no upstream set 'cifar'; did you mean 'cifar100'\? valid: mnist5k, "):
        find("smoke@cifar")


def test_the_last_axis_varies_fastest_and_joined_axes_share_a_value():
    grid = Grid({"aug": ["none", "light1"], "do=sd": [0.0, 0.1]}, {"wd": 0.3})
    assert grid.size == 4
    assert grid.points() == [
        {"aug": "none", "do": 0.0, "sd": 0.0, "wd": 0.3},
        {"aug": "none", "do": 0.1, "sd": 0.1, "wd": 0.3},
        {"aug": "light1", "do": 0.0, "sd": 0.0, "wd": 0.3},
        {"aug": "light1", "do": 0.1, "sd": 0.1, "wd": 0.3},
    ]


def test_by_takes_the_value_that_belongs_to_another_field():
    grid = Grid({"model": ["S/16", "B/16"]}, {"lr": By("model", {"S/16": 1.0, "B/16": 2.0})})
    assert [(p["model"], p["lr"]) for p in grid.points()] == [("S/16", 1.0), ("B/16", 2.0)]


@pytest.mark.parametrize(("by", "value"), [(By("model", {"S/16": 1.0}), "'B/16'"), (By("size", {"S/16": 1.0}), "None")])
def test_by_without_a_value_for_a_point_is_refused(by, value):
    with pytest.raises(UserError, match=f"axis 'lr' has no value for {by.field}={value}"):
        Grid({"model": ["S/16", "B/16"]}, {"lr": by}).points()


def test_two_points_of_one_name_are_refused():
    sweep = Sweep("twice", "", Grid({"aug": ["none", "light1", "none"]}, FIXED))
    with pytest.raises(UserError, match=r"sweep 'twice' has two points of the name ViT_mu-mnist5k-1ep-lr_0\.1-aug_none-"):
        _ = sweep.points


def test_an_impossible_point_is_refused():
    sweep = Sweep("wrong", "", Grid({"aug": ["none", "heavy"]}, FIXED))
    with pytest.raises(UserError, match="field 'aug' is 'heavy'"):
        _ = sweep.points


def test_a_sweep_without_transfers_has_none():
    sweep = Sweep("alone", "", Grid({"seed": [0, 1, 2]}, {**FIXED, "aug": "none"}))
    assert sweep.transfer_points == ()
    assert [p.seed for p in sweep.points] == [0, 1, 2]


def test_upstream_comes_first_and_every_transfer_belongs_to_one():
    sweep = find("smoke")
    assert [p.kind for p in sweep.points] == ["upstream"] * 4 + ["transfer"] * 8
    assert [t.upstream.name for t in sweep.transfer_points] == [u.name for u in sweep.upstream_points for _ in range(2)]


def test_an_unknown_sweep_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"no sweep 'dem'; did you mean 'demo'\? valid: demo, smoke"):
        find("dem")


def test_a_sweep_is_data_that_nothing_changes():
    with pytest.raises(dataclasses.FrozenInstanceError):
        find("smoke").name = "other"
