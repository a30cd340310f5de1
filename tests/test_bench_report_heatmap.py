import itertools
import re

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.points.variants import VARIANTS
from bench.records.schema import COLUMNS
from bench.report import heatmap, order

LEVELS = ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2")
# "How to train your ViT?", Fig. 4: accuracy in percent and the column "reg - noreg".
FIG4 = {
    ("i1k", "Ti/16"): ((72, 76, 75, 75, 74, 72, 71), (71, 72, 68, 65, 63, 63, 62), -4),
    ("i1k", "B/32"): ((63, 70, 73, 75, 76, 75, 76), (69, 74, 77, 77, 78, 77, 77), 2),
    ("i1k", "R50+L/32"): ((70, 75, 76, 77, 77, 76, 76), (75, 78, 78, 78, 79, 77, 77), 2),
    ("i21k_30", "Ti/16"): ((38, 37, 35, 34, 33, 32, 31), (34, 32, 29, 27, 26, 25, 25), -4),
    ("i21k_30", "B/32"): ((43, 42, 43, 42, 41, 40, 40), (42, 40, 40, 38, 38, 36, 36), -1),
    ("i21k_30", "R50+L/32"): ((45, 47, 48, 48, 48, 47, 47), (48, 48, 48, 47, 47, 45, 46), 0),
    ("i21k", "Ti/16"): ((41, 41, 40, 39, 37, 37, 36), (38, 36, 34, 33, 32, 31, 29), -4),
    ("i21k", "B/32"): ((42, 46, 48, 47, 47, 47, 46), (45, 46, 46, 45, 44, 44, 43), -2),
    ("i21k", "R50+L/32"): ((42, 46, 47, 49, 51, 50, 51), (46, 48, 51, 51, 51, 51, 51), 1),
}


def frame(rows):
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def run(value, ds="mnist5k", name="ViT-mu", do=0.0, aug="none", wd=0.1, status="ok", **more):
    filename = f"{name}-{ds}-{aug}-{wd}-{do}-{more.get('seed', 0)}"
    facts = {"ds": ds, "name": name, "do": do, "aug": aug, "wd": wd, "status": status, "filename": filename}
    return {**facts, "final_val": value, **more}


def fig4_table():
    rows = []
    for (ds, name), (without, regularised, _) in FIG4.items():
        for do, values in ((0.0, without), (0.1, regularised)):
            for aug, value in zip(LEVELS, values, strict=True):
                facts = {"ds": ds, "name": name, "do": do, "aug": aug}
                best, worse = (0.03, 0.1) if aug in ("none", "medium1") else (0.1, 0.03)
                rows += [run(value / 100, wd=best, **facts), run(value / 100 - 0.02, wd=worse, **facts)]
    return frame(rows[::-1])


def grid(skip=(), diverged=()):
    rows = []
    for i, ds in enumerate(("mnist5k", "mnist5k_10pct")):
        for j, name in enumerate(("ViT-mu", "NFNet-mu")):
            for do in (0.0, 0.1):
                for k, aug in enumerate(("none", "light1", "medium1", "strong1")):
                    key = (ds, name, do, aug)
                    failed = {"value": None, "status": "diverged"} if key in diverged else {}
                    facts = {"ds": ds, "name": name, "do": do, "aug": aug, "value": 0.9 - 0.1 * i + 0.02 * j + 0.01 * k - do}
                    rows += [] if key in skip else [run(**{**facts, **failed})]
    return frame(rows)


def texts(fig: Figure) -> list[str]:
    return [t.get_text() for t in fig.texts]


def axes(fig, label):
    return next(ax for ax in fig.axes if ax.get_label() == label)


def inside(ax):
    """Texts by (row, column); the headers lie above the first row."""
    found = [(t.get_position(), t.get_text()) for t in ax.texts]
    return {(int(y), int(x)): text for (x, y), text in found if y > 0}


def test_cells_are_the_published_ones():
    found = heatmap.cells(fig4_table())
    assert tuple(found.columns) == heatmap.COLUMNS
    assert len(found) == 9 * 14
    values = found.set_index(["ds", "name", "do", "aug"])["value"]
    for (ds, name), (without, regularised, _) in FIG4.items():
        assert [round(100 * values[ds, name, 0.0, a]) for a in LEVELS] == list(without)
        assert [round(100 * values[ds, name, 0.1, a]) for a in LEVELS] == list(regularised)


def test_narrow_column_is_the_published_one_up_to_rounding():
    found = heatmap.narrow(heatmap.cells(fig4_table())).set_index(["ds", "name"])["value"]
    assert len(found) == 9
    for key, (_, _, published) in FIG4.items():
        assert abs(100 * found[key] - published) < 1 + 1e-9


