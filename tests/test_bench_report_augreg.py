"""The figures of "How to train your ViT?": their rows against published numbers and a slow oracle, and their faces."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from released_like import released_like

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.report import upstream_best
from bench.report.augreg import FIGURES, face, fig1, fig2, fig3, fig4, fig5_left, fig5_right, fig6, fig7, table3, table5
from bench.report.catalogue import PUBLISHED
from bench.select import published
from bench.select.compare import compare

LEVELS = ("none", "light1", "light2", "medium1", "medium2", "heavy1", "heavy2")
MODELS = ["R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "R26+S/32", "B/16", "L/16", "R50+L/32"]


def frame_of(rows):
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def said(fig: Figure) -> str:
    """All text outside of the axes."""
    return "\n".join(t.get_text() for t in fig.texts)


def written(ax) -> list[str]:
    return [t.get_text() for t in ax.texts]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_from_what_it_says_and_says_from_what(name):
    facts = FIGURES[name]
    for table in (None, released_like()):
        if (table is None and PUBLISHED not in facts.uses) or (table is not None and name == "augreg-fig2"):
            with pytest.raises(UserError, match=r"^figure [25]"):
                facts.data(table)
            continue
        rows = facts.data(table)
        assert rows[face.ORIGIN].notna().all()
        fig = facts.draw(rows)
        assert ("published numbers" if table is None else "From the table") in said(fig)


@pytest.mark.parametrize("name", [n for n, f in FIGURES.items() if PUBLISHED in f.uses])
def test_no_text_of_a_figure_lies_on_another_or_outside(name):
    facts = FIGURES[name]
    fig = facts.draw(facts.data(None))
    fig.draw_without_rendering()
    box = fig.bbox
    found = [*fig.texts, *fig.legends[0].get_texts()] if fig.legends else [*fig.texts]
    for ax in fig.axes:
        low, high = sorted(ax.get_xlim())
        ticks = [t for t in ax.get_xticklabels() if low <= t.get_position()[0] <= high] if ax.axison else []
        found += [*ax.texts, ax.title, *ticks]
    boxes = [(t.get_text(), t.get_window_extent(), t.get_rotation()) for t in found if t.get_text()]
    for text, extent, _ in boxes:
        assert extent.x0 > box.x0 - 1, text
        assert extent.x1 < box.x1 + 1, text
        assert extent.y0 > box.y0 - 1, text
    level = [(text, extent) for text, extent, angle in boxes if angle == 0]
    for i, (text, one) in enumerate(level):
        for other, another in level[i + 1 :]:
            over = min(one.x1, another.x1) - max(one.x0, another.x0), min(one.y1, another.y1) - max(one.y0, another.y0)
            assert min(over) < 3, (text, other)


@pytest.mark.parametrize("name", ["augreg-fig3", "augreg-fig4", "augreg-fig7"])
def test_panels_lie_one_below_the_other(name):
    facts = FIGURES[name]
    panels = [ax for ax in facts.draw(facts.data(None)).axes if "reg" not in ax.get_label() and ax.get_title()]
    assert len(panels) == 3
    places = [ax.get_position() for ax in panels]
    assert all(above.x0 == below.x0 and above.y0 > below.y1 for above, below in itertools.pairwise(places))


@pytest.mark.parametrize("speeds", [[7000.0], [2300.0, 4500.0], [228.0, 9000.0], [3.0, 20_000.0]])
def test_an_axis_of_speeds_has_numbers_however_short(speeds):
    ax = Figure().add_subplot()
    face.log_axis(ax, min(speeds), max(speeds))
    low, high = ax.get_xlim()
    assert 1 < len(ax.get_xticks()) < 6
    assert all(low <= tick <= high for tick in ax.get_xticks())
    assert all(t.get_text() for t in ax.get_xticklabels())


def test_figure_6_left_names_its_points_and_says_what_lines_join():
    rows = fig6.data(None)
    fig = fig6.draw_left(rows)
    names = written(fig.axes[0])
    assert set(names) == set(MODELS)
    assert len(names) > 12
    assert "Lines join S/16, B/16, L/16 of one upstream set and resolution." in said(fig)
    own = rows[rows["name"].eq("B/16")].assign(name="NFNet-mu")
    fig = fig6.draw_left(own)
    assert "Lines join" not in said(fig)
    kinds = [t.get_text() for t in fig.legends[0].get_texts()]
    assert "other models" in kinds
    assert "ViT" not in kinds
    fig = fig6.draw_left(own.assign(name="ViT-mu"))
    assert "ViT" in [t.get_text() for t in fig.legends[0].get_texts()]


def test_feet_separate_thousands_and_are_wrapped():
    assert face.gaps(["a"] * 1234, 56789, "cells") == "Incomplete: 1,234 of 56,789 cells missing (a, a, a and 1,231 more)."
    fig = Figure(figsize=(4, 3))
    face.sign(fig, pd.DataFrame({face.ORIGIN: ["the table"]}), ["a word " * 30, ""])
    fig.draw_without_rendering()
    assert fig.texts[0].get_window_extent().x1 < fig.bbox.x1
    assert said(fig).startswith("From the table.\na word")


def test_figures_4_and_7_are_the_published_ones_from_the_table():
    rows = fig4.data(released_like())
    assert len(rows) == 378
    keys = ["ds", "name", "do", "aug"]
    both = rows.merge(published.fig4_cells(), on=keys, suffixes=("", "_paper"))
    assert (np.floor(100 * both["value"] + 0.5) == np.round(100 * both["value_paper"])).all()
    assert len(both) == 378
    both = rows.drop_duplicates(["ds", "name"]).merge(published.fig4_narrow(), on=["ds", "name"], suffixes=("", "_paper"))
    assert (np.round(100 * both["narrow"]) == np.round(100 * both["value_paper"])).all()
    assert len(both) == 27
    both = fig7.data(released_like()).merge(published.fig7_cells(), on=["ds", "name", "aug"], suffixes=("", "_paper"))
    assert (np.round(100 * both["value"]) == np.round(100 * both["value_paper"])).all()
    assert len(both) == 189


def test_the_heatmaps_have_the_paper_s_names_and_texts():
    for rows in (fig7.data(None), fig7.data(released_like())):
        panels = {ax.get_label(): ax for ax in fig7.draw(rows).axes}
        assert list(panels) == ["i1k", "i21k_30", "i21k"]
        assert [t.get_text() for t in panels["i1k"].get_yticklabels()] == MODELS
        assert [t.get_text() for t in panels["i21k"].get_xticklabels()] == list(LEVELS)
        assert written(panels["i1k"])[:14] == [
            *("+1", "-3", "-6", "-6", "-7", "-7", "-7"),
            *("-1", "-4", "-7", "-10", "-11", "-9", "-9"),
        ]
    left = fig4.draw(fig4.data(None)).axes[0]
    assert [t for t in written(left) if t.isdigit()][:7] == ["69", "73", "73", "72", "70", "69", "68"]


def test_incomplete_heatmaps_are_marked():
    table = released_like()
    gone = (table["ds"] == "i1k") & (table["name"] == "B/32") & (table["aug"] == "strong2") & (table["do"] > 0)
    assert gone.any()
    assert "1 of 378 cells missing (hatched)" in said(fig4.draw(fig4.data(table[~gone])))
    rows = fig7.data(table[~gone])
    assert int(rows["value"].isna().sum()) == 1
    assert "Incomplete: 1 of 189 cells missing (hatched)." in said(fig7.draw(rows))
    with pytest.raises(UserError, match="with dropout"):
        fig7.draw(fig7.data(table[table["do"] == 0]))


@pytest.mark.parametrize("v2", [False, True])
@pytest.mark.parametrize("pool", ["model", "all"])
def test_figure_5_left_is_what_comparing_pool_by_pool_gives(v2, pool):
    table = released_like(v2)
    table = table[
        (table["ds"] == "i21k") & table["name"].isin(["S/16", "L/16"]) & table["adapt_ds"].isin(["imagenet2012", "kitti"])
    ]
    slow = compare(table, strategies=["upstream_best", "adapt_all"], pool=pool)
    expected = slow[slow["strategy"] == "upstream_best"].set_index(["name", "adapt_ds"])["regret"]
    found = upstream_best.of_table(table, pool).set_index(["name", "adapt_ds"])["value"]
    for key, regret in expected.items():
        assert found[key] == pytest.approx(-regret, abs=1e-12)
    again = compare(table.assign(adapt_final_val_v2=np.nan), strategies=["upstream_best", "adapt_all"], pool=pool)
    by_minival = again[(again["strategy"] == "upstream_best") & (again["adapt_ds"] == "imagenet2012")]
    assert len(found) == len(expected) + (len(by_minival) if v2 else 0)
    if v2:
        for name, regret in zip(by_minival["name"], by_minival["regret"], strict=True):
            assert found[name, published.MINIVAL] == pytest.approx(-regret, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_the_fast_cells_of_figure_5_left_are_the_slow_ones_where_scores_tie_or_lack(seed):
    rng = np.random.default_rng(seed)
    rows = []
    for name in ("S/16", "B/16"):
        for c in range(3):
            facts = {"name": name, "ds": "i21k", "filename": f"{name}{c}", "final_val": rng.choice([0.3, 0.4, np.nan])}
            facts |= {"status": rng.choice(["ok", "ok", "diverged"]), "aug": "none", "do": 0.0, "wd": 0.1}
            for task in ("imagenet2012", "kitti"):
                for r in range(rng.integers(0, 3)):
                    adapted = {"adapt_ds": task, "adapt_filename": f"{name}{c}--{task}{r}", "adapt_final_test": rng.random()}
                    adapted |= {"adapt_status": rng.choice(["ok", "ok", "diverged"]), "adapt_resolution": 224}
                    adapted |= {"adapt_final_val": rng.choice([0.5, 0.6, np.nan], p=[0.45, 0.45, 0.1])}
                    adapted |= {"adapt_final_val_v2": rng.choice([0.5, 0.7]) if task == "imagenet2012" else None}
                    rows.append({**facts, **adapted})
    table = frame_of(rows)
    slow = compare(table, strategies=["upstream_best", "adapt_all"])
    expected = slow[slow["strategy"] == "upstream_best"]
    if expected.empty:
        with pytest.raises(UserError, match="no rows"):
            upstream_best.of_table(table)
        return
    found = upstream_best.of_table(table).set_index(["name", "adapt_ds"])["value"]
    keys = list(zip(expected["name"], expected["adapt_ds"], strict=True))
    assert found[keys].to_numpy() == pytest.approx(-expected["regret"].to_numpy(float), nan_ok=True, abs=1e-12)
    assert set(found.index) - set(keys) <= {(name, published.MINIVAL) for name in ("S/16", "B/16")}


def test_figure_5_left_compares_within_one_upstream_set():
    table = released_like()
    pd.testing.assert_frame_equal(fig5_left.data(table), fig5_left.data(table[table["ds"] == "i21k"]))
    assert "resisc45 and kitti" in said(fig5_left.draw(fig5_left.data(None)))
    assert "have no ImageNetV2 score and are chosen" in said(fig5_left.draw(fig5_left.data(table)))
    assert "minival" not in said(fig5_left.draw(fig5_left.data(released_like(v2=True))))
    with pytest.raises(UserError, match="no checkpoint of the table was transferred"):
        fig5_left.data(table.assign(adapt_ds=pd.NA, adapt_filename=pd.NA))


def test_table_3_says_that_it_has_no_choice_by_imagenetv2():
    text = "No ImageNetV2 scores, so no column"
    assert text in said(table3.draw(table3.data(released_like())))
    assert text not in said(table3.draw(table3.data(None)))


def test_figure_5_right_shows_the_hundred_best_by_each_score():
    rows = fig5_right.data(released_like(v2=True))
    assert rows.groupby(["validation", "name"]).size().to_dict() == {
        (v, n): 100 for v in ("minival", "ImageNetV2") for n in ("L/16", "S/16")
    }
    table = released_like(v2=True)
    mine = table[(table["ds"] == "i21k") & (table["name"] == "L/16") & (table["adapt_ds"] == "imagenet2012")]
    picked = rows[(rows["name"] == "L/16") & rows["best"]].set_index("validation")
    assert picked.loc["ImageNetV2", "val"] == mine["adapt_final_val_v2"].max()
    assert picked.loc["minival", "val"] == mine["adapt_final_val"].max()
    assert picked["test"].is_monotonic_increasing
    assert rows.loc[rows["validation"] == "minival", "val"].min() >= mine["adapt_final_val"].nlargest(100).min() - 0.5
    lacking = fig5_right.draw(fig5_right.data(released_like()))
    assert lacking.axes[0].get_ylabel() == "ImageNet-1k test accuracy, %"
    assert written(lacking.axes[1]) == ["the table has no\nImageNetV2 scores"]
    few = fig5_right.data(table[table["filename"].isin(mine["filename"].unique()[:3])])
    assert "Fewer than 100 runs: L/16: 12 by ImageNetV2; L/16: 12 by minival." in said(fig5_right.draw(few))
    with pytest.raises(UserError, match="no transfer to imagenet2012"):
        fig5_right.data(table[table["adapt_ds"] == "kitti"])


def test_table_3_and_figures_1_and_6_are_the_published_ones_from_the_table():
    paper, found = (table3.data(t).set_index("name") for t in (None, released_like()))
    assert list(paper.index) == list(found.index) == MODELS
    assert list(paper) == [
        *("img_per_sec_224", "i1k_upstream_224", "i1k_224", "i21k_30_224", "i21k_224"),
        *("img_per_sec_384", "i1k_384", "i21k_30_384", "i21k_384", "i21k_v2_384", "jft300m_384", "adapt_ds", face.ORIGIN),
    ]
    assert found["i21k_384"].to_numpy() == pytest.approx(paper["i21k_384"].to_numpy(), abs=6e-5)
    at = {(r.name, r.ds, r.adapt_resolution): r for r in fig6.data(None).set_index("name", drop=False).itertuples(index=False)}
    assert len(at) == 54
    assert at["L/16", "i21k", 384].value == pytest.approx(0.8559)
    assert at["L/16", "i21k", 384].speed == 50
    assert at["R+Ti/16", "i21k_30", 224].value == pytest.approx(0.6565)
    mine = fig6.data(released_like())
    known = mine[(mine["ds"] == "i21k") & (mine["adapt_resolution"] == 384)].set_index("name")["value"]
    assert known["R50+L/32"] == pytest.approx(0.85992)
    rows = fig1.data(released_like())
    assert rows.groupby("name", sort=False)["upstream"].agg(list).to_dict() == {
        n: ["1.28M", "13M", "1.28M", "13M", "300M"] for n in ("B/32", "B/16", "L/16")
    }
    best = rows[rows["augreg"] & (rows["upstream"] == "13M")].set_index("name")["value"]
    assert best.to_dict() == pytest.approx({"B/32": 0.83586, "B/16": 0.85486, "L/16": 0.85588})
    jft = rows[rows["upstream"] == "300M"]
    assert jft["value"].tolist() == pytest.approx([0.8073, 0.8415, 0.8712])
    assert jft[face.ORIGIN].str.startswith("published").all()
    assert "(300M)" in said(fig1.draw(rows))
    assert "6 of 15 points missing" in said(fig1.draw(fig1.data(None)))


def test_plain_points_of_figure_1_come_from_runs_without_augmentation_and_dropout():
    rows = fig1.data(released_like())
    plain = rows[~rows["augreg"] & (rows["upstream"] != "300M")]
    assert plain["filename"].str.contains("aug_none").all()
    assert plain["filename"].str.contains("do_0.0").all()


def test_every_mean_of_table_5_is_that_of_its_cells():
    rows = table5.data(None)
    assert rows.shape == (27, 2 + 19 + 3 + 1)
    wide = pd.read_csv(published.FOLDER / published.VTAB).set_index(["ds", "name"])
    for group in ("natural", "specialized", "structured"):
        found = 100 * rows.set_index(["ds", "name"])[f"mean_{group}"]
        assert (found - wide[f"{group}_mean"].reindex(found.index)).abs().max() < 0.09
    means = fig3.data(None).set_index(["name", "ds", "group"])
    assert means.loc[("L/16", "i21k", "natural"), "value"] == pytest.approx(
        np.mean([95.5, 94.1, 80.3, 99.6, 95.0, 83.4, 97.4]) / 100
    )
    assert means.loc[("L/16", "i21k", "natural"), "speed"] == 228
    assert set(means["tasks"]) == {7, 4, 8}


def test_tasks_that_are_not_vtab_are_not_called_so():
    rows = fig3.data(released_like())
    fig = fig3.draw(rows)
    assert "Not VTAB: the tasks that the table has, 5 of them." in said(fig)
    assert fig.axes[0].get_title() == "other tasks, natural"
    assert "other tasks" in table5.draw(table5.data(released_like())).axes[0].texts[0].get_text()


def test_a_mean_over_fewer_tasks_is_hollow_and_said():
    table = released_like()
    gone = (table["name"] == "S/32") & (table["adapt_ds"] == "cifar100") & (table["ds"] == "i1k")
    fig = fig3.draw(fig3.data(table[~gone]))
    assert "1 of 81 means (hollow) have tasks missing (S/32 i1k)" in said(fig)
    hollow = [line for line in fig.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 1
    fig.draw_without_rendering()
    ends = [t.get_window_extent() for ax in fig.axes for t in (*ax.get_xticklabels(), ax.yaxis.label)]
    assert all(0 < box.x0 < box.x1 < fig.bbox.x1 for box in ends)
    rows = table5.data(table[~gone])
    assert rows.set_index(["ds", "name"]).loc[("i1k", "S/32"), ["cifar100", "mean_natural"]].isna().all()


def scratch(**more):
    facts = {"name": "B/32", "ds": "resisc45", "wd": 0.1, "do": 0.0, "aug": "none", "status": "ok", "train_seconds": 3600.0}
    return {**facts, **more}


def transfer(filename, val, **more):
    facts = scratch(ds="i21k", filename=filename, final_val=0.4 if filename == "a" else 0.3, train_seconds=9e9)
    adapted = {"adapt_ds": "resisc45", "adapt_filename": f"{filename}--{val}", "adapt_final_val": val, "adapt_final_test": val}
    return {**facts, **adapted, "adapt_status": "ok", "adapt_train_seconds": 360.0, **more}


def test_figure_2_sets_runs_from_scratch_beside_transfers():
    runs = [scratch(filename=f"s{i}", final_val=v, final_test=v - 0.1) for i, v in enumerate((0.5, 0.6, 0.7))]
    runs.append(scratch(filename="d", status="diverged", train_seconds=7200.0))
    runs += [transfer("a", 0.9), transfer("a", 0.92), transfer("b", 0.95)]
    rows = fig2.data(frame_of(runs))
    points = rows[rows["kind"] == "run"]
    assert points.groupby("series")["value"].agg(list).to_dict() == {
        "B/32 from scratch": pytest.approx([0.0, 0.4, 0.5, 0.6]),
        "transfer, recommended": pytest.approx([0.9, 0.92]),
        "transfer, others": pytest.approx([0.95]),
    }
    assert points.groupby("series")["hours"].sum().to_dict() == pytest.approx(
        {"B/32 from scratch": 5, "transfer, recommended": 0.2, "transfer, others": 0.1}
    )
    found = rows[rows["kind"] == "search"]
    assert set(found["series"]) == {"B/32 from scratch", "transfer, recommended"}
    ends = found.groupby("series").last()
    assert ends["value"].to_dict() == pytest.approx({"B/32 from scratch": 0.6, "transfer, recommended": 0.92})
    assert "random searches" in said(fig2.draw(rows))
    above, below = fig2.draw(rows).axes
    assert (above.get_ylabel(), below.get_ylabel()) == ("test error, %", "test accuracy, %")
    assert {"50", "100"} <= {t.get_text() for t in above.get_yticklabels()}
    with pytest.raises(UserError, match="no timed run from scratch"):
        fig2.data(frame_of([row | {"final_val": None, "final_test": None} for row in (*runs[:3], *runs[4:])]))
    alone = fig2.data(frame_of(runs[:4]))
    assert "no timed transfer of a recommended checkpoint to resisc45" in said(fig2.draw(alone))
    with pytest.raises(UserError, match="no timed run from scratch"):
        fig2.data(frame_of(runs[4:]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_a_random_search_is_bounded_and_ends_with_the_best_by_validation(runs):
    frame = pd.DataFrame(runs, columns=["hours", "val", "value"])
    found = fig2.search(frame)
    assert (found["low"] <= found["value"] + 1e-12).all()
    assert (found["value"] <= found["high"] + 1e-12).all()
    assert found["hours"].iloc[-1] == pytest.approx(frame["hours"].sum())
    best = set(frame.loc[frame["val"] == frame["val"].max(), "value"])
    assert min(abs(found[c].iloc[-1] - b) for b in best for c in ("low", "high")) < 1e-12
    assert found["high"].max() <= frame["value"].max() + 1e-12


def test_the_median_of_searches_is_that_of_all_orders():
    """With a budget for exactly one of three equal runs, each is found by a third of the searches."""
    frame = pd.DataFrame({"hours": [1.0, 1.0, 1.0], "val": [0.1, 0.2, 0.3], "value": [0.2, 0.5, 0.9]})
    first = fig2.search(frame).iloc[0]
    assert (first["low"], first["value"], first["high"]) == (0.2, 0.5, 0.9)
    # With two of three, the best two of them: 0.5 in a third of the orders, 0.9 in the others.
    two = fig2.search(frame)
    two = two[two["hours"] > 2].iloc[0]
    assert (two["low"], two["value"], two["high"]) == (0.5, 0.9, 0.9)


def test_own_sweeps_are_drawn_by_the_same_code():
    rows = []
    for ds in ("mnist5k", "mnist5k_10pct"):
        for name in ("ViT-mu", "NFNet-mu"):
            for i, aug in enumerate(("none", "light1")):
                filename = f"{name}-{ds}-{aug}"
                facts = {"name": name, "ds": ds, "aug": aug, "do": 0.1 * i, "wd": 0.1, "status": "ok", "filename": filename}
                facts |= {"final_val": 0.5 + 0.1 * i, "infer_samples_per_sec": 100.0}
                for task in ("digits", "lfw_faces"):
                    adapted = {"adapt_ds": task, "adapt_filename": f"{filename}--{task}", "adapt_status": "ok"}
                    adapted |= {"adapt_final_val": 0.6, "adapt_final_test": 0.5 + 0.1 * i, "adapt_resolution": 28}
                    rows.append({**facts, **adapted})
    table = frame_of(rows)
    own = (
        "augreg-fig1",
        "augreg-fig3",
        "augreg-fig4",
        "augreg-fig5-left",
        "augreg-fig6-left",
        "augreg-table3",
        "augreg-table5",
    )
    for name in own:
        assert "From the table." in said(FIGURES[name].draw(FIGURES[name].data(table)))
    assert fig1.data(table)["adapt_ds"].eq("digits").all()
    assert fig1.data(table).set_index(["name", "upstream", "augreg"])["value"].sort_index().loc[
        ("ViT-mu", "mnist5k")
    ].to_dict() == {
        False: 0.5,
        True: 0.6,
    }
    with pytest.raises(UserError, match="figure 6 right compares"):
        fig6.draw_right(fig6.data(table))
    with pytest.raises(UserError, match="no row of the table is a transfer"):
        fig1.data(table.assign(adapt_ds=pd.NA, adapt_filename=pd.NA))
    for draw in (fig6.data, table3.data):
        with pytest.raises(UserError, match="no recommended checkpoint of the table has a scored transfer to digits"):
            draw(table.assign(adapt_final_val=np.nan))
    with pytest.raises(UserError, match="no column 'adapt_ds'"):
        fig1.data(table.drop(columns="adapt_ds"))
    with pytest.raises(UserError, match="speed"):
        fig6.draw_left(fig6.data(table.assign(infer_samples_per_sec=np.nan)))
