"""Growing a sweep keeps its points; anything else is another sweep and says what changed."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from sweeps.named import find, names
from sweeps.skeleton import Change, Extension, extends, skeleton
from sweeps.space import By, Grid, Sweep, When

FIXED = {"model": "ViT-mu", "dataset": "mnist5k", "epochs": 1.0, "lr": 0.1, "wd": 0.0, "do": 0.0, "sd": 0.0}
OWN = {"task": "digits", "steps": 5, "resolution": 28}


def saved(sweep):
    """Returns a sweep's skeleton as a folder has it."""
    return json.loads(json.dumps(skeleton(sweep)))


def of(axes, fixed=None, transfer=None):
    return Sweep("grown", "", Grid(axes, {f: v for f, v in {**FIXED, **(fixed or {})}.items() if f not in axes}), transfer)


def compare(old, new):
    return extends(saved(old), saved(new))


BASE = of({"aug": ["none", "light1"]})


@pytest.mark.parametrize("name", names())
def test_a_named_sweep_extends_itself_by_nothing(name):
    assert compare(find(name), find(name)) == Extension("")


@pytest.mark.parametrize(
    ("new", "added"),
    [
        (of({"aug": ["none", "strong1", "light1"]}), "aug strong1"),
        (of({"aug": ["none", "light1"], "wd": [0.0, 0.1]}), "wd 0.1"),
        (of({"aug": ["none", "light1"], "seed": [0, 1, 2]}), "seed 1, 2"),
        (of({"seed": [0, 1], "aug": ["light1", "none", "light0"]}), "aug light0; seed 1"),
        (of({"aug": ["none", "light1"]}, {"seed": 0}), ""),
    ],
)
def test_values_added_to_an_axis_extend_a_sweep(new, added):
    assert compare(BASE, new) == Extension(added)
    assert {p.name for p in BASE.points} <= {p.name for p in new.points}


@pytest.mark.parametrize(
    ("new", "changed"),
    [
        (of({"aug": ["none"]}), "aug has no light1 any more"),
        (of({"aug": ["none", "light1"]}, {"lr": 0.2}), "lr was 0.1 and is 0.2"),
        (of({"aug": ["none", "light1"], "lr": [0.2, 0.3]}), "lr has no 0.1 any more"),
        (of({"aug": ["none", "light1"]}, {"seed": 1}), "seed was 0 and is 1"),
        (of({"aug": ["none", "light1"]}, {"lr": By("aug", {"none": 0.1, "light1": 0.2})}), "lr of light1 was 0.1 and is 0.2"),
        (of({"aug": ["none", "light1"]}, {"lr": By("aug", {"none": 0.1})}), "lr has no value for aug=light1 any more"),
        (of({"aug": ["none", "light1"], "wd": When("aug", ["light1"], [0.0, 0.1], 0.0)}), "wd depends on something else"),
        (replace(BASE, upstream=(BASE.upstream, of({"seed": [5]}, {"aug": "none"}).upstream)), "it had 1 grids of upstream"),
        (replace(BASE, transfer=Grid({"lr": [0.1]}, OWN)), "it had 0 grids of transfer runs and has 1"),
        (Sweep("grown", "", Grid({"aug": ["none", "light1"]}, {**FIXED, "do=sd": 0.0})), "do=sd is new in its upstream runs"),
    ],
)
def test_anything_else_is_another_study_and_says_so(new, changed):
    found = compare(BASE, new)
    assert isinstance(found, Change)
    assert found.changed.startswith(changed)


def test_a_field_may_come_to_depend_on_a_value_that_is_new():
    old = of({"aug": ["none", "light1"]})
    new = of({"aug": ["none", "light1", "strong1"]}, {"lr": By("aug", {"none": 0.1, "light1": 0.1, "strong1": 0.3})})
    assert compare(old, new) == Extension("aug strong1")
    assert {p.name for p in old.points} < {p.name for p in new.points}
    rates = {"none": 0.1, "light1": 0.1, "strong1": 0.3, "strong2": 0.4}
    more = of({"aug": list(rates)}, {"lr": By("aug", rates)})
    assert compare(new, more) == Extension("aug strong2")


