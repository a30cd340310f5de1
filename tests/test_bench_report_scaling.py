"""The figures about scale: what they show of published numbers and of a table, and what they say of it."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bench.errors import UserError
from bench.points import Transfer, Upstream
from bench.records.table import typed
from bench.report.catalogue import OWN, PUBLISHED, TABLE, FigureFacts, catalogue
from bench.report.figures import rendered
from bench.report.scaling import FIGURES, axes, efficientnetv2, loss, source

RECIPE = {"aug": "none", "wd": 1e-6, "do": 0.0, "sd": 0.0}
MODELS = {"NFNet-F0": 0.30, "NFNet-F1": 0.27, "ViT-mu": 0.50}
EPOCHS = (1.0, 2.0, 4.0, 8.0)
RATES = (0.1, 0.2, 0.4)


def own(models=MODELS, transfers=True):
    """A table of 36 runs: errors fall with epochs, rates of 0.2 are best, 0.1 in the longest runs; each has one transfer."""
    rows = []
    for model, start in models.items():
        for epochs in EPOCHS:
            for lr in RATES:
                best = 0.1 if epochs == 8 else 0.2
                error = start * epochs**-0.2 + 0.01 * abs(math.log2(lr / best))
                config = Upstream(model=model, dataset="i1k", epochs=epochs, lr=lr, **RECIPE)
                row = {"name": model, "ds": "i1k", "epochs": epochs, "lr": lr, **RECIPE, "filename": config.name}
                row |= {"final_val": 1 - error, "final_test": 1 - error, "status": "ok", "n_train": 4000}
                row |= {"train_seconds": 60 * epochs, "device": "cpu", "params": 1e6, "best_val": None}
                row |= {"infer_samples_per_sec": None}
                if transfers:
                    steps = {"adapt_ds": "oxford_iiit_pet", "adapt_lr": 0.01, "adapt_steps": 500, "adapt_resolution": 224}
                    row |= steps | {"adapt_final_val": 0.9 - error, "adapt_final_test": 0.88 - error, "adapt_status": "ok"}
                    row |= {"adapt_filename": Transfer(config, "oxford_iiit_pet", 500, 0.01, 224).name}
                rows.append(row)
    frame = pd.DataFrame(rows)
    if not transfers:
        adapt = ("ds", "lr", "steps", "resolution", "final_val", "final_test", "filename")
        frame = frame.assign(**{f"adapt_{column}": None for column in adapt})
    return typed(frame)


OWN_TABLE = own()
FOUR = OWN_TABLE[(OWN_TABLE["epochs"] < 4) & (OWN_TABLE["name"] != "NFNet-F1")]
"""Of these only four runs are on the frontier."""


def texts(fig):
    return [t.get_text() for ax in fig.axes for t in ax.texts]


def titles(fig):
    return [ax.get_title(loc="left") for ax in fig.axes]


def marks(ax, marker):
    return sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() == marker)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_from_published_numbers_and_says_so(name):
    facts = FIGURES[name]
    frame = facts.data(None)
    assert facts.name == name
    assert set(frame["used"]) == {PUBLISHED}
    assert PUBLISHED in facts.uses
    assert frame["note"].str.startswith("Published numbers").all()
    fig = facts.draw(frame)
    foot = " ".join(" ".join(t.get_text() for t in fig.texts).split())
    assert "Published numbers" in foot
    assert rendered(fig, "svg").startswith(b"<?xml")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_from_a_table(name):
    facts = FIGURES[name]
    frame = facts.data(OWN_TABLE)
    assert set(frame["used"]) <= {OWN, TABLE}
    assert set(frame["used"]) <= set(facts.uses)
    assert frame["note"].str.contains("table").all()
    rendered(facts.draw(frame), "png")


@pytest.mark.parametrize("table", [None, OWN_TABLE], ids=["published", "own"])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_another_or_leaves_the_figure(name, table):
    fig = FIGURES[name].draw(FIGURES[name].data(table))
    FigureCanvasAgg(fig).draw()
    labels = [
        t for ax in fig.axes for t in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label)
    ]
    labels = [
        t for t in (*labels, *fig.texts, *(t for entry in fig.legends for t in entry.get_texts())) if t.get_text().strip()
    ]
    boxes = [t.get_window_extent() for t in labels]
    width, height = fig.canvas.get_width_height()
    for text, box in zip(labels, boxes, strict=True):
        assert 0 <= box.x0 < box.x1 <= width, text.get_text()
        assert 0 <= box.y0 < box.y1 <= height, text.get_text()
    for i, box in enumerate(boxes):
        for j in range(i):
            assert not box.overlaps(boxes[j]), (labels[i].get_text(), labels[j].get_text())


def test_the_loss_of_the_published_runs_shows_the_fit_and_the_frontier():
    frame = FIGURES["nfnet-loss"].data(None)
    assert int(frame["frontier"].sum()) == 23
    said = texts(FIGURES["nfnet-loss"].draw(frame))[0]
    assert "L = 3.85 C$^{-0.043}$, rms 0.7%" in said
    assert "23 of 36 runs on the frontier" in said


def test_the_loss_of_a_table_is_its_validation_error_against_flops():
    frame = FIGURES["nfnet-loss"].data(OWN_TABLE)
    assert set(frame["measure"]) == {"upstream validation error"}
    assert set(frame["unit"]) == {"FLOPs"}
    assert len(frame) == 36
    one = frame[(frame["model"] == "NFNet-F0") & (frame["epochs"] == 8.0)].sort_values("loss")["loss"].iloc[0]
    assert one == pytest.approx(0.3 * 8**-0.2)


def test_a_panel_without_enough_of_a_frontier_has_no_law():
    frame = FIGURES["nfnet-loss"].data(own(models={"NFNet-F0": 0.3}))
    few = frame[frame["epochs"] <= 2].assign(frontier=lambda f: f["loss"].eq(f.groupby("epochs")["loss"].transform("min")))
    assert "no power law: 2 of 6 runs" in texts(loss.draw(few))[0]
    assert [t.get_text() for t in loss.draw(few).legends[0].get_texts()] == ["NFNet-F0", "frontier"]
    both = few.assign(model=["NFNet-F0", "NFNet-F1"] * 3)
    assert "no power law: 2 of 6 runs" in texts(FIGURES["nfnet-optimum"].draw(both))[0]


def test_what_a_law_says_lies_below_its_panel():
    fig = loss.draw(FIGURES["nfnet-loss"].data(FOUR))
    FigureCanvasAgg(fig).draw()
    (ax,) = fig.axes
    (said,) = ax.texts
    assert said.get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0
    assert said.get_text().endswith("\nno interval: fewer than 6 runs on the frontier")


def test_long_labels_stay_within_the_figure():
    rows = own({"EfficientNetV2-mu": 0.3}).assign(final_val=lambda t: 0.9 - 0.01 * t["lr"])
    fig = loss.draw(FIGURES["nfnet-loss"].data(rows))
    FigureCanvasAgg(fig).draw()
    (ax,) = fig.axes
    assert max(len(t.get_text()) for t in ax.get_yticklabels()) == len("10.2%")
    width = fig.canvas.get_width_height()[0]
    for text in (*ax.texts, ax.yaxis.label, *fig.legends[0].get_texts()):
        assert 0 < text.get_window_extent().x0 < text.get_window_extent().x1 < width, text.get_text()


def test_the_line_of_a_law_lies_within_its_panel():
    losses = [0.5, 0.3, 0.28, 0.27]
    facts = {
        "used": OWN,
        "unit": "FLOPs",
        "measure": "error",
        "note": "",
        "ds": "i1k",
        "model": "a",
        "epochs": 1.0,
        "size": 1.0,
    }
    (ax,) = loss.draw(pd.DataFrame({"compute": [1.0, 2.0, 4.0, 8.0], "loss": losses}).assign(frontier=True, **facts)).axes
    low, high = ax.get_ylim()
    law = next(line for line in ax.lines if line.get_color() == "black" and line.get_linestyle() == "-")
    assert law.get_ydata().min() < min(losses)
    assert all(low <= y <= high for y in law.get_ydata())


@pytest.mark.parametrize("name", ["nfnet-loss", "nfnet-optimum", "nfnet-imagenet", "nfnet-learning-rate"])
def test_parts_of_an_upstream_set_have_panels_of_their_own_one_below_the_other(name):
    frame = OWN_TABLE.assign(ds=np.where(OWN_TABLE["epochs"] > 2, "i1k", "i1k_10pct"))
    fig = FIGURES[name].draw(FIGURES[name].data(frame))
    assert list(dict.fromkeys(title.split(":")[0] for title in titles(fig))) == ["i1k_10pct", "i1k"]
    places = [ax.get_position() for ax in fig.axes]
    assert all(above.x0 == below.x0 and above.y0 > below.y1 for above, below in itertools.pairwise(places))
    assert all(ax.get_ylabel() for ax in fig.axes)


def test_runs_without_a_known_compute_are_counted_or_refused():
    frame = own()
    frame.loc[frame["name"] == "NFNet-F1", "filename"] = [f"mine {i}" for i in range(12)]
    found = source.losses(frame)
    assert len(found) == 24
    assert found["note"].iloc[0].startswith("24 runs of the table; FLOPs in closed form; 12 left out")
    frame["filename"] = [f"mine {i}" for i in range(36)]
    with pytest.raises(UserError, match="no upstream run of the table has both a validation error and a known compute"):
        source.losses(frame)


def test_the_optimum_says_where_one_epoch_is_best():
    said = texts(FIGURES["nfnet-optimum"].draw(FIGURES["nfnet-optimum"].data(None)))
    assert said[0].startswith("grows as C to the 0.68 [")
    assert "one epoch at 4,819 [" in said[0]
    assert said[1].startswith("grows as C to the 0.32 [")
    few = texts(FIGURES["nfnet-optimum"].draw(FIGURES["nfnet-optimum"].data(FOUR)))
    assert all(text.endswith("\nno interval: fewer than 6 runs on the frontier") for text in few)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (OWN_TABLE["epochs"] == 4, "the epochs were not varied"),
        (OWN_TABLE["name"] == "NFNet-F0", "the model was not varied"),
    ],
)
def test_nothing_is_fitted_to_what_was_not_varied(rows, why):
    fig = FIGURES["nfnet-optimum"].draw(FIGURES["nfnet-optimum"].data(OWN_TABLE[rows]))
    assert texts(fig) == [f"no power law: {why}"] * 2
    assert not [line for ax in fig.axes for line in ax.lines if line.get_linestyle() != "None"]


def test_the_best_learning_rate_is_that_of_the_best_run():
    found = FIGURES["nfnet-learning-rate"].data(OWN_TABLE)
    assert len(found) == 12
    assert set(found["tried"]) == {3}
    assert found.groupby("epochs")["lr"].unique().map(list).to_dict() == {1.0: [0.2], 2.0: [0.2], 4.0: [0.2], 8.0: [0.1]}
    with pytest.raises(UserError, match="no model of the table tried two learning rates"):
        FIGURES["nfnet-learning-rate"].data(OWN_TABLE[OWN_TABLE["lr"] == 0.2])


def test_vits_are_beside_the_published_runs_and_not_beside_those_of_a_table():
    published = FIGURES["nfnet-imagenet"].data(None)
    vits = published[published["reference"]].set_index("model")
    assert vits["error"].round(4).to_dict() == {"ViT-g/14": 0.098, "ViT-G/14": 0.0955, "SoViT-400m/14": 0.097}
    assert len(published) == 28
    mine = FIGURES["nfnet-imagenet"].data(OWN_TABLE)
    assert not mine["reference"].any()
    assert set(mine["task"]) == {"oxford_iiit_pet"}
    fig = FIGURES["nfnet-imagenet"].draw(mine)
    assert "oxford_iiit_pet" in fig.axes[0].get_ylabel()


def test_pairs_say_how_often_the_lower_loss_is_not_the_better_fine_tune():
    fig = FIGURES["nfnet-pairs"].draw(FIGURES["nfnet-pairs"].data(None))
    assert "In 4 of 9 pairs the higher loss fine-tunes better, with the larger model" in [t.get_text() for t in fig.texts]
    assert "+0.22 points" in texts(fig)
    better, other = fig.legends[0].get_lines()[1:]
    assert (better.get_marker(), better.get_linestyle(), other.get_marker(), other.get_linestyle()) == (">", "-", "<", ":")
    assert (marks(fig.axes[0], ">"), marks(fig.axes[0], "<")) == (4, 5)
    one = FIGURES["nfnet-pairs"].data(None).sort_values("reversed").iloc[[0, -1]].assign(larger=False)
    head = "In 1 of 2 pairs the higher loss fine-tunes better, with the smaller model"
    assert head in [t.get_text() for t in FIGURES["nfnet-pairs"].draw(one).texts]
    none = FIGURES["nfnet-pairs"].draw(FIGURES["nfnet-pairs"].data(OWN_TABLE))
    # Of the three learning rates of a budget the best counts; F1 costs 1.84 times F0: eight and four epochs are near.
    assert "In none of 3 pairs does the higher loss fine-tune better" in [t.get_text() for t in none.texts]
    with pytest.raises(UserError, match="no transfers"):
        FIGURES["nfnet-pairs"].data(own(transfers=False))
    alone = own(models={"NFNet-F0": 0.3})
    with pytest.raises(UserError, match="no two models of the 12 fine-tuned runs cost the same within 10%"):
        FIGURES["nfnet-pairs"].data(alone)


def test_training_time_needs_times_and_tells_schedules_apart():
    fig = FIGURES["efficientnetv2-time"].draw(FIGURES["efficientnetv2-time"].data(None))
    assert sorted(texts(fig)) == sorted(["S", "M", "L", "S", "M", "L", "XL"])
    common = {"model": "EfficientNetV2-mu", "dataset": "mnist5k", "epochs": 6.0, "lr": 0.004, "optimizer": "rmsprop_l2"}
    frame = own().iloc[:2].copy()
    frame["filename"] = [Upstream(**common, **RECIPE, progressive=how).name for how in ("mini", "")]
    assert sorted(efficientnetv2.data(frame)["schedule"]) == ["one resolution", "progressive"]
    with pytest.raises(UserError, match="training time"):
        FIGURES["efficientnetv2-time"].data(own().assign(train_seconds=np.nan))


def test_training_time_joins_and_names_the_best_run_of_each_model():
    fig = FIGURES["efficientnetv2-time"].draw(efficientnetv2.data(OWN_TABLE))
    (ax,) = fig.axes
    assert sorted(texts(fig)) == ["NFNet-F0", "NFNet-F1", "ViT-mu"]
    (line,) = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert line.get_ydata() == pytest.approx(sorted(100 - 100 * start * 8**-0.2 for start in MODELS.values()), abs=25)
    assert len(line.get_xdata()) == 3
    assert sum(line.get_alpha() == 1 for line in ax.lines if line.get_marker() == "o") == 1


@pytest.mark.parametrize(("seconds", "unit", "first"), [(0.9, "seconds", 0.9), (60, "minutes", 1), (7200, "hours", 2)])
def test_training_time_has_a_unit_of_its_size(seconds, unit, first):
    frame = OWN_TABLE.assign(train_seconds=seconds * OWN_TABLE["epochs"])
    (ax,) = FIGURES["efficientnetv2-time"].draw(efficientnetv2.data(frame)).axes
    assert ax.get_xlabel() == f"training time, {unit}"
    assert min(x for line in ax.lines for x in line.get_xdata()) == pytest.approx(first)


def test_legends_have_the_marks_of_the_panel():
    rates = FIGURES["nfnet-learning-rate"].draw(FIGURES["nfnet-learning-rate"].data(None))
    assert {line.get_markerfacecolor() for line in rates.legends[0].get_lines()} == {"none"}
    times = FIGURES["efficientnetv2-time"].draw(FIGURES["efficientnetv2-time"].data(None))
    i1k, i21k = times.legends[0].get_lines()
    # Of the hours on i1k none were checked.
    assert i1k.get_markerfacecolor() == "white"
    assert i21k.get_markerfacecolor() == i21k.get_color()
    optimum = FIGURES["nfnet-optimum"].draw(FIGURES["nfnet-optimum"].data(None))
    assert {line.get_linestyle() for line in optimum.legends[0].get_lines()} == {"None"}


def test_the_line_of_sizes_joins_what_no_smaller_model_beats():
    frame = FIGURES["coatnet-size"].data(None)
    rows = frame[frame["best"] & frame["ds"].eq("i21k")].assign(accuracy=[0.8, 0.7, 0.9])
    fig = FIGURES["coatnet-size"].draw(rows)
    (ax,) = fig.axes
    foot = fig.texts[0].get_text().replace("\n", " ")
    assert foot.endswith('lines join the models that no smaller one beats; names without "CoAtNet-"')
    assert sorted(texts(fig)) == ["2", "3", "4"]
    assert [list(line.get_ydata()) for line in ax.lines if line.get_linestyle() == "-"] == [[80.0, 90.0]]


def test_sizes_take_the_best_run_by_validation_of_each_set():
    published = FIGURES["coatnet-size"].data(None)
    best = published[published["best"]].set_index(["ds", "model"])["accuracy"]
    assert len(best) == 12
    assert best["i21k", "CoAtNet-4"] == pytest.approx(0.8856)
    assert best["i1k", "CoAtNet-0"] == pytest.approx(0.839)
    mine = FIGURES["coatnet-size"].data(OWN_TABLE).set_index("model")
    assert mine.loc["NFNet-F0", "accuracy"] == pytest.approx(0.88 - 0.3 * 8**-0.2)
    # The NFNet paper's 71.5 million, less the 3.07 million of the classifier.
    assert mine.loc["NFNet-F0", "params"] == pytest.approx(68.4e6, rel=0.01)


# The parts.


def test_ticks_are_numbers_that_people_read():
    fig, (ax,) = axes.panels(["a"], "note " * 60)
    axes.logarithmic(ax, "x", [400, 107_000])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["500", "1k", "2k", "5k", "10k", "20k", "50k", "100k"]
    axes.logarithmic(ax, "x", [0.25, 0.5, 8], every=True)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.25", "0.5", "8"]
    axes.logarithmic(ax, "y", [0.095, 0.14], share=True)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["10%", "11%", "12%", "13%", "14%"]
    axes.logarithmic(ax, "x", [1e12, 1e18])
    assert len(ax.get_xticks()) == 7
    axes.logarithmic(ax, "x", [2.0])
    assert ax.get_xlim() == pytest.approx((2 / 1.5, 3))
    assert [axes.short(v) for v in (0.25, 38_240, 1.47e9, 5e11, 3e15)] == ["0.25", "38.24k", "1.47G", "500G", "3P"]
    assert [axes.short(v) for v in (1e12 * (1 - 1e-16), 2e18, 3e21)] == ["1T", "2E", "3e+21"]
    assert "\n" in fig.texts[0].get_text()


def test_a_catalogue_has_one_figure_of_a_name_and_knows_what_it_is_drawn_from():
    facts = FIGURES["nfnet-loss"]
    assert list(catalogue([facts])) == ["nfnet-loss"]
    with pytest.raises(UserError, match="two figures are called 'nfnet-loss'"):
        catalogue([facts, facts])
    with pytest.raises(UserError, match="figure x: can be drawn from"):
        FigureFacts("x", "", "", ("memory",), facts.data, facts.draw)
