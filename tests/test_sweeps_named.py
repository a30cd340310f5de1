"""Every named sweep: its points, its axes, its docstring, and that a miniature can be run."""

import dataclasses
import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import data
from bench.errors import UserError
from bench.points import LEVELS, VARIANTS, Upstream, parse
from bench.points.datasets import PROPRIETARY_SETS
from sweeps import session
from sweeps.named import find, names
from sweeps.space import By, Grid, Sweep, programs
from vtab import tasks

FIXED = {"model": "ViT-mu", "dataset": "mnist5k", "epochs": 1.0, "lr": 0.1, "wd": 0.0, "do": 0.0, "sd": 0.0}
# Upstream runs and transfers of every named sweep.
SIZES = {
    "augreg-i1k": (252, 17_136),
    "augreg-i1k-mini": (16, 160),
    "augreg-i21k-300ep": (252, 17_136),
    "augreg-i21k-300ep-mini": (16, 160),
    "augreg-i21k-30ep": (252, 17_136),
    "augreg-i21k-30ep-mini": (16, 160),
    "augreg-nfnet": (336, 0),
    "augreg-nfnet-mini": (24, 0),
    "augreg-scratch-pet37": (2_208, 0),
    "augreg-scratch-pet37-mini": (32, 0),
    "augreg-scratch-resisc45": (2_544, 0),
    "augreg-scratch-resisc45-mini": (32, 0),
    "augreg-size": (378, 0),
    "augreg-size-mini": (48, 0),
    "coatnet": (14, 28),
    "coatnet-mini": (4, 8),
    "demo": (32, 256),
    "effnetv2-progressive": (27, 0),
    "effnetv2-progressive-mini": (4, 0),
    "nfnet-finetune": (30, 480),
    "nfnet-finetune-mini": (2, 32),
    "nfnet-scaling": (180, 0),
    "nfnet-scaling-mini": (12, 0),
    "selection-mini": (16, 1_344),
    "smoke": (4, 8),
    "vtab-1k": (9, 1_368),
    "vtab-1k-mini": (2, 24),
    "vtab-full": (9, 1_368),
    "vtab-full-mini": (2, 16),
}
# Of sets that lie on disk and no package carries; it is small all the same, and a miniature of nothing.
ON_DISK = "selection-mini"
SMALL = [n for n in SIZES if n.endswith("-mini") or n in ("demo", "smoke")]
LARGE = [n for n in SIZES if n not in SMALL]


# Named sweeps


def test_every_named_sweep_has_its_number_of_points_here():
    known = {n: s.size for n in names() if not (s := find(n)).search}
    assert known == SIZES
    assert SIZES["augreg-i1k"][1] + SIZES["augreg-i21k-30ep"][1] + SIZES["augreg-i21k-300ep"][1] == 51_408


def test_every_named_sweep_has_a_miniature():
    assert {n.removesuffix("-mini") for n in names() if n.endswith("-mini") and n != ON_DISK} == {*names()} - {
        *("demo", "smoke"),
        *(n for n in names() if n.endswith("-mini")),
    }


def test_counting_all_sweeps_makes_no_point(monkeypatch):
    monkeypatch.setattr(Grid, "points", None)
    monkeypatch.setattr(Upstream, "from_dict", None)
    assert {n: find(n).size for n in SIZES} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_what_is_counted_is_what_is_made_and_every_point_is_another_run(name):
    sweep = find(name)
    assert (len(sweep.upstream_points), len(sweep.transfer_points)) == SIZES[name]
    whole = sum(SIZES[name]) + len(sweep.probe_points)
    assert len({p.name for p in sweep.points}) == len(set(sweep.points)) == whole


@pytest.mark.parametrize("name", SIZES)
def test_a_named_sweep_says_its_command_and_its_number_of_points(name):
    sweep = find(name)
    assert sweep.name == name
    assert sweep.about == importlib.import_module(f"sweeps.named.{name.replace('-', '_')}").__doc__
    closed = PROPRIETARY_SETS & set(sweep.sets())
    options = " --upstream i21k" if closed else " --data FOLDER" if name == ON_DISK else ""
    assert f"    augreg run {name}{options}\n" in sweep.about
    upstream, transfers = SIZES[name]
    words = " ".join(sweep.about.split())
    assert f" {upstream:,} upstream points" in words
    assert f" {transfers:,} more" in words if transfers else "no transfers" in words


