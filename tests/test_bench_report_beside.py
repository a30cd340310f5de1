"""A table's cells beside the published ones."""

import numpy as np
import pandas as pd
import pytest
from released_like import released_like
from scipy import stats

from bench.errors import UserError
from bench.report import beside, beside_figure, figures, heatmap
from bench.select import published
from sweeps.cli import main

TABLE = released_like()
SIZES = {"augreg-fig4": 126, "augreg-fig4-narrow": 9, "augreg-fig7": 63}


@pytest.mark.parametrize("name", beside.REFERENCES)
def test_what_rounds_to_all_published_cells_is_the_same_in_all(name):
    cells = beside.compare(TABLE, name)
    assert len(cells) == 3 * SIZES[name]
    assert cells["same"].all()
    assert cells["difference"].abs().max() < beside.HALF
    found = beside.summary(cells)
    assert found["ds"].tolist() == ["i1k", "i21k_30", "i21k"]
    assert (found[["cells", "compared", "same"]] == SIZES[name]).all(axis=None)
    assert (found["spearman"] > 0.9).all()


def test_differences_and_ranks_are_those_of_the_cells():
    """A table that is 2 points better everywhere but in one cell, against scipy."""
    ds = TABLE["ds"] == "i1k"
    at = ds & (TABLE["name"] == "B/16") & (TABLE["aug"] == "medium2") & (TABLE["do"] == 0.1)
    table = TABLE.assign(final_val=TABLE["final_val"] + 0.02 - 0.3 * at.astype(float))[ds]
    cells = beside.compare(table, "augreg-fig4")
    assert cells["ds"].unique().tolist() == ["i1k"]
    [row] = beside.summary(cells).to_dict("records")
    assert row["same"] == 0
    assert row["largest"] == pytest.approx(-0.28, abs=beside.HALF)
    assert row["mean"] == pytest.approx(0.02 - 0.3 / 126, abs=beside.HALF)
    assert row["spearman"] == pytest.approx(stats.spearmanr(cells["value"], cells["published"]).statistic)
    worst = cells.loc[cells["difference"].idxmin()]
    assert (worst["name"], worst["aug"], worst["do"], worst["published"]) == ("B/16", "medium2", 0.1, 0.83)


def test_cells_that_the_table_lacks_are_empty_and_counted():
    part = TABLE[(TABLE["ds"] == "i21k") & (TABLE["aug"] != "light0")]
    cells = beside.compare(part, "augreg-fig4")
    assert len(cells) == 126
    assert cells["value"].isna().sum() == 18
    assert not cells.loc[cells["value"].isna(), "same"].any()
    assert beside.summary(cells)[["cells", "compared"]].to_numpy().tolist() == [[126, 108]]
    fig = beside_figure.draw(cells, "augreg-fig4")
    assert any("18 cells missing (hatched)" in t.get_text() for t in fig.texts)


def test_no_rank_correlation_where_there_is_nothing_to_rank():
    two = TABLE[(TABLE["ds"] == "i1k") & TABLE["name"].isin(["B/16", "S/16"])]
    [row] = beside.summary(beside.compare(two, "augreg-fig4-narrow")).to_dict("records")
    assert (row["cells"], row["compared"]) == (9, 2)
    assert np.isnan(row["spearman"])
    assert beside.for_people(pd.DataFrame([row])).iloc[0]["rank correlation"] == ""
    flat = TABLE[TABLE["ds"] == "i1k"].assign(final_val=0.5)
    assert np.isnan(beside.summary(beside.compare(flat, "augreg-fig4"))["spearman"].iloc[0])


def test_gains_are_those_of_figure_7():
    cells = published.fig4_cells()
    found = heatmap.gains(cells).set_index(["ds", "name", "aug"])["value"]
    assert len(found) == 189
    assert found["i1k", "Ti/16", "none"] == pytest.approx(-0.01)
    assert found["i21k", "B/32", "light0"] == pytest.approx(0.0)
    assert heatmap.gains(cells[cells["do"] == 0])["value"].isna().all()


def test_the_figure_shows_both_and_the_difference():
    cells = beside.compare(TABLE, "augreg-fig7")
    fig = beside_figure.draw(cells, "augreg-fig7")
    assert [ax.get_label() for ax in fig.axes][:3] == ["i1k value", "i1k published", "i1k difference"]
    assert len(fig.axes) == 9
    texts = {ax.get_label(): [t.get_text() for t in ax.texts] for ax in fig.axes}
    assert len(texts["i21k published"]) == 63
    # Rows by capacity, columns by level: what the paper prints for R+Ti/16 and Ti/16 on ImageNet-1k.
    assert texts["i1k published"][:14] == ["+1", "-3", "-6", "-6", "-7", "-7", "-7", "-1", "-4", "-7", "-10", "-11", "-9", "-9"]
    assert texts["i1k value"] == texts["i1k published"]
    # Paper names below.
    assert [t.get_text() for t in fig.axes[2].get_xticklabels()][1:3] == ["light1", "light2"]


@pytest.mark.parametrize("name", beside.REFERENCES)
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_can_be_saved_as_pixels_and_as_vectors(name, kind, tmp_path):
    one = TABLE[TABLE["ds"] == "i21k"]
    figures.save(beside_figure.draw(beside.compare(one, name), name), tmp_path / f"f.{kind}")
    assert (tmp_path / f"f.{kind}").stat().st_size > 5_000


def test_equal_colours_are_equal_numbers_in_the_upper_panels():
    worse = TABLE.assign(final_val=TABLE["final_val"] * TABLE["do"].eq(0).map({True: 1.0, False: 0.5}))
    fig = beside_figure.draw(beside.compare(worse, "augreg-fig7"), "augreg-fig7")
    limits = {ax.get_label().rpartition(" ")[2]: ax.collections[0].get_clim() for ax in fig.axes}
    assert limits["value"] == limits["published"] != limits["difference"]


def test_what_cannot_be_compared_is_said(tmp_path):
    with pytest.raises(UserError, match=r"nothing published is called 'augreg-fig3'; did you mean 'augreg-fig7'"):
        beside.compare(TABLE, "augreg-fig3")
    own = TABLE.assign(ds="mnist5k")
    with pytest.raises(
        UserError, match=r"no cell of augreg-fig4, which is of i1k, i21k_30, i21k .*; the table has mnist5k and"
    ):
        beside.compare(own, "augreg-fig4")
    with pytest.raises(UserError, match=r"the table has mnist5k and .*, and no value in any cell"):
        beside.compare(own[own["do"].eq(0)], "augreg-fig7")
    with pytest.raises(UserError, match="no published numbers"):
        beside.compare(TABLE, "augreg-fig7", tmp_path)
    with pytest.raises(UserError, match="no column 'same'"):
        beside.summary(beside.compare(TABLE, "augreg-fig7").drop(columns="same"))


def test_the_command_prints_the_summary_and_writes_the_cells(tmp_path, capsys):
    path = tmp_path / "t.csv"
    TABLE.to_csv(path, index=False)
    with pytest.raises(SystemExit) as done:
        main(
            [
                "compare",
                str(path),
                "--with",
                "augreg-fig4-narrow",
                "-o",
                str(tmp_path / "f.pdf"),
                "--csv",
                str(tmp_path / "c.csv"),
            ]
        )
    assert done.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| upstream set | published cells | compared | round alike | mean difference, points |")
    assert lines[2].startswith("| i1k | 9 | 9 | 9 |")
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    assert list(pd.read_csv(tmp_path / "c.csv").columns) == ["ds", "name", "value", "published", "difference", "same"]
