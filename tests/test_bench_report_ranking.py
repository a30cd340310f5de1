"""Checkpoints that were tried on a task, best first."""

import math

import pandas as pd
import pytest

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.report import ranking

SETTINGS = {"adapt_lr": 0.1, "adapt_steps": 100, "adapt_resolution": 28, "params": 1000.0, "adapt_fit": "train"}


def row(filename, run, val, test=0.5, task="birds", n=1000, **changes):
    """Returns a transfer's row; `val` None where it diverged."""
    status = "diverged" if val is None else "ok"
    facts = {"name": "ViT-mu", "filename": filename, "adapt_filename": f"{filename}--{run}", "adapt_ds": task}
    scores = {"adapt_final_val": val, "adapt_final_test": None if val is None else test, "adapt_status": status}
    return {**SETTINGS, **facts, **scores, "adapt_n_val": n, "adapt_n_test": n, **changes}


def table(*rows):
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


TABLE = table(
    row("b", "1", 0.80, 0.11),
    row("b", "2", 0.90, 0.12, adapt_lr=0.3),
    row("a", "1", 0.90, 0.13),
    row("c", "1", 0.70, 0.99),
    row("d", "1", None),
    row("a", "other", 0.2, 0.3, task="ants"),
)


def test_the_best_on_validation_is_first_whatever_test_says_and_equals_are_sorted_by_name():
    found = ranking.ranking(TABLE)
    assert list(found.columns) == list(ranking.COLUMNS)
    assert found["adapt_ds"].tolist() == ["ants"] + ["birds"] * 4
    birds = found[found["adapt_ds"] == "birds"]
    assert birds["filename"].tolist() == ["a", "b", "c", "d"]
    assert birds["val"].tolist()[:3] == [0.9, 0.9, 0.7]
    assert birds["adapt_lr"].tolist()[:3] == [0.1, 0.3, 0.1]
    assert birds["runs"].tolist() == [1, 2, 1, 1]
    # Of all others the test score stays closed.
    assert birds["test"].tolist()[0] == 0.13
    assert birds["test"].isna().tolist() == [False, True, True, True]
    assert math.isnan(birds["val"].iloc[3])


def test_what_the_first_is_ahead_has_newcombes_interval():
    """Wilson intervals of 900 and 700 of 1,000, joined by method 10 of Newcombe 1998, written out here."""
    found = ranking.ranking(TABLE).query("filename == 'c'").iloc[0]
    z, n, ends = 1.959963984540054, 1000, []
    for p in (0.9, 0.7):
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        ends.append(((p + z * z / (2 * n) - half) / (1 + z * z / n), (p + z * z / (2 * n) + half) / (1 + z * z / n)))
    (low_a, high_a), (low_b, high_b) = ends
    assert found["behind"] == pytest.approx(0.2)
    assert found["behind_low"] == pytest.approx(0.2 - math.hypot(0.9 - low_a, high_b - 0.7))
    assert found["behind_high"] == pytest.approx(0.2 + math.hypot(high_a - 0.9, 0.7 - low_b))


def test_what_a_strategy_chose_is_first_with_the_run_that_it_chose():
    found = ranking.ranking(TABLE, chosen={"birds": "b--1"}).query("adapt_ds == 'birds'")
    assert found["filename"].tolist() == ["b", "a", "c", "d"]
    assert found["val"].tolist()[0] == 0.8
    assert found["test"].tolist()[0] == 0.11
    assert found["behind"].tolist()[1] == pytest.approx(-0.1)


def test_the_linear_probe_at_the_resolution_of_the_run_and_where_weights_are():
    values = [("a", 28, "val", 0.6), ("a", 28, "test", 0.1), ("a", 42, "val", 0.2), ("x", 28, "val", 0.9)]
    scores = pd.DataFrame(
        [
            {"filename": f, "adapt_ds": "birds", "adapt_resolution": r, "score": "linear_probe", "split": s, "value": v}
            for f, r, s, v in values
        ]
    )
    found = ranking.ranking(TABLE, scores, weights={"a": "/w/a.npz"}.get).query("adapt_ds == 'birds'")
    assert found["linear_probe"].tolist()[0] == 0.6
    assert found["linear_probe"].isna().tolist()[1:] == [True] * 3
    assert found["weights"].fillna("").tolist() == ["/w/a.npz", "", "", ""]


def test_the_recommendation_says_who_cannot_be_told_apart():
    text = ranking.to_markdown(ranking.ranking(TABLE))
    assert (
        "## birds\n\nTake a with lr 0.1, 100 steps, 28 px: 90.0% on validation, 13.0% on test. Not separable from b.\n" in text
    )
    assert "## ants\n\nTake a with" in text
    assert "30.0% on test. No other checkpoint was adapted.\n" in text
    assert "| c | 70.0% | 20.0 [+16.6, +23.4] |" in text
    clear = ranking.ranking(table(row("a", "1", 0.9), row("c", "1", 0.7)))
    assert "behind by more than the number of images leaves open" in ranking.sentence(clear)
    few = ranking.ranking(table(row("a", "1", 0.9, n=10), row("c", "1", 0.7, n=10)))
    assert ranking.sentence(few).endswith("Not separable from c.")
    unknown = ranking.ranking(table(row("a", "1", 0.9, n=None), row("c", "1", 0.7, n=None)))
    assert ranking.sentence(unknown).endswith("Not separable from c.")
    none = ranking.ranking(table(row("a", "1", None), row("b", "1", None)))
    assert ranking.sentence(none) == "No checkpoint can be recommended: all runs diverged."


def test_runs_that_do_not_compare_are_refused():
    with pytest.raises(UserError, match="mix several"):
        ranking.ranking(table(row("a", "1", 0.9), row("b", "1", 0.8, adapt_fit="tune")))