def test_conditions_may_grow_by_new_values_only():
    axes = {"aug": ["none", "light1"], "seed": When("aug", ["light1"], [0, 1], 0)}
    wider = {"aug": ["none", "light1", "strong1"], "seed": When("aug", ["light1", "strong1"], [0, 1, 2], 0)}
    assert compare(of(axes), of(wider)) == Extension("aug strong1; seed 2")
    assert {p.name for p in of(axes).points} < {p.name for p in of(wider).points}
    other = {**axes, "seed": When("aug", ["none", "light1"], [0, 1], 0)}
    assert compare(of(axes), of(other)) == Change("seed exists for other values of aug")
    elsewhere = {**axes, "seed": When("aug", ["light1"], [0, 1], 5)}
    assert compare(of(axes), of(elsewhere)) == Change("seed was 0 elsewhere and is 5")


def test_transfers_may_be_of_more_upstream_runs_and_of_more_tasks():
    upstream = {"epochs": [1.0, 2.0], "aug": ["none"]}
    old = of(upstream, transfer=Grid({"lr": By("task", {"digits": [0.1]})}, OWN, of={"epochs": [1.0]}))
    new = of(upstream, transfer=Grid({"lr": By("task", {"digits": [0.1, 0.2]})}, OWN, of={"epochs": [1.0, 2.0]}))
    assert compare(old, new) == Extension("lr of digits 0.2; transfer runs of epochs 2.0")
    assert {p.name for p in old.points} < {p.name for p in new.points}
    assert compare(new, old) == Change("lr of digits has no 0.2 any more")
    every = of(upstream, transfer=Grid({"lr": By("task", {"digits": [0.1]})}, OWN))
    assert compare(old, every) == Change("other transfer runs are chosen by their upstream runs")


def test_another_upstream_set_is_another_study():
    assert compare(find("smoke"), find("smoke@cifar100")) == Change("dataset was mnist5k and is cifar100")


LEVELS = ["none", "light0", "light1", "strong1"]
SEEDS = [0, 1, 2]


@st.composite
def sweeps(draw):
    """Returns a small sweep whose axes, conditions and transfers vary in every way that a comparison knows."""
    some = lambda values: draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))  # noqa: E731
    axes = {"aug": some(LEVELS)}
    fixed = dict(FIXED)
    seed = draw(st.sampled_from(["none", "list", "by", "when"]))
    if seed == "list":
        axes["seed"] = some(SEEDS)
    elif seed == "by":
        axes["seed"] = By("aug", {level: some(SEEDS) for level in draw(st.permutations(LEVELS))})
    elif seed == "when":
        axes["seed"] = When("aug", some(LEVELS), some(SEEDS), draw(st.sampled_from([None, 0])))
    if draw(st.booleans()):
        fixed["wd"] = By("aug", {level: draw(st.sampled_from([0.0, 0.1])) for level in LEVELS})
    transfer = None
    if draw(st.booleans()):
        steps = draw(st.sampled_from([5, By("upstream.aug", {level: draw(st.sampled_from([5, 6])) for level in LEVELS})]))
        levels = {"aug": some(LEVELS)} if draw(st.booleans()) else {}
        transfer = Grid({"lr": some([0.1, 0.2])}, {**OWN, "steps": steps}, of=levels)
    return of(axes, fixed, transfer)


@settings(max_examples=300, deadline=None)
@given(sweeps(), sweeps())
def test_an_extension_has_every_point_of_the_old_sweep(old, new):
    try:
        before, after = ({p.name for p in each.points} for each in (old, new))
    except UserError:
        return
    found = compare(old, new)
    if isinstance(found, Extension):
        assert before <= after
        if before < after:
            assert found.added
