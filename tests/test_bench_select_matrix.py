"""Selection on matrices: the published one of AugReg on VTAB with literal numbers, hand-made ones for everything else."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.errors import UserError
from bench.points.tasks import TASKS
from bench.points.vtab import FULL
from bench.select import intervals, published
from bench.select.compare import compare as compare_table
from bench.select.matrix import by, checked, compare, read_matrix, to_table
from bench.select.means import means
from bench.select.pools import OF_ALL

PUBLISHED = Path(__file__).parents[1] / "results" / "published"
VTAB = published.vtab_full(PUBLISHED)
GROUPS = {task: TASKS[task].group for task in FULL}
BY_224, BY_384 = "best ImageNet score, 224 px", "best ImageNet score, 384 px"
FOUND = published.selection(PUBLISHED)


def lines(name):
    with (PUBLISHED / name).open() as file:
        return list(csv.DictReader(file))


# The published numbers.


def test_the_published_table_is_whole_and_its_means_are_those_of_its_cells():
    rows = lines("vtab_full.csv")
    assert [len(rows), len({(r["name"], r["ds"]) for r in rows}), len(rows[0])] == [27, 27, 2 + 19 + 3]
    for row in rows:
        for group in ("natural", "specialized", "structured"):
            cells = [float(row[t.removeprefix("vtab_")]) for t in FULL if GROUPS[t] == group]
            assert np.mean(cells) == pytest.approx(float(row[f"{group}_mean"]), abs=0.08)
    assert {(r["name"], r["ds"]): r["svhn"] for r in rows}["L/16", "i21k"] == "97.4"
    assert VTAB[["candidate", "task"]].drop_duplicates().shape[0] == len(VTAB) == 27 * 19


def test_the_facts_of_the_candidates_are_those_of_the_other_table():
    facts = VTAB.drop_duplicates("candidate").set_index("candidate")
    assert facts.loc["L/16 i21k", ["params", "imagenet_224", "imagenet_384"]].tolist() == pytest.approx([307e6, 0.8398, 0.8559])
    assert facts.loc["R50+L/32 i1k", ["params", "imagenet_224", "imagenet_384"]].tolist() == pytest.approx(
        [330e6, 0.7417, 0.7671]
    )
    assert facts.loc["S/16 i21k_30", "seen"] == 390e6
    assert VTAB.set_index(["candidate", "task"]).loc[
        ("B/32 i21k", "vtab_smallnorb_elevation"), ["test", "n_test"]
    ].tolist() == [
        0.831,
        12_150,
    ]


def test_the_best_of_each_task_and_what_the_rules_lose():
    best = FOUND[FOUND["strategy"] == "adapt_all"].set_index("adapt_ds")
    assert best["filename"].value_counts().to_dict() == {
        "B/16 i21k": 5,
        "R26+S/32 i21k": 4,
        "L/16 i21k": 3,
        "R50+L/32 i21k": 3,
        "B/32 i21k": 2,
        "B/16 i21k_30": 1,
        "L/16 i21k_30": 1,
    }
    assert best.loc[["vtab_smallnorb_elevation", "vtab_dmlab", "vtab_camelyon"], "test"].tolist() == [0.831, 0.770, 0.884]
    picks = FOUND.groupby("strategy")["filename"].unique().map(sorted).to_dict()
    # The largest model is also the one with the best ImageNet score at 384 pixels; at 224 it is the one that does best on VTAB.
    assert picks["largest"] == picks[BY_384] == ["R50+L/32 i21k"]
    assert picks[BY_224] == picks["static"] == ["L/16 i21k"]
    assert picks["per_group"] == ["B/32 i21k", "L/16 i21k", "L/16 i21k_30", "R26+S/32 i21k", "R50+L/32 i21k"]
    regret = 100 * FOUND.groupby("strategy")["regret"].mean()
    assert regret.round(2).to_dict() == {
        "adapt_all": 0,
        BY_224: 0.95,
        BY_384: 1.75,
        "largest": 1.75,
        "static": 0.95,
        "per_group": 1.37,
    }
    lost = FOUND[FOUND["strategy"] == "largest"].set_index("adapt_ds")["regret"]
    assert 100 * lost["vtab_smallnorb_elevation"] == pytest.approx(21.3)
    assert FOUND["basis"].eq("test-on-test").all()
    assert FOUND["val"].isna().all()


def test_an_independent_count_agrees():
    rows = lines("vtab_full.csv")
    tasks = [task.removeprefix("vtab_") for task in FULL]
    table = {f"{r['name']} {r['ds']}": {t: float(r[t]) for t in tasks} for r in rows}
    mine = FOUND.pivot(index="adapt_ds", columns="strategy", values="regret")
    for task in tasks:
        best = max(row[task] for row in table.values())
        others = {c: sum(row[t] for t in tasks if t != task) for c, row in table.items()}
        loto = max(sorted(others), key=others.__getitem__)
        assert 100 * mine.at[f"vtab_{task}", "static"] == pytest.approx(best - table[loto][task])
        assert 100 * mine.at[f"vtab_{task}", "largest"] == pytest.approx(best - table["R50+L/32 i21k"][task])


def test_intervals_of_the_published_regrets():
    found = means(FOUND)
    at = found["scope"].eq("overall") & found["convention"].eq("mean_over_tasks") & found["name"].eq(OF_ALL)
    overall = (100 * found[at].set_index("strategy")[["regret", "regret_low", "regret_high"]]).round(1)
    assert overall.loc["static"].tolist() == [0.9, 0.4, 1.8]
    assert overall.loc["largest"].tolist() == [1.8, 0.2, 4.6]
    apart = intervals.difference(FOUND, "static", "largest")
    assert 100 * apart.estimate == pytest.approx(0.805, abs=0.001)
    assert intervals.verdict(apart, "static", "largest").startswith("not separable: +0.81 [-0.34, +2.82] points on 19 tasks")
    # On these very tasks their test images do tell them apart.
    assert intervals.difference(FOUND, "static", "largest", over=(intervals.EXAMPLES,)).separable


def test_the_page_says_these_numbers():
    page = (PUBLISHED.parents[1] / "docs" / "selection.md").read_text()
    found = means(FOUND)
    at = found["scope"].eq("overall") & found["convention"].eq("mean_over_tasks") & found["name"].eq(OF_ALL)
    said = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| (\d\.\d \[\d\.\d, \d\.\d\] \| \d+\.\d)", page, re.MULTILINE))
    names = {
        "`static`: best on the other 18 tasks": "static",
        "`per_group`: best on the other tasks of the group": "per_group",
    }
    assert len(said) == 5
    for rule, numbers in said.items():
        row = 100 * found[at].set_index("strategy").loc[names.get(rule, rule), ["regret", "regret_low", "regret_high"]]
        worst = 100 * FOUND.loc[FOUND["strategy"] == names.get(rule, rule), "regret"].max()
        assert numbers == "{:.1f} [{:.1f}, {:.1f}] | {:.1f}".format(*row, worst)


def test_figure_5_left():
    cells = published.upstream_vs_downstream(PUBLISHED)
    assert len(cells) == 54
    at = cells.set_index(["name", "adapt_ds"])["value"]
    assert at["B/16", "resisc45"] == pytest.approx(-0.036)
    assert at["B/32", published.MINIVAL] == pytest.approx(0.062)
    assert at["S/32", "imagenet2012"] == pytest.approx(-0.013)


def test_a_folder_without_the_numbers_says_which(tmp_path):
    with pytest.raises(UserError, match=r"vtab_full\.csv: no published numbers"):
        published.vtab_full(tmp_path)
    (tmp_path / "vtab_full.csv").write_text("name,ds\n")
    with pytest.raises(UserError, match=r"vtab_full\.csv: no column 'caltech101'"):
        published.vtab_full(tmp_path)


# Any matrix.


def small(**more):
    """Two candidates on three tasks; `a` is better on average, `b` on task z."""
    tests = {("a", "x"): 0.8, ("a", "y"): 0.7, ("a", "z"): 0.5, ("b", "x"): 0.6, ("b", "y"): 0.6, ("b", "z"): 0.6}
    frame = pd.DataFrame([{"candidate": c, "task": t, "test": v} for (c, t), v in tests.items()])
    return frame.assign(**more)


def test_with_validation_scores_validation_chooses_and_test_scores():
    found = compare(small(val=[0.1, 0.1, 0.1, 0.2, 0.2, 0.2], n_test=100, group="natural"), ["static"])
    assert found["filename"].tolist() == ["b"] * 6
    assert found["test"].tolist() == [0.6] * 6
    assert found["val"].tolist() == [0.2] * 6
    assert found["regret"].eq(0).all()
    assert found["basis"].eq("validation").all()
    assert found["finetunes"].tolist() == [2, 1] * 3
    assert found["n_test"].eq(100).all()
    assert found["name"].eq(OF_ALL).all()


def test_a_look_back_has_to_be_asked_for():
    for look in (to_table, lambda matrix: compare(matrix, [])):
        with pytest.raises(UserError, match="no column 'val', and test scores select nothing"):
            look(small())
    found = compare(small(), ["static"], test_on_test=True)
    assert found["filename"].tolist() == ["a", "a", "a", "a", "b", "a"]
    assert found["regret"].tolist() == pytest.approx([0, 0, 0, 0, 0, 0.1])


def test_a_candidate_competes_where_it_has_a_score():
    found = compare(small().iloc[:-1], ["static"], test_on_test=True)
    assert found[["adapt_ds", "filename"]].to_numpy().tolist()[4:] == [["z", "a"], ["z", "a"]]
    assert found["finetunes"].tolist() == [2, 1, 2, 1, 1, 1]


def test_rules_by_columns_break_ties_by_the_next_column_and_then_by_name():
    facts = {"a": (1, 9), "b": (5, 1), "c": (5, 2), "d": (5, 2), "e": (9, None)}
    rows = [{"candidate": c, "task": t, "test": 0.5, "params": p, "seen": s} for c, (p, s) in facts.items() for t in "xy"]
    frame = pd.DataFrame(rows)
    rules = [by(frame, "largest", "params", "seen"), by(frame[frame["candidate"] != "e"], "params", "params")]
    found = compare(frame, rules, test_on_test=True)
    assert found["filename"].tolist() == ["a", "c", "b"] * 2
    with pytest.raises(UserError, match="no column 'param'; did you mean 'params'"):
        by(frame, "largest", "param")


def test_a_prior_is_what_upstream_best_goes_by():
    table = to_table(VTAB, "imagenet_224", test_on_test=True)
    mine = FOUND[FOUND["strategy"] == BY_224]
    theirs = compare_table(table, strategies=["upstream_best"], pool="all")
    assert theirs["filename"].tolist() == mine["filename"].tolist()
    assert theirs["test"].tolist() == mine["test"].tolist()
    assert theirs["regret"].to_numpy() == pytest.approx(mine["regret"].to_numpy())


def test_a_matrix_is_read_and_written_as_csv(tmp_path):
    small().sample(frac=1, random_state=0).to_csv(tmp_path / "m.csv", index=False)
    pd.testing.assert_frame_equal(read_matrix(tmp_path / "m.csv"), checked(small()))
    with pytest.raises(UserError, match=r"none\.csv: no such matrix"):
        read_matrix(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_text("")
    with pytest.raises(UserError, match=r"bad\.csv: not readable as CSV"):
        read_matrix(tmp_path / "bad.csv")
    (tmp_path / "m.csv").write_text("candidate,task,score\na,x,1\n")
    with pytest.raises(UserError, match=r"m\.csv: the matrix has no column 'test'; it has candidate, task, score"):
        read_matrix(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (small().iloc[:0], "no rows"),
        (small(test=[80, 70, 50, 60, 60, 60]), r"rows 2, 3, 4 and 3 more: column 'test' is not in \[0, 1\]: .* fractions"),
        (small(val=[0.1, None, 0.1, 0.2, 0.2, 0.2]), "row 3: column 'val' is no number"),
        (pd.concat([small(), small().iloc[:1]]), "row 8: this candidate has two rows on this task"),
        (small(candidate=["a", None, "a", "b", "b", "b"]), "row 3: column 'candidate' is empty"),
        (small(params=[1, 2, 1, 1, 1, 1]), "candidate 'a' has several values of 'params'"),
        (small(group=["natural", "natural", "x", "natural", "natural", "natural"]), "task 'z' has several values of 'group'"),
    ],
)
def test_what_is_wrong_with_a_matrix_is_said(frame, message):
    with pytest.raises(UserError, match=message):
        checked(frame)


def test_a_prior_is_a_column():
    with pytest.raises(UserError, match="no column 'imagenet'; valid: params"):
        to_table(small(params=1), "imagenet", test_on_test=True)
