"""What a sweep is: grids, their axes and conditions, points that depend on others."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.points import Transfer
from sweeps.named import find
from sweeps.space import By, Grid, Sweep, When

FIXED = {"model": "ViT-mu", "dataset": "mnist5k", "epochs": 1.0, "lr": 0.1, "wd": 0.0, "do": 0.0, "sd": 0.0}


def test_joined_axes_share_a_value_and_points_come_in_the_order_of_the_walk():
    grid = Grid({"aug": ["none", "light1"], "do=sd": [0.0, 0.1]}, {"wd": 0.3})
    assert grid.size == 4
    assert grid.points() == [
        {"aug": "none", "do": 0.0, "sd": 0.0, "wd": 0.3},
        {"aug": "light1", "do": 0.1, "sd": 0.1, "wd": 0.3},
        {"aug": "none", "do": 0.1, "sd": 0.1, "wd": 0.3},
        {"aug": "light1", "do": 0.0, "sd": 0.0, "wd": 0.3},
    ]


# Conditions


TASKS_4 = Grid(
    {"task": ["kitti", "cifar100", "resisc45"], "lr": By("task", {"kitti": [1, 2], "cifar100": [3], "resisc45": [3]})}
)


def test_values_of_an_axis_that_depend_on_another_make_as_few_factorials_as_can_be():
    assert TASKS_4.blocks == (
        (("task", ("kitti",)), ("lr", (1, 2))),
        (("task", ("cifar100", "resisc45")), ("lr", (3,))),
    )
    assert TASKS_4.size == 4
    assert sorted((p["task"], p["lr"]) for p in TASKS_4.points()) == [
        ("cifar100", 3),
        ("kitti", 1),
        ("kitti", 2),
        ("resisc45", 3),
    ]


def test_an_axis_exists_only_where_another_field_has_certain_values():
    grid = Grid({"optimizer": ["adam", "momentum"], "clip": When("optimizer", ["adam"], [0.5, 1.0]), "seed": [0, 1]})
    assert grid.size == 6
    assert sorted((p["optimizer"], p.get("clip"), p["seed"]) for p in grid.points() if p["optimizer"] == "adam") == [
        *(("adam", 0.5, 0), ("adam", 0.5, 1), ("adam", 1.0, 0), ("adam", 1.0, 1)),
    ]
    assert [p for p in grid.points() if "clip" not in p] == [
        {"optimizer": "momentum", "seed": 0},
        {"optimizer": "momentum", "seed": 1},
    ]


def test_elsewhere_a_conditional_axis_has_the_value_that_is_said_and_conditions_may_follow_one_another():
    grid = Grid(
        {
            "model": ["S/16", "B/16"],
            "aug": When("model", ["B/16"], ["none", "light1"], "none"),
            "epochs": When("aug", ["light1"], [90, 150], 90),
        }
    )
    assert sorted(tuple(p.values()) for p in grid.points()) == [
        ("B/16", "light1", 90),
        ("B/16", "light1", 150),
        ("B/16", "none", 90),
        ("S/16", "none", 90),
    ]
    assert grid.size == 4


def test_an_axis_may_depend_on_a_fixed_field_but_on_none_that_comes_later():
    assert Grid({"lr": By("task", {"kitti": [1, 2]})}, {"task": "kitti"}).size == 2
    with pytest.raises(UserError, match="axis 'lr' depends on 'task', which is neither fixed nor an axis before it"):
        _ = Grid({"lr": By("task", {"kitti": [1]}), "task": ["kitti"]}).size
    with pytest.raises(UserError, match="axis 'lr' has no value for task='kitti'"):
        _ = Grid({"task": ["kitti"], "lr": By("task", {"cifar100": [1]})}).size


NAMES = ("a", "b", "c", "d")


@st.composite
def grids(draw):
    axes = {}
    for i, name in enumerate(NAMES[: draw(st.integers(1, 4))]):
        kind = draw(st.sampled_from(["list", "by", "when"])) if i else "list"
        parent = draw(st.sampled_from(NAMES[:i])) if i else None
        values = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
        if kind == "by":
            axes[name] = By(
                parent, {k: draw(st.lists(st.integers(0, 3), min_size=1, max_size=2, unique=True)) for k in range(4)}
            )
        elif kind == "when":
            # A field that may be absent has no axis depend on it, so it has a value elsewhere.
            axes[name] = When(parent, draw(st.lists(st.integers(0, 3), unique=True)), values, draw(st.integers(0, 3)))
        else:
            axes[name] = values
    return Grid(axes)


def by_brute_force(grid):
    """Returns the points of a grid by the definition of its axes, one axis after the other."""
    points = [{}]
    for name, spec in grid.axes.items():
        after = []
        for point in points:
            if isinstance(spec, By):
                values = spec.values[point[spec.field]]
            elif isinstance(spec, When):
                values = spec.values if point[spec.field] in spec.among else [spec.otherwise]
            else:
                values = spec
            after += [{**point, name: value} for value in values]
        points = after
    return points


@given(grids())
def test_a_grid_has_the_points_of_its_definition_each_once_and_counts_them(grid):
    found = [tuple(sorted(p.items())) for p in grid.points()]
    assert sorted(found) == sorted(tuple(sorted(p.items())) for p in by_brute_force(grid))
    assert grid.size == len(found) == len(set(found))


# Dependent points


TWO = (
    Grid({"seed": [0, 1]}, {**FIXED, "aug": "none"}),
    Grid({"epochs": [2.0, 4.0]}, {**{f: v for f, v in FIXED.items() if f != "epochs"}, "aug": "light1"}),
)
OWN = {"task": "digits", "steps": 5, "resolution": 28}


def test_transfers_may_be_of_some_upstream_runs_only_and_depend_on_them():
    sweep = Sweep(
        "several",
        "",
        TWO,
        (
            Grid({"lr": [0.1, 0.2]}, OWN, of={"epochs": [1.0, 4.0]}),
            Grid({"lr": [0.3]}, {**OWN, "steps": By("upstream.aug", {"none": 6, "light1": 7})}),
        ),
    )
    found = sorted((t.upstream.aug, t.upstream.epochs, t.upstream.seed, t.lr, t.steps) for t in sweep.transfer_points)
    assert found == [
        *(("light1", 2.0, 0, 0.3, 7), ("light1", 4.0, 0, 0.1, 5), ("light1", 4.0, 0, 0.2, 5), ("light1", 4.0, 0, 0.3, 7)),
        *(("none", 1.0, 0, 0.1, 5), ("none", 1.0, 0, 0.2, 5), ("none", 1.0, 0, 0.3, 6)),
        *(("none", 1.0, 1, 0.1, 5), ("none", 1.0, 1, 0.2, 5), ("none", 1.0, 1, 0.3, 6)),
    ]
    assert sweep.size == (4, 10)
    assert {t.upstream for t in sweep.transfer_points} == set(sweep.upstream_points)
    assert [(a.kind, a.grid, a.name) for a in sweep.axes()] == [
        *(("upstream", 0, "seed"), ("upstream", 1, "epochs"), ("transfer", 0, "lr")),
    ]


@pytest.mark.parametrize("of", [{"size": [1]}, {"lr": [0.1]}])
def test_transfers_of_a_field_that_no_upstream_run_has_or_that_depends_are_refused(of):
    upstream = Grid({"seed": [0]}, {**FIXED, "aug": "none", "lr": By("model", {"ViT-mu": 0.1})})
    sweep = Sweep("wrong", "", upstream, Grid({"lr": [0.1]}, OWN, of=of))
    with pytest.raises(UserError, match=r"transfers are of \w+=.*, but '\w+' is neither an axis nor a fixed value"):
        _ = sweep.size


def test_seeds_are_an_axis_like_any_other():
    sweep = Sweep(
        "again", "", Grid({"aug": ["none", "light1"], "seed": range(3)}, FIXED), Grid({"seed": [0, 1]}, {**OWN, "lr": 0.1})
    )
    assert sweep.size == (6, 12)
    assert {(t.upstream.seed, t.seed) for t in sweep.transfer_points} == {(u, t) for u in range(3) for t in range(2)}
    assert [a.static for a in sweep.axes() if a.name == "seed"] == [False, False]


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
    counts = [sum(t.upstream == u for t in sweep.transfer_points) for u in sweep.upstream_points]
    assert counts == [2] * 4
    assert all(isinstance(t, Transfer) for t in sweep.transfer_points)


def test_a_grid_takes_no_pruner():
    with pytest.raises(UserError, match=r"sweep 'cut' is a grid and takes no pruner \('median'\)"):
        Sweep("cut", "", Grid({"aug": ["none"]}, FIXED), pruner="median")


def test_a_sweep_is_data_that_nothing_changes():
    with pytest.raises(dataclasses.FrozenInstanceError):
        find("smoke").name = "other"
