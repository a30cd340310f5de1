"""`augreg select`: what it prints and draws, and what it says of bad input."""

import io

import pandas as pd
import pytest
from made import accept

from bench.records.scores import COLUMNS
from bench.records.table import from_records, write_table
from sweeps.commands.select import SHOWN
from sweeps.layout import Workdir
from sweeps.named import find
from sweeps.selecting import VIEWS

NOT_PROBED = ["upstream_best", "adapt_all", "random_k", "static", "per_group", "halving"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The table of `smoke`: four checkpoints, two tasks of two groups."""
    folder = Workdir(tmp_path_factory.mktemp("smoke"))
    folder.claim("smoke")
    for config in find("smoke").points:
        accept(folder, config)
    path = folder.path / "table.csv"
    write_table(from_records(folder.records()), path)
    return path


@pytest.fixture(scope="module")
def scores(table):
    """Linear probes of all of them."""
    pairs = pd.read_csv(table)[["filename", "name", "adapt_ds"]].drop_duplicates().reset_index(drop=True)
    rows = pairs.assign(adapt_resolution=28, score="linear_probe", split="val", n=200, flops=1e9, seconds=1.0)
    rows["value"] = [0.5 + 0.01 * (i % 7) for i in range(len(rows))]
    path = table.parent / "scores.csv"
    rows[[c.name for c in COLUMNS]].to_csv(path, index=False)
    return path


def printed(found):
    code, out, err = found
    assert (code, err) == (0, "")
    return pd.read_csv(io.StringIO(out))


def test_the_command_offers_every_view():
    assert tuple(VIEWS) == SHOWN


def test_choices_are_the_default(augreg, table, scores):
    found = printed(augreg("select", table))
    assert found["strategy"].tolist() == NOT_PROBED * 2
    probed = printed(augreg("select", table, "--scores", scores))
    assert set(probed["strategy"]) == {*NOT_PROBED, "linear_probe", "hybrid", "thrifty"}
    some = printed(augreg("select", table, "--strategy", "halving", "--strategy", "adapt_all", "--budget", 2, "--pool", "all"))
    assert (
        some[["name", "strategy", "budget"]].to_numpy().tolist()
        == [["any model", "halving", 2], ["any model", "adapt_all", 4]] * 2
    )


def test_draws_repeat_the_comparison(augreg, table):
    found = printed(augreg("select", table, "--strategy", "random_k", "--draws", 3))
    assert found["seed"].tolist() == [0, 0, 1, 1, 2, 2]
    assert found["filename"].nunique() > 1


@pytest.mark.parametrize("view", [view for view in SHOWN if view != "rankings"])
def test_every_view_is_printed_and_drawn(augreg, table, view, tmp_path):
    figure = tmp_path / "figure.png"
    found = printed(augreg("select", table, "--show", view, "-o", figure))
    assert len(found)
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_rankings_are_of_strategies_that_rank(augreg, table, scores):
    found = printed(augreg("select", table, "--scores", scores, "--show", "rankings"))
    assert set(found["score"]) == {"upstream_best", "random_k", "static", "per_group", "linear_probe"}
    assert found["tau"].between(-1, 1).all()


def test_differences_are_from_the_baseline_even_where_it_was_not_named(augreg, table):
    found = printed(augreg("select", table, "--show", "differences", "--against", "static", "--strategy", "halving"))
    assert found[["strategy", "baseline", "tasks"]].to_numpy().tolist() == [["halving", "static", 2]]
    assert found["verdict"].str.startswith("not separable").all()


def test_curves_are_of_all_budgets(augreg, table):
    found = printed(augreg("select", table, "--show", "curves", "--strategy", "upstream_best"))
    mine = found[found["strategy"] == "upstream_best"]
    assert mine["budget"].tolist() == [1, 2, 3, 4]
    assert mine["share"].tolist() == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert mine["regret"].iloc[-1] == 0


def test_tuning_says_what_it_found(augreg, table, scores, tmp_path):
    code, out, err = augreg("select", table, "--scores", scores, "--tune", "natural", "-o", tmp_path / "t.png")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("tuned on natural: trust ")
    assert lines[3].startswith("on the other tasks: not separable: ")
    assert (tmp_path / "t.png").exists()


def test_bad_input_is_one_line(augreg, table, scores, tmp_path):
    for arguments, part in (
        (["--strategy", "halvin"], "no strategy 'halvin'; did you mean 'halving'?"),
        (["--strategy", "logme"], "strategy 'logme' needs the score 'logme'"),
        (["--budget", 2, "--show", "curves"], "--budget and --show curves exclude each other"),
        (["--show", "rankings", "-o", tmp_path / "r.png"], "there is no figure of rankings: leave out -o"),
        (["--tune", "natural"], "--tune needs --scores"),
        (["--tune", "naturl", "--scores", scores], "no task of the table is 'naturl'; did you mean 'natural'?"),
        (["--scores", tmp_path / "none.csv"], "no such file of scores"),
        (["--show", "differences", "--against", "hybrid"], "strategy 'hybrid' needs the score 'linear_probe'"),
        (["--show", "differences", "--against", "size"], "strategy 'size' needs params (models of several sizes)"),
        (["--pool", "every"], "Invalid value for '--pool'"),
    ):
        code, out, err = augreg("select", table, *arguments)
        assert (code, out) == (2, "")
        assert part in err
        assert len(err.splitlines()) == 1


MATRIX = """candidate,task,test,val,group,imagenet
old,birds,0.70,0.69,natural,0.75
old,cars,0.60,0.66,natural,0.75
new,birds,0.80,0.78,natural,0.80
new,cars,0.50,0.52,natural,0.80
"""


def test_any_matrix_in_long_form_can_be_selected_on(augreg, tmp_path):
    path = tmp_path / "zoo.csv"
    path.write_text(MATRIX)
    found = printed(augreg("select", path, "--matrix", "--prior", "imagenet", "--strategy", "upstream_best"))
    assert found[["adapt_ds", "filename", "test", "regret"]].round(9).to_numpy().tolist() == [
        ["birds", "new", 0.8, 0.0],
        ["cars", "new", 0.5, 0.1],
    ]


def test_a_matrix_without_validation_scores_is_only_looked_back_at_where_that_is_asked_for(augreg, tmp_path):
    path = tmp_path / "zoo.csv"
    path.write_text("\n".join(",".join(c for i, c in enumerate(row.split(",")) if i != 3) for row in MATRIX.split()))
    code, out, err = augreg("select", path, "--matrix", "--strategy", "static")
    assert (code, out) == (2, "")
    assert "no column 'val'" in err
    code, out, err = augreg("select", path, "--matrix", "--strategy", "static", "--test-on-test")
    assert code == 0
    assert err.startswith("test-on-test: ")
    # What did best on the other task: new on birds, old on cars.
    assert pd.read_csv(io.StringIO(out))["filename"].tolist() == ["old", "new"]


def test_options_of_a_matrix_need_one(augreg, table):
    code, _, err = augreg("select", table, "--test-on-test")
    assert (code, "give --matrix as well" in err) == (2, True)