def test_vtab_1k_tunes_probes_and_trains_the_best_setting_again():
    for name, probes, again in (("vtab-1k", 171, 171), ("vtab-1k-mini", 8, 8)):
        sweep = find(name)
        assert {t.fit for t in sweep.transfer_points} == {"tune"}
        assert len(sweep.probe_points) == probes
        assert len(sweep.planned) - len(sweep.points) == again
    # A probe of hundreds of thousands of images costs more than it says.
    assert [find(name).probe for name in ("vtab-full", "vtab-full-mini")] == [False, True]


@pytest.mark.parametrize("name", SMALL)
def test_all_names_of_a_small_sweep_parse_back(name):
    for point in find(name).points:
        assert parse(point.name) == point
        assert parse(point.name).digest == point.digest


@pytest.mark.parametrize("name", LARGE)
def test_names_of_a_large_sweep_parse_back(name):
    points = find(name).points
    for point in points[:: max(1, len(points) // 50)]:
        assert parse(point.name) == point


@pytest.mark.parametrize("name", [n for n in SMALL if n != ON_DISK])
def test_a_small_sweep_needs_nothing_that_this_version_cannot_read_or_build(name):
    sweep = find(name)
    assert {p.dataset for p in sweep.upstream_points} <= data.EMBEDDED_LOADERS.keys()
    assert {p.task for p in sweep.transfer_points} <= tasks.EMBEDDED_LOADERS.keys()
    assert all(VARIANTS[p.model].spec is not None for p in sweep.upstream_points)
    sweep.check_sets()


@pytest.mark.parametrize("name", SIZES)
def test_axes_are_static_exactly_where_programs_differ(name):
    sweep = find(name)
    for kind, points in (("upstream", sweep.upstream_points), ("transfer", sweep.transfer_points)):
        if not points:
            continue
        axes = [a for a in sweep.axes() if a.kind == kind]
        static = {f for a in axes if a.static for f in a.name.split("=")}
        traced = {f for a in axes if not a.static for f in a.name.split("=")} - static
        # Runs that differ in traced axes alone share their programs.
        known = {f.name for f in dataclasses.fields(points[0])} - traced
        groups = {}
        for point in points[:: max(1, len(points) // 2_000)]:
            key = tuple(getattr(getattr(point, f), "model", getattr(point, f)) for f in sorted(known))
            groups.setdefault(key, set()).add(programs(point))
        if not _dependent(sweep, traced):
            assert {len(found) for found in groups.values()} == {1}, name
        # For every static axis there are two runs that differ in no other axis and do not share their programs.
        fields = {f for a in axes for f in a.name.split("=")}
        for axis in axes:
            if axis.static:
                rest = sorted(fields - set(axis.name.split("=")))
                alike = {}
                for point in points[:2_000]:
                    key = (*(getattr(point, f) for f in rest), getattr(point, "upstream", point).name * (kind == "transfer"))
                    alike.setdefault(key, set()).add(programs(point))
                assert max(map(len, alike.values())) > 1, axis


def _dependent(sweep, fields):
    """Returns whether something fixed depends on one of the fields, so that runs that differ in it differ in more."""
    grids = (*sweep.upstream_grids, *sweep.transfer_grids)
    return any(isinstance(v, By) and v.field in fields for g in grids for v in (*g.fixed.values(), *g.axes.values()))


VALUES = {
    "model": ["ViT-mu", "NFNet-mu"],
    "epochs": [1.0, 2.0],
    "lr": [0.1, 0.2],
    "aug": ["none", "light0", "medium1", "strong2"],
    "wd": [0.0, 0.1],
    "do": [0.0, 0.1],
    "sd": [0.0, 0.1],
    "fraction": [0.1, 1.0],
    "seed": [0, 1],
    "batch_size": [32, 64],
    "warmup_steps": [1, 2],
    "resolution": [28, 56],
    "optimizer": ["adam", "momentum"],
    "loss": ["sigmoid", "softmax"],
    "clip": [0.5, 1.0],
    "dtype": ["float32", "bfloat16"],
    "randaug": ["reference", "fixed"],
    "shards": [1, 2],
    "multiplicity": [1, 2],
    "smoothing": [0.0, 0.1],
    "ema": [0.0, 0.9],
    "accumulate": [1, 2],
    "sam": [0.0, 0.05],
    "decay": ["cosine", "linear"],
}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_an_axis_is_traced_where_changing_it_never_changes_the_programs(pick):
    chosen = pick.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4, unique=True))
    base = {**FIXED, "aug": "none"}
    rest = {f: pick.draw(st.sampled_from(VALUES[f])) for f in VALUES if f not in chosen and pick.draw(st.booleans())}
    sweep = Sweep("x", "", Grid({f: VALUES[f] for f in chosen}, {f: v for f, v in {**base, **rest}.items() if f not in chosen}))
    by_name = {a.name: a.static for a in sweep.axes()}
    assert set(by_name) == set(chosen)
    for point in sweep.upstream_points:
        for field in chosen:
            found = {programs(dataclasses.replace(point, **{field: value})) for value in VALUES[field]}
            assert (len(found) > 1) == by_name[field], field


def test_rates_of_what_is_on_anyway_and_lengths_of_a_schedule_are_traced_and_stages_are_not():
    def kind(field, values, **fixed):
        [axis] = Sweep("x", "", Grid({field: values}, {**FIXED, "aug": "none", "model": "EfficientNetV2-mu", **fixed})).axes()
        return axis.static

    assert [kind("ema", v) for v in ([0.9, 0.99], [0.0, 0.9])] == [False, True]
    assert [kind("sam", v) for v in ([0.05, 0.1], [0.0, 0.1])] == [False, True]
    assert kind("progressive", ["", "mini"])
    assert not kind("seed", [0, 1], progressive="mini")


def test_levels_that_mix_in_another_order_are_a_static_axis_and_those_of_one_paper_are_not():
    [axis] = Sweep("x", "", Grid({"aug": ["none", "medium1"]}, FIXED)).axes()
    assert (axis.name, axis.static) == ("aug", False)
    [axis] = Sweep("x", "", Grid({"aug": ["medium1", "nfnet5"]}, FIXED)).axes()
    assert axis.static


def test_the_transfers_of_augreg_are_those_of_table_4():
    points = find("augreg-i1k").transfer_points
    of_one = [t for t in points if t.upstream.name == "B_16-i1k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0"]
    small = (0.001, 0.003, 0.01, 0.03)
    grid = {
        "imagenet2012": ((0.01, 0.03), (20_000,)),
        "oxford_iiit_pet": (small, (500, 2_500)),
        "kitti": (small, (500, 2_500)),
        "cifar100": (small, (2_500, 10_000)),
        "resisc45": (small, (2_500, 10_000)),
    }
    expected = {(t, lr, n, px) for t, (rates, steps) in grid.items() for lr in rates for n in steps for px in (224, 384)}
    assert {(t.task, t.lr, t.steps, t.resolution) for t in of_one} == expected
    assert len(of_one) == len(expected) == 68
    assert {t.batch_size for t in points} == {512}


def test_the_grid_of_figure_2():
    pets, satellites = find("augreg-scratch-pet37").upstream_points, find("augreg-scratch-resisc45").upstream_points
    assert {(p.model, p.epochs) for p in pets} == {("B/32", e * 1e3) for e in (1, 3, 10, 30, 300)} | {
        ("B/16", e * 1e3) for e in (1, 3, 10)
    }
    assert {(p.level.layers, p.level.magnitude, p.level.mixup) for p in (*pets, *satellites)} == {
        *((0, 0, 0.0), (2, 10, 0.2), (2, 15, 0.2), (2, 15, 0.5)),
        *((2, 20, 0.5), (2, 20, 0.8), (4, 15, 0.5), (4, 20, 0.8)),
    }
    assert {(p.do, p.sd) for p in pets} == {(0.0, 0.0), (0.1, 0.1), (0.2, 0.2)}
    # Decay in the paper's unit, per step at the peak of the schedule.
    for model, decays in (("B/32", {1e-5, 3e-5, 1e-4, 3e-4}), ("B/16", {1e-4, 3e-4})):
        assert {float(f"{p.wd * p.lr:.1g}") for p in satellites if p.model == model} == decays


@pytest.mark.parametrize("name", ["augreg-scratch-pet37", "augreg-scratch-resisc45"])
def test_random_search_from_scratch_draws_from_the_grid(name):
    grid = {p.name for p in find(name).upstream_points}
    drawn = {p.name for p in find(f"{name}-random").search.draws(200)}
    assert drawn <= grid
    assert len(drawn) > 150


def test_nfnets_are_fine_tuned_from_the_best_rates_of_figure_3():
    rates = {(p.model, p.epochs): p.lr for p in find("nfnet-finetune").upstream_points}
    published = {
        "NFNet-F3": (1.6, 1.6, 1.6, 0.8, 0.8, 0.4),
        "NFNet-F7+": (1.6, 1.6, 1.6, 0.8, 0.4, 0.4),
    }
    budgets = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    assert {m: tuple(rates[m, e] for e in budgets) for m in published} == published
    scaled = {(p.model, p.epochs, p.lr) for p in find("nfnet-scaling").upstream_points}
    assert {(m, e, lr) for (m, e), lr in rates.items()} <= scaled


def test_every_regime_of_coatnet_has_the_transfers_of_its_own():
    points = find("coatnet").transfer_points
    found = {(t.upstream.dataset, t.batch_size, t.steps) for t in points}
    assert found == {("i1k", 512, 74_318), ("i21k", 1_024, 37_159), ("jft300m", 512, 74_318), ("jft3b", 512, 74_318)}
    four = {(p.aug, p.epochs) for p in find("coatnet").upstream_points if p.model == "CoAtNet-4" and p.dataset == "i21k"}
    assert four == {("none", 90.0), ("coatnet_jft", 90.0), ("coatnet_jft", 150.0)}
    over = find("coatnet@i21k")
    assert {t.upstream.dataset for t in over.transfer_points} == {"i1k", "i21k"}
    assert len(over.points) == 42
    assert {t.batch_size for t in over.transfer_points if t.upstream.epochs == 14.0} == {512}


# Proprietary sets


@pytest.mark.parametrize(("name", "sets"), [("nfnet-scaling", "jft4b"), ("coatnet", "jft300m and jft3b")])
def test_a_sweep_over_a_proprietary_set_is_not_run_and_says_what_to_do(name, sets, tmp_path):
    expected = f"sweep '{name}' trains on {sets}, proprietary and .*`augreg run {name} --upstream i21k`"
    with pytest.raises(UserError, match=expected):
        find(name).check_sets()
    with pytest.raises(UserError, match=expected):
        session.run_sweep(find(name), tmp_path / "x", None)
    assert not (tmp_path / "x").exists()
    find(f"{name}@i21k").check_sets()
    assert len(find(f"{name}@i21k").points) == len(find(name).points)


# The demo and the smoke test


def test_the_grid_of_the_demo():
    sweep = find("demo")
    assert {(p.model, p.lr) for p in sweep.upstream_points} == {("ViT-mu", 0.003), ("NFNet-mu", 0.3)}
    assert {(p.do, p.sd) for p in sweep.upstream_points} == {(0.0, 0.0), (0.1, 0.1)}
    assert {p.fraction for p in sweep.upstream_points} == {0.1, 1.0}
    assert [a for a in LEVELS if a in {p.aug for p in sweep.upstream_points}] == ["none", "light1", "medium1", "strong1"]
    tasks_of = {"digits", "lfw_faces", "synthetic_sprites_position", "synthetic_sprites_orientation"}
    of_one = [t for t in sweep.transfer_points if t.upstream == sweep.upstream_points[0]]
    assert sorted((t.task, t.lr) for t in of_one) == sorted((task, lr) for task in tasks_of for lr in (0.03, 0.1))


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


def test_an_unknown_sweep_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"no sweep 'dem'; did you mean 'demo'\? valid: augreg-i1k, "):
        find("dem")
