"""Tuning on one task group, judging on the others."""

import pandas as pd
import pytest

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.records.scores import COLUMNS as SCORES
from bench.select.strategies.thrifty import Constants
from bench.select.tuning import GRID, _best, tune

GROUPS = ("natural", "structured")


def world(lost=0.1):
    """Two checkpoints and fourteen tasks: the linear probe and upstream validation favour a, and b is better by `lost`."""
    rows, scores = [], []
    for i in range(14):
        for name, final_val, probe, reached in (("a", 0.9, 0.6, 0.5), ("b", 0.8, 0.5, 0.5 + lost), ("c", 0.7, 0.4, 0.3)):
            task, group = f"task{i}", GROUPS[i % 2]
            scores.append((name, "ViT-mu", task, 28, "linear_probe", "val", 200, probe, 1.0, 1.0))
            for steps, less in ((100, 0.1), (400, 0.0)):
                upstream = {"name": "ViT-mu", "ds": "mnist5k", "filename": name, "final_val": final_val, "status": "ok"}
                facts = {"adapt_ds": task, "adapt_group": group, "adapt_steps": steps, "adapt_status": "ok"}
                accuracies = {"adapt_final_val": reached - less, "adapt_final_test": reached - less - 0.01 * i}
                run = {"adapt_filename": f"{name}--{task}-{steps}", "adapt_train_flops": float(steps)}
                rows.append(upstream | facts | accuracies | run)
    table = pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})
    return table, pd.DataFrame(scores, columns=[c.name for c in SCORES]).astype({c.name: c.dtype for c in SCORES})


def test_of_constants_that_cost_no_more_those_that_lose_least_are_taken():
    trials = pd.DataFrame(
        {"lost": [0.01, 0.03, 0.02, 0.02], "share": [0.5, 0.1, 0.2, 0.2], "name": ["dear", "cheap", "fair", "hybrid"]}
    ).set_index("name")
    assert _best(trials, "hybrid") == "fair"
    assert _best(trials.assign(share=[0.5, 0.4, 0.3, 0.2]), "hybrid") == "fair"  # all are dearer: the cheapest
    assert _best(trials.assign(lost=0.1), "hybrid") == "cheap"


def test_it_is_tuned_on_one_group_and_judged_on_the_others_by_a_paired_interval():
    prices = (10.0, 0.05, 0.0)
    found = tune(*world(), "natural", grid=[Constants(price=price) for price in prices])
    # The first takes a's cheap run and stops: 0.2 lost. The last does not stop before it has paid more than the hybrid.
    assert found.trials["lost"].tolist() == pytest.approx([0.2, 0.0, 0.0, 0.0])
    assert found.trials.index[-1] == "hybrid"
    shares = found.trials["share"].tolist()
    assert shares[0] == pytest.approx((100 + 3) / 1500)  # its run, and three probes
    assert shares[1] < shares[3] < shares[2]
    assert found.constants == Constants(price=0.05)
    assert found.lines()[0] == "tuned on natural: trust 1, surprise 1, price 0.05"
    assert set(found.comparison["adapt_group"]) == {"structured"}
    assert found.comparison["adapt_ds"].nunique() == 7
    assert found.difference.tasks == 7


def test_what_is_no_better_is_not_separable_and_what_is_worse_is_said():
    same = tune(*world(lost=-0.1), "natural", grid=[Constants(price=0.0005)])
    assert same.difference.estimate == 0
    assert same.verdict.startswith("not separable: ")
    worse = tune(*world(), "natural", grid=[Constants(price=10.0)])
    assert worse.difference.separable
    assert worse.verdict.startswith("hybrid is better than thrifty by +20.0")
    assert any(line.endswith(worse.verdict) for line in worse.lines())


def test_groups_that_cannot_be_tuned_on():
    table, scores = world()
    with pytest.raises(UserError, match="no task of the table is 'natura'; did you mean 'natural'"):
        tune(table, scores, "natura")
    alone = table[table["adapt_group"] == "natural"].reset_index(drop=True)
    with pytest.raises(UserError, match="all tasks of the table are 'natural', so that none is left to judge by"):
        tune(alone, scores, "natural")


def test_the_grid_holds_the_usual_constants():
    assert Constants() in GRID
    assert len(set(GRID)) == len(GRID)
