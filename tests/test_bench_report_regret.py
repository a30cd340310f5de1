"""The figures of selection: what is drawn where, read back from the figures."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.report import differences, forest, regret_curves, regret_map, selection, styles, upstream_best
from bench.select.curves import curves
from bench.select.published import MINIVAL, upstream_vs_downstream

PUBLISHED = Path(__file__).parents[1] / "results" / "published"
TASKS = {
    "digits": "natural",
    "pets": "natural",
    "faces": "natural",
    "roads": "specialized",
    "depth": "structured",
    "azimuth": "structured",
}
LOST = {"upstream_best": 0.01, "knn": 0.03, "logme": -0.005, "adapt_all": 0.0}


def comparison(lost=LOST, tasks=TASKS, names=("ViT-mu",)):
    rows = []
    for name in names:
        for task, group in tasks.items():
            for strategy, regret in lost.items():
                facts = {"name": name, "adapt_ds": task, "adapt_group": group, "adapt_synthetic": False, "strategy": strategy}
                scores = {"val": 0.8 - regret, "test": 0.8 - regret, "regret": regret}
                cost = {"finetunes": 16 if strategy == "adapt_all" else 4, "adapt_filename": f"{strategy}-{task}"}
                rows.append({**facts, **scores, **cost})
    return pd.DataFrame(rows)


def texts(ax):
    return [t.get_text() for t in ax.texts]


def test_many_strategies_are_lines_of_a_forest_from_best_to_worst():
    regret, said, cost = selection.draw(comparison()).axes
    assert [t.get_text() for t in regret.get_yticklabels()] == ["logme", "adapt_all", "upstream_best", "knn"]
    assert texts(said) == [
        "-0.5 [-0.5, -0.5]",
        "0.0 [0.0, 0.0]",
        "+1.0 [+1.0, +1.0]",
        "+3.0 [+3.0, +3.0]",
        "mean [95% interval]",
    ]
    assert texts(cost) == ["24 (25%)", "96", "24 (25%)", "24 (25%)"]
    means = {line.get_ydata()[0]: line.get_xdata()[0] for line in regret.lines if line.get_marker() == "D"}
    assert means == pytest.approx({0: -0.5, 1: 0, 2: 1, 3: 3})
    marks = [line for line in regret.lines if line.get_marker() in ("o", "s", "^")]
    assert sorted(len(line.get_xdata()) for line in marks) == [1] * 4 + [2] * 4 + [3] * 4


def test_a_forest_says_what_it_leaves_out_and_that_it_looks_back():
    rows = comparison()
    rows.loc[(rows["strategy"] == "knn") & (rows["adapt_ds"] == "digits"), ["test", "regret"]] = np.nan
    fig = forest.draw(rows.assign(basis="test-on-test"))
    note = "5 pairs of model and task; test-on-test: there are no validation scores; "
    assert [t.get_text() for t in fig.texts] == [note + "1 left out, where not every strategy has a score"]
    # Five tasks are too few for an interval.
    assert texts(fig.axes[1]) == ["-0.5", "0.0", "+1.0", "+3.0", "mean"]
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["natural", "specialized", "structured", "mean"]


def test_a_strategy_without_a_score_stays_on_the_forest():
    rows = comparison()
    nothing = rows["strategy"].eq("knn")
    rows.loc[nothing, ["test", "regret"]] = np.nan
    assert texts(forest.draw(rows).axes[1])[:4] == ["no score"] * 4


def test_the_map_shows_where_strategies_lose():
    rows = comparison(names=("ViT-mu", "NFNet-mu"))
    at = rows["strategy"].eq("knn") & rows["adapt_ds"].eq("roads") & rows["name"].eq("ViT-mu")
    rows.loc[at, "regret"] = 0.05
    fig = regret_map.draw(rows)
    natural, specialized, structured, mean = fig.axes
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["natural", "specialized", "structured", ""]
    assert [t.get_text() for t in natural.get_yticklabels()] == ["logme", "upstream_best", "knn"]
    assert [t.get_text() for t in natural.get_xticklabels()] == ["digits", "faces", "pets"]
    assert texts(specialized) == ["+0.5", "-1.0", "-4.0"]
    assert [t.get_fontweight() for t in specialized.texts] == ["bold", "normal", "normal"]
    assert texts(mean) == ["+0.5", "-1.0", "-3.2"]
    assert len(texts(structured)) == 6


def test_titles_of_narrow_panels_stand_apart():
    fig = regret_map.draw(comparison())
    boxes = [ax._left_title.get_window_extent(FigureCanvasAgg(fig).get_renderer()) for ax in fig.axes[:3]]
    assert all(one.x1 < two.x0 for one, two in itertools.pairwise(boxes))


def test_a_cell_without_a_score_is_hatched():
    rows = comparison()
    rows.loc[rows["adapt_ds"].eq("roads") & rows["strategy"].eq("knn"), ["test", "regret"]] = np.nan
    specialized = regret_map.draw(rows).axes[1]
    assert texts(specialized) == []
    assert len(specialized.patches) == 3


def test_figure_5_left_is_the_published_one():
    fig = upstream_best.draw(upstream_vs_downstream(PUBLISHED))
    main, narrow = fig.axes
    assert [t.get_text() for t in main.get_yticklabels()] == [
        *("R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "R26+S/32", "B/16", "L/16", "R50+L/32"),
    ]
    assert [t.get_text() for t in main.get_xticklabels()] == [
        *("imagenet2012 (V2)", "cifar100", "oxford_iiit_pet", "resisc45", "kitti"),
    ]
    assert texts(main)[:5] == ["-0.7", "+0.4", "+0.5", "-1.5", "+0.1"]
    assert [t.get_text() for t in narrow.get_xticklabels()] == ["imagenet2012 (minival)"]
    assert texts(narrow) == ["0.0", "0.0", "+0.2", "+1.5", "+6.2", "+0.8", "+3.9", "+1.0", "+3.7"]


def test_its_cells_come_from_comparisons():
    found = upstream_best.cells(comparison(tasks={**TASKS, "imagenet2012": "natural"}))
    assert found["adapt_ds"].tolist() == ["imagenet2012", "digits", "faces", "pets", "roads", "azimuth", "depth"]
    assert found["value"].tolist() == pytest.approx([-0.01] * 7)
    by_minival = comparison({"upstream_best": -0.06, "adapt_all": 0.0}, {"imagenet2012": "natural"})
    found = upstream_best.cells(comparison(), by_minival)
    assert found.iloc[-1].tolist() == ["ViT-mu", MINIVAL, pytest.approx(0.06)]
    assert len(upstream_best.draw(upstream_best.cells(comparison())).axes) == 1
    with pytest.raises(UserError, match="no rows"):
        upstream_best.cells(comparison({"knn": 0.0, "adapt_all": 0.0}))


def test_imagenet_has_a_cell_by_each_of_its_validations():
    """B is better on test and by ImageNetV2; minival, which was seen upstream, prefers a, and upstream validation b."""
    rows = []
    for filename, final_val, minival, v2, test in (("a", 0.4, 0.90, 0.60, 0.70), ("b", 0.5, 0.80, 0.70, 0.76)):
        upstream = {"name": "B/16", "ds": "i21k", "filename": filename, "final_val": final_val, "status": "ok"}
        for task in ("imagenet2012", "cifar100"):
            adapted = {"adapt_ds": task, "adapt_filename": f"{filename}--{task}", "adapt_final_val": minival}
            adapted |= {"adapt_final_val_v2": v2 if task == "imagenet2012" else None, "adapt_final_test": test}
            rows.append({**upstream, **adapted})
    table = pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})
    found = upstream_best.of_table(table).set_index("adapt_ds")["value"]
    assert found.to_dict() == pytest.approx({"imagenet2012": 0, "cifar100": 0.06, MINIVAL: 0.06})
    main, narrow = upstream_best.draw(upstream_best.of_table(table)).axes
    assert [t.get_text() for t in main.get_xticklabels()] == ["imagenet2012 (V2)", "cifar100"]
    assert texts(narrow) == ["+6.0"]
    without = upstream_best.of_table(table.assign(adapt_final_val_v2=np.nan))
    assert without["adapt_ds"].tolist() == ["imagenet2012", "cifar100"]
    assert len(upstream_best.draw(without).axes) == 1


def test_colours_are_limited_by_most_of_the_differences():
    assert differences.limits(np.array([[0.001, np.nan]])).vmax == 1
    assert differences.limits(np.array([[np.nan]])).vmax == 1
    many = np.full((10, 10), 0.02)
    many[0, 0] = 0.5
    assert differences.limits(many).vmax == pytest.approx(2)


def test_curves_against_budget_and_cost():
    found = curves({1: comparison(), 3: comparison({**LOST, "knn": 0.005})})
    fig = regret_curves.draw(found)
    left, right = fig.axes
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["logme", "upstream_best", "knn"]
    knn = next(line for line in left.lines if line.get_marker() == "^")
    assert knn.get_xydata() == pytest.approx(np.array([[1, 3.0], [3, 0.5]]))
    assert {tuple(line.get_xdata()) for line in right.lines if line.get_marker() == "^"} == {(0.25, 0.25)}
    assert [t.get_text() for t in fig.texts] == ["6 pairs of model and task"]


def test_beyond_a_few_only_named_curves_have_colours():
    lost = {**{f"s{i}": 0.01 * i for i in range(9)}, "random_k": 0.5, "adapt_all": 0.0}
    found = curves({1: comparison(lost)})
    shown = [t.get_text() for t in regret_curves.draw(found).legends[0].get_texts()]
    assert shown == ["s0", "s1", "s2", "s3", "s4", "s5", "random_k", "others:\ns6\ns7\ns8"]
    shown = [t.get_text() for t in regret_curves.draw(found, ["s8"]).legends[0].get_texts()]
    assert shown[0] == "s8"
    with pytest.raises(UserError, match="no curve of 's10'; did you mean 's1"):
        regret_curves.draw(found, ["s10"])


def test_styles_differ():
    found = styles.strategies(f"s{i}" for i in range(21))
    assert len({(s.colour, s.dash) for s in found.values()}) == 21
    assert styles.group("natural") != styles.group("structured")
    assert styles.group("own") == styles.Style(styles.OTHER, "o")


@pytest.mark.parametrize("draw", [forest.draw, regret_map.draw, upstream_best.cells, upstream_best.draw, regret_curves.draw])
def test_nothing_and_missing_columns_are_said(draw):
    with pytest.raises(UserError, match="no column"):
        draw(comparison()[["name"]])
    empty = pd.concat([comparison(), pd.DataFrame(columns=["value", "budget", "tasks", "left_out", "low", "high", "share"])])
    with pytest.raises(UserError, match="no rows"):
        draw(empty.iloc[:0])
