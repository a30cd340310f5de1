"""Advice on images that nothing was adapted to yet, from made tables and scores."""

import pandas as pd
import pytest

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.report.advised import advise
from bench.report.settings import usual
from bench.report.text import to_text
from bench.select.gap import gap

UPSTREAM = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
PROBED = {"a": 0.50, "b": 0.60, "c": 0.75, "d": 0.74}


def table(tasks=("digits", "kitti")):
    rows = []
    for i, (filename, val) in enumerate(UPSTREAM.items()):
        facts = {"name": "ViT-mu", "ds": "mnist5k", "aug": "none", "wd": 0.1, "do": 0.0, "filename": filename, "status": "ok"}
        facts |= {"final_val": val, "final_test": val, "params": 70_000.0, "infer_samples_per_sec": 100.0 + i}
        for task in tasks:
            for lr, val in ((0.01, 0.5 + 0.01 * i), (0.03, 0.6 + 0.01 * i)):
                adapted = {"adapt_ds": task, "adapt_lr": lr, "adapt_steps": 100, "adapt_resolution": 28, "adapt_status": "ok"}
                adapted |= {"adapt_final_val": val, "adapt_final_test": val, "adapt_group": "natural"}
                rows.append({**facts, **adapted, "adapt_filename": f"{filename}--{task}-steps_100-lr_{lr}-res_28-batch_64"})
        if not tasks:
            rows.append(facts)
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def scores(task="mine", values=PROBED, score="linear_probe", split="val"):
    about = {"name": "ViT-mu", "adapt_ds": task, "adapt_resolution": 28, "score": score, "split": split, "n": 200}
    return pd.DataFrame([{**about, "filename": f, "value": v, "flops": 1.0, "seconds": 1.0} for f, v in values.items()])


def test_the_hybrid_takes_the_best_upstream_and_the_best_by_probe():
    found = advise(table(), scores(), "mine", budget=3, weights={"c": "c.npz"}.get).set_index("filename")
    assert found.index.tolist() == ["c", "d", "a", "b"]  # c, d by the probe, a by upstream; b is left
    assert found["reason"].str.split(":").str[0].tolist() == [*["adapt it, hybrid takes 3"] * 3, "leave it"]
    assert found.at["a", "reason"] == "adapt it, hybrid takes 3: best upstream of 4; linear probe 50.0%, number 4 of 4"
    row = found.loc["c"]
    ahead = gap(0.75, 200, 0.74, 200)
    assert (row["gap"], row["gap_low"], row["gap_high"]) == pytest.approx((ahead.estimate, ahead.low, ahead.high))
    assert row["reason"].endswith("linear probe 75.0%, first of 4, +1.0 [-7.5, +9.5] points before d: not separable")
    assert row[["task", "criterion", "runner_up", "weights", "finetunes"]].tolist() == ["mine", "linear_probe", "d", "c.npz", 0]
    assert row["settings"] == "lr 0.03, 100 steps, 28 px, batch 64"
    assert found["infer_samples_per_sec"].loc[["a", "d"]].tolist() == [100.0, 103.0]


def test_the_usual_budget_is_the_strategys():
    assert advise(table(), scores(), "mine")["reason"].str.startswith("adapt").sum() == 2
    probe = advise(table(), scores(), "mine", "linear_probe")
    assert probe.loc[probe["reason"].str.startswith("adapt"), "filename"].tolist() == ["c"]
    everything = advise(table(), scores(), "mine", "adapt_all")
    assert everything["reason"].str.startswith("adapt").all()


def test_test_scores_do_not_choose():
    swapped = scores(values=dict(zip(PROBED, reversed(PROBED.values()), strict=True)), split="test")
    both = pd.concat([scores(), swapped], ignore_index=True)
    pd.testing.assert_frame_equal(advise(table(), both, "mine"), advise(table(), scores(), "mine"))


def test_a_score_that_is_no_accuracy_has_no_points():
    both = pd.concat([scores(), scores(score="logme", values={"a": 1.5, "b": 0.25}, split="train")], ignore_index=True)
    found = advise(table(), both, "mine", "logme").set_index("filename")
    assert found.index.tolist() == ["a", "b", "c", "d"]
    assert found["gap"].isna().all()
    assert found.at["a", "reason"] == "adapt it, logme takes 1: logme 1.5, first of 2"
    assert found.at["c", "reason"] == "leave it: no logme score"


def test_what_it_may_lose_comes_from_the_tables_tasks():
    unknown = advise(table(), scores(), "mine")
    assert unknown["regret"].isna().all()
    assert unknown["regret_tasks"].eq(0).all()
    # On the table's tasks d is best, and the probe knows it on one of them alone.
    known = pd.concat([scores(), scores("digits", {"d": 0.9}), scores("kitti", {"c": 0.9})], ignore_index=True)
    found = advise(table(), known, "mine", "linear_probe")
    assert found["regret"].tolist() == pytest.approx([0.005] * 4)
    assert found["regret_tasks"].eq(2).all()
    assert "| +0.5 on 2 tasks |" in to_text(found, "md")


def test_a_table_without_transfers_has_no_settings_to_offer():
    found = advise(table(tasks=()), scores(), "mine")
    assert found["settings"].isna().all()
    assert found["filename"].tolist()[0] == "c"


def test_settings_are_those_that_do_best_on_most_tasks():
    rows = table()
    assert [row["adapt_lr"] for row in usual(rows)] == [0.03]
    # What was tried on one task alone does not count, however well it does there.
    rows.loc[(rows["adapt_lr"] == 0.03) & (rows["adapt_ds"] == "kitti"), "adapt_final_val"] = None
    assert [row["adapt_lr"] for row in usual(rows)] == [0.01]
    assert usual(rows.iloc[:0]) == []


def test_without_the_score_that_is_needed_it_says_so():
    with pytest.raises(UserError, match="needs the score 'linear_probe'"):
        advise(table(), scores(score="knn"), "mine")
    with pytest.raises(UserError, match="no strategy 'hybird'; did you mean 'hybrid'"):
        advise(table(), scores(), "mine", "hybird")