def test_a_cell_is_a_maximum_over_runs_that_ended_and_transfers_do_not_count():
    rows = [
        run(0.80, seed=0, adapt_ds="digits", adapt_filename="x--1"),
        run(0.80, seed=0, adapt_ds="digits", adapt_filename="x--2"),
        run(0.85, seed=1),
        run(0.99, seed=2, status="diverged"),
        run(None, aug="light1", status="diverged"),
        run(None, aug="strong1"),
        # A search ended these early: they say nothing of a cell.
        run(0.99, seed=3, status="pruned"),
        run(None, aug="medium1", status="pruned"),
    ]
    found = heatmap.cells(frame(rows))
    assert found["aug"].tolist() == ["none", "light1"]
    assert found["value"].iloc[0] == 0.85
    assert pd.isna(found["value"].iloc[1])


def test_narrow_is_empty_where_a_side_is_missing():
    found = heatmap.narrow(heatmap.cells(frame([run(0.8), run(0.7, do=0.1, name="NFNet-mu")])))
    assert found["name"].tolist() == ["ViT-mu", "NFNet-mu"]
    assert found["value"].isna().all()


def test_order_knows_every_variant_and_level():
    assert set(order._MODELS) == set(VARIANTS)
    nine = ["R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "R26+S/32", "B/16", "L/16", "R50+L/32"]
    assert order.models([*reversed(nine), "unknown", "ViT-mu"]) == ["ViT-mu", *nine, "unknown"]
    assert order.levels(sorted(LEVELS)) == list(LEVELS)
    assert order.upstream_sets(["mnist5k", "i21k", "i1k", "i21k_30"]) == ["i1k", "i21k_30", "i21k", "mnist5k"]
    parts = ["mnist5k", "mnist5k_30pct", "i1k", "mnist5k_2.5pct", "mnist5k_10pct", "i1k_10pct", "i21k"]
    assert order.upstream_sets(parts) == [
        *("i1k_10pct", "i1k", "i21k"),
        *("mnist5k_2.5pct", "mnist5k_10pct", "mnist5k_30pct", "mnist5k"),
    ]


def test_figure_has_the_layout_of_fig4():
    fig = heatmap.draw(heatmap.cells(fig4_table()))
    panels = ["i1k", "i21k_30", "i21k"]
    assert [ax.get_title() for ax in fig.axes if ax.get_title()] == panels
    for ds in panels:
        ax = axes(fig, ds)
        paper = ["none", "light1", "light2", "medium1", "medium2", "heavy1", "heavy2"]
        assert [t.get_text() for t in ax.get_xticklabels()] == paper * 2
        assert [t.get_text() for t in ax.texts if t.get_position()[1] < 0] == ["No regularization", "Regularization 0.1"]
        for row, name in enumerate(("Ti/16", "B/32", "R50+L/32")):
            without, regularised, _ = FIG4[ds, name]
            assert [inside(ax)[row, i] for i in range(14)] == [str(v) for v in without + regularised]
        assert [t.get_text() for t in axes(fig, f"{ds} reg - noreg").get_xticklabels()] == ["reg - noreg"]
    assert [t.get_text() for t in axes(fig, "i1k").get_yticklabels()] == ["Ti/16", "B/32", "R50+L/32"]
    assert inside(axes(fig, "i1k reg - noreg")) == {(0, 0): "-4", (1, 0): "+2", (2, 0): "+2"}
    assert not [t for t in texts(fig) if "missing" in t or "diverged" in t]
    places = [axes(fig, ds).get_position() for ds in panels]
    assert all(above.x0 == below.x0 and above.y0 > below.y1 for above, below in itertools.pairwise(places))


@pytest.mark.parametrize("do", [0.0, 0.1])
def test_without_both_settings_there_is_no_narrow_column(do):
    table = grid()
    fig = heatmap.draw(heatmap.cells(table[table["do"] == do]))
    assert [ax.get_label() for ax in fig.axes] == ["mnist5k_10pct", "mnist5k", "colours"]
    one = heatmap.draw(heatmap.cells(table[(table["do"] == do) & (table["aug"] == "none")]))
    assert [ax.get_label() for ax in one.axes] == ["mnist5k_10pct", "mnist5k"]
    assert ["leftmost" in " ".join(texts(f)) for f in (fig, one)] == [True, False]


@pytest.mark.parametrize("levels", [["none", "coatnet", "effnetv2m_paper"], ["effnetv2m_paper", "none"]])
def test_long_names_of_levels_have_room(levels):
    rows = [run(0.9, do=do, aug=aug, ds=ds) for do in (0.0, 0.1) for aug in levels for ds in ("mnist5k", "i1k")]
    fig = heatmap.draw(heatmap.cells(frame(rows)))
    fig.draw_without_rendering()
    names = [t for ax in fig.axes for t in (*ax.get_xticklabels(), *ax.get_yticklabels()) if t.get_text()]
    boxes = [t.get_window_extent() for t in (*names, *fig.texts)]
    for box in boxes:
        assert 0 < box.x0 < box.x1 < fig.bbox.x1
        assert 0 < box.y0 < box.y1 < fig.bbox.y1
    bar = axes(fig, "colours").get_tightbbox()
    level = [t.get_window_extent() for t in axes(fig, "mnist5k").get_xticklabels()]
    assert min(box.y0 for box in level) > bar.y1
    # The other panel begins below the names of this one.
    assert (
        min(t.get_window_extent().y0 for t in axes(fig, "i1k").get_xticklabels())
        > axes(fig, "mnist5k").title.get_window_extent().y1
    )


def test_colours_are_relative_to_the_leftmost_cell_and_symmetric():
    fig = heatmap.draw(heatmap.cells(grid()))
    mesh = axes(fig, "mnist5k").collections[0]
    assert mesh.get_array().reshape(2, 8)[0].tolist() == pytest.approx([0, 1, 2, 3, -10, -9, -8, -7])
    assert (mesh.norm.vmin, mesh.norm.vmax) == pytest.approx((-10, 10))
    weights = {t.get_text(): t.get_fontweight() for t in axes(fig, "mnist5k").texts}
    assert (weights["90.0"], weights["91.0"], weights["80.0"]) == ("normal", "bold", "normal")


def test_an_incomplete_grid_is_said_on_the_face():
    skip = [
        ("mnist5k", "ViT-mu", 0.0, "strong1"),
        ("mnist5k", "NFNet-mu", 0.1, "none"),
        ("mnist5k_10pct", "ViT-mu", 0.0, "none"),
    ]
    diverged = [("mnist5k_10pct", "NFNet-mu", 0.1, "strong1")]
    fig = heatmap.draw(heatmap.cells(grid(skip, diverged)))
    note = next(t.replace("\n", " ") for t in texts(fig) if "missing" in t)
    assert re.match(r"3 of 32 cells missing \(hatched\); 1 of 32 cells diverged \(.\); \* from an incomplete row", note)
    first, second = axes(fig, "mnist5k"), axes(fig, "mnist5k_10pct")
    assert [p.get_hatch() for p in first.patches] == ["////", "////"]
    assert (0, 3) not in inside(first)
    assert sorted(str(p.get_hatch()) for p in second.patches) == ["////", "None"]
    assert inside(second)[1, 7] == "\N{MULTIPLICATION SIGN}"
    assert inside(second)[0, 1] == "81.0"
    assert inside(axes(fig, "mnist5k reg - noreg"))[0, 0].endswith("*")
    # Both incomplete rows lack a side: nothing has an asterisk.
    sides = list(itertools.product(("mnist5k",), ("ViT-mu", "NFNet-mu"), (0.1,), ("none", "light1", "medium1", "strong1")))
    fig = heatmap.draw(heatmap.cells(grid(sides)))
    assert "8 of 32 cells missing (hatched)" in texts(fig)


@pytest.mark.parametrize(
    "rows",
    [[run(0.9)], [run(None, status="diverged")], [run(0.9, aug="own$level"), run(0.8, do=0.1, aug="own$level", name="m$$")]],
)
def test_odd_tables_can_be_drawn(rows, tmp_path):
    heatmap.save(heatmap.draw(heatmap.cells(frame(rows))), tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files_are_the_same_bytes_every_time(tmp_path, suffix):
    for name in ("a", "b"):
        heatmap.save(heatmap.draw(heatmap.cells(grid())), tmp_path / f"{name}.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    assert content == (tmp_path / f"b.{suffix}").read_bytes()
    assert b"Date" not in content


def test_errors(tmp_path):
    with pytest.raises(UserError, match="no column 'aug'"):
        heatmap.cells(grid().drop(columns="aug"))
    with pytest.raises(UserError, match="no rows"):
        heatmap.cells(grid().iloc[:0])
    with pytest.raises(UserError, match="'final_val' is empty"):
        heatmap.cells(frame([run(None)]))
    with pytest.raises(UserError, match="no column 'value'"):
        heatmap.draw(heatmap.cells(grid()).drop(columns="value"))
    fig = heatmap.draw(heatmap.cells(grid()))
    with pytest.raises(UserError, match=r"a file of kind 'gif'; .*valid: png, svg, pdf"):
        heatmap.save(fig, tmp_path / "f.gif")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        heatmap.save(fig, tmp_path / "file" / "f.png")
