"""How well strategies order checkpoints: hand-made scores, and a table with probes."""

import pandas as pd
import pytest

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.records.scores import COLUMNS as SCORES
from bench.select.rankings import mean_rankings, of_strategies, rankings


def test_rankings_of_every_score_on_every_task():
    reached = pd.DataFrame(
        {"name": "m", "adapt_ds": ["t"] * 3 + ["u"], "filename": ["a", "b", "c", "a"], "test": [0.6, 0.8, 0.7, 0.5]}
    ).assign(adapt_group="natural")
    predicted = pd.DataFrame(
        {
            "name": "m",
            "adapt_ds": ["t"] * 5 + ["u"],
            "filename": ["a", "b", "c", "a", "b", "a"],
            "score": ["knn"] * 3 + ["leep"] * 2 + ["knn"],
            "value": [1, 3, 2, 9, 1, 1],
        }
    )
    found = rankings(predicted, reached).set_index("score")
    assert found["checkpoints"].to_dict() == {"knn": 3, "leep": 2}
    assert found.loc["knn", ["tau", "rel_1", "recall_1"]].tolist() == pytest.approx([1, 1, 1])
    assert found.loc["leep", ["tau", "rel_1", "rel_3", "recall_1", "recall_3"]].tolist() == pytest.approx([-1, 0.75, 1, 0, 1])
    with pytest.raises(UserError, match="row 7: this checkpoint has two values of one score"):
        rankings(pd.concat([predicted.iloc[:5], predicted.iloc[:1]], ignore_index=True), reached)
    with pytest.raises(UserError, match="no column 'value'"):
        rankings(predicted.drop(columns="value"), reached)


TASKS = ("digits", "cifar100", "resisc45", "vtab_dtd", "vtab_eurosat", "vtab_dmlab")


def table():
    """Three checkpoints on six tasks; on test c is best and a worst, on upstream validation the other way round."""
    rows = []
    for i, filename in enumerate("abc"):
        upstream = {"name": "ViT-mu", "ds": "mnist5k", "aug": "none", "wd": 0.1, "do": 0.0, "filename": filename}
        upstream |= {"final_val": 0.9 - 0.1 * i, "status": "ok", "params": 1e6}
        for task in TASKS:
            for lr, test in ((0.01, 0.5 + 0.1 * i), (0.03, 0.99)):
                transfer = {"adapt_ds": task, "adapt_filename": f"{filename}--{task}-{lr}", "adapt_status": "ok"}
                # The run that would do best on test is not the one that validation chooses.
                rows.append({**upstream, **transfer, "adapt_final_val": 0.5 if lr == 0.01 else 0.4, "adapt_final_test": test})
    frame = pd.DataFrame(rows, columns=[c.name for c in COLUMNS])
    return frame.astype({c.name: c.dtype for c in COLUMNS})


def scores():
    rows = [
        {"filename": f, "name": "ViT-mu", "adapt_ds": t, "score": "logme", "split": "train", "value": i, "adapt_resolution": 28}
        for i, f in enumerate("abc")
        for t in TASKS
    ]
    return pd.DataFrame(rows, columns=[c.name for c in SCORES]).assign(n=800, flops=1e9, seconds=1.0)


def test_strategies_that_rank_are_measured_by_what_validation_makes_of_each_checkpoint():
    found = of_strategies(table(), scores())
    assert set(found["score"]) == {"upstream_best", "random_k", "static", "per_group", "logme"}
    assert found["checkpoints"].eq(3).all()
    at = found.set_index(["score", "adapt_ds"])
    assert at.loc["logme", ["tau", "rel_1", "recall_1"]].to_numpy() == pytest.approx(1)
    assert at.loc["upstream_best", "tau"].to_numpy() == pytest.approx(-1)
    assert at.loc["upstream_best", "rel_1"].to_numpy() == pytest.approx(5 / 7)
    # All checkpoints are as large as each other: no order that size could give.
    assert "size" not in found["score"].tolist()
    assert found.set_index("adapt_ds").loc["resisc45", "adapt_group"].unique().tolist() == ["specialized"]


def test_means_of_rankings_have_intervals():
    means = mean_rankings(of_strategies(table(), scores())).set_index("score")
    assert means.index[0] == "logme"
    assert means.loc["logme", ["tasks", "tau", "tau_low", "tau_high", "rel_1"]].tolist() == pytest.approx([6, 1, 1, 1, 1])
    assert means.loc["upstream_best", ["tau", "rel_3", "recall_1"]].tolist() == pytest.approx([-1, 1, 0])
    few = of_strategies(table()[table()["adapt_ds"] == "digits"])
    assert "static" not in set(few["score"])
    assert mean_rankings(few)["tau_low"].isna().all()


def test_a_table_without_transfers_has_no_rankings():
    whole = table()
    upstream = (
        whole[[c for c in whole if not c.startswith("adapt_")]].drop_duplicates("filename").reindex(columns=whole.columns)
    )
    assert of_strategies(upstream.astype(whole.dtypes)).empty
    with pytest.raises(UserError, match="rankings: no column 'tau'"):
        mean_rankings(of_strategies(table()).drop(columns="tau"))
