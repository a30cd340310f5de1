import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.records.scores import COLUMNS as SCORES
from bench.select.compare import RESULT, compare, compare_seeds
from bench.select.means import means
from bench.select.runs import upstream_runs
from bench.select.strategy import Choice, Strategy
from bench.select.validation import notices


def frame(rows):
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def run(filename, final_val, status="ok", name="ViT-mu", ds="mnist5k"):
    return {
        "name": name,
        "ds": ds,
        "aug": "none",
        "wd": 0.1,
        "do": 0.0,
        "filename": filename,
        "final_val": final_val,
        "status": status,
    }


def transfer(upstream, lr, val, test, task="digits", status="ok", group="natural", **more):
    return {
        **upstream,
        "adapt_ds": task,
        "adapt_lr": lr,
        "adapt_final_val": val,
        "adapt_final_test": test,
        "adapt_status": status,
        "adapt_filename": f"{upstream['filename']}--{task}-lr_{lr}",
        "adapt_group": group,
        "adapt_synthetic": False,
        "adapt_train_seconds": 2.0,
        **more,
    }


BOTH = ("upstream_best", "adapt_all")
A, B = run("a", 0.90), run("b", 0.80)
SMALL = frame(
    [
        transfer(A, 0.01, 0.70, 0.71),
        transfer(A, 0.03, 0.72, 0.69),
        transfer(B, 0.01, 0.75, 0.74),
        transfer(B, 0.03, 0.60, 0.99),
    ]
)


PROXIES = ("linear_probe", "knn", "ridge_10", "logme")


def probe(filename, score, value, split="val", side=28):
    facts = {"filename": filename, "name": "ViT-mu", "adapt_ds": "digits", "adapt_resolution": side, "score": score}
    return {**facts, "split": split, "n": 200, "value": value, "flops": 5e8, "seconds": 18.0}


def score_table(rows):
    return pd.DataFrame(rows, columns=[c.name for c in SCORES]).astype({c.name: c.dtype for c in SCORES})


def pick(table, strategy, task="digits", **more):
    found = compare(table, **more)
    return found[(found["strategy"] == strategy) & (found["adapt_ds"] == task)].iloc[0]


def test_hand_computed_comparison():
    found = compare(SMALL, strategies=BOTH)
    assert list(found.columns) == list(RESULT)
    assert found["strategy"].tolist() == ["upstream_best", "adapt_all"]
    assert found["filename"].tolist() == ["a", "b"]
    assert found["adapt_filename"].tolist() == ["a--digits-lr_0.03", "b--digits-lr_0.01"]
    assert found["val"].tolist() == [0.72, 0.75]
    assert found["test"].tolist() == [0.69, 0.74]
    assert found["finetunes"].tolist() == [2, 4]
    assert found["train_seconds"].tolist() == [4.0, 8.0]
    assert found["regret"].tolist() == [pytest.approx(0.05), 0.0]


def test_regret_is_negative_where_the_cheaper_choice_is_better():
    table = frame([transfer(A, 0.01, 0.70, 0.80), transfer(B, 0.01, 0.75, 0.74)])
    assert pick(table, "upstream_best")["regret"] == pytest.approx(-0.06)


@pytest.mark.parametrize("order", [1, -1])
def test_ties_take_the_smallest_name_whatever_the_order_of_rows(order):
    c, d = run("c", 0.9), run("d", 0.9)
    table = frame([transfer(u, lr, 0.7, 0.5) for u in (d, c) for lr in (0.03, 0.01)][::order])
    found = compare(table, score_table([probe(u, score, 0.5) for u in "cd" for score in PROXIES])).set_index("strategy")
    # Chance prefers nobody.
    assert found.drop("random_k")["adapt_filename"].eq("c--digits-lr_0.01").all()
    assert {"hybrid", "thrifty", "halving", "ridge"} < set(found.index)


def test_diverged_and_missing_scores_never_win():
    table = frame(
        [
            transfer(run("gone", 0.99, "diverged"), 0.01, 0.99, 0.99),
            transfer(run("unscored", None), 0.01, 0.50, 0.50),
            transfer(A, 0.01, 0.98, 0.98, status="diverged"),
            transfer(A, 0.02, None, 0.97),
            transfer(A, 0.03, 0.40, 0.41),
            transfer(B, 0.01, 0.30, 0.31),
        ]
    )
    assert pick(table, "upstream_best")["adapt_filename"] == "a--digits-lr_0.03"
    assert pick(table, "upstream_best")["finetunes"] == 3
    assert pick(table, "adapt_all")["adapt_filename"] == "unscored--digits-lr_0.01"
    assert pick(table, "adapt_all")["finetunes"] == 5


def test_a_table_without_statuses_is_the_released_index():
    table = SMALL.assign(status=pd.NA, adapt_status=pd.NA).astype({"status": "string", "adapt_status": "string"})
    pd.testing.assert_frame_equal(compare(table), compare(SMALL))


def test_upstream_best_without_transfers_is_not_replaced_by_another():
    found = compare(frame([run("best", 0.99), transfer(A, 0.01, 0.7, 0.7)]))
    first = found.iloc[0]
    assert first["filename"] == "best"
    assert first["finetunes"] == 0
    assert pd.isna(first["adapt_filename"])
    assert np.isnan(first["test"])
    assert np.isnan(first["regret"])


@pytest.mark.parametrize("ds", ["i21k", "i21k_30", "i21k_bv", "i21k_10pct"])
def test_imagenet_is_chosen_by_imagenet_v2_and_the_two_scales_never_compete(ds):
    facts = {"task": "imagenet2012"}
    a, b = run("a", 0.90, ds=ds), run("b", 0.80, ds="i1k")
    both = [
        transfer(a, 0.01, 0.90, 0.80, **facts, adapt_final_val_v2=0.70),
        transfer(a, 0.03, 0.85, 0.82, **facts, adapt_final_val_v2=0.72),
    ]
    chosen = pick(frame(both), "adapt_all", "imagenet2012")
    assert (chosen["adapt_filename"], chosen["val"]) == ("a--imagenet2012-lr_0.03", 0.72)
    assert chosen["val_split"] == "imagenet_v2"
    mixed = [*both, transfer(b, 0.01, 0.80, 0.10, **facts)]
    chosen = pick(frame(mixed), "adapt_all", "imagenet2012")
    assert (chosen["adapt_filename"], chosen["val"]) == ("a--imagenet2012-lr_0.01", 0.90)
    assert chosen["val_split"] == "val"
    # One checkpoint that saw the images is enough.
    known = [*both, transfer(b, 0.01, 0.80, 0.10, **facts, adapt_final_val_v2=0.75)]
    assert pick(frame(known), "adapt_all", "imagenet2012")["adapt_filename"] == "b--imagenet2012-lr_0.01"


def test_runs_that_imagenet_v2_should_judge_and_does_not_are_said():
    a, b = run("a", 0.9, ds="i21k"), run("b", 0.8, ds="i1k")
    rows = [transfer(a, 0.01, 0.9, 0.8, "imagenet2012"), transfer(b, 0.01, 0.9, 0.8, "imagenet2012")]
    [said] = notices(frame(rows))
    assert said.startswith(
        "imagenet2012: 1 runs of checkpoints that saw its validation images upstream have no ImageNetV2 score"
    )
    assert notices(frame([{**rows[0], "adapt_final_val_v2": 0.7}, rows[1]])) == []
    assert notices(frame([{**rows[0], "adapt_status": "diverged"}, rows[1]])) == []
    assert notices(SMALL) == []


def test_minival_selects_where_no_checkpoint_saw_it():
    upstream = run("a", 0.9, ds="i1k")
    rows = [
        transfer(upstream, lr, val, 0.8, "imagenet2012", adapt_final_val_v2=v2)
        for lr, val, v2 in ((0.01, 0.9, 0.1), (0.03, 0.8, 0.9))
    ]
    chosen = pick(frame(rows), "adapt_all", "imagenet2012")
    assert (chosen["adapt_filename"], chosen["val"], chosen["val_split"]) == ("a--imagenet2012-lr_0.01", 0.9, "val")


def test_v2_counts_for_imagenet_only():
    table = frame([transfer(A, 0.01, 0.9, 0.8, adapt_final_val_v2=0.1), transfer(A, 0.03, 0.8, 0.8, adapt_final_val_v2=0.9)])
    assert pick(table, "adapt_all")["val"] == 0.9


def test_pools_are_per_model_and_can_be_restricted_to_upstream_sets():
    small = run("small", 0.95, ds="mnist5k_10pct")
    other = run("other", 0.10, name="NFNet-mu")
    table = frame(
        [transfer(A, 0.01, 0.7, 0.6), transfer(small, 0.01, 0.8, 0.5), transfer(other, 0.01, 0.2, 0.2)],
    )
    assert compare(table, strategies=BOTH)["name"].tolist() == ["NFNet-mu", "NFNet-mu", "ViT-mu", "ViT-mu"]
    assert compare(table, ds=["mnist5k"], strategies=BOTH)["filename"].tolist() == ["other", "other", "a", "a"]
    assert compare(table, strategies=BOTH)["filename"].tolist() == ["other", "other", "small", "small"]
    together = compare(table, strategies=BOTH, pool="all")
    assert together["name"].tolist() == ["any model"] * 2
    assert together["filename"].tolist() == ["small", "small"]
    with pytest.raises(UserError, match=r"no run of the table has ds 'mnist5k_10pc'; did you mean 'mnist5k_10pct'"):
        compare(table, ds=["mnist5k_10pc"])


def test_strategies_never_see_a_test_column():
    seen = []

    def spy(pool, _budget):
        for frame in (pool.checkpoints, pool.runs, pool.scores, pool.history):
            seen.extend(frame.columns)
        yield list(pool.runs.index)
        return Choice(None, None, "")

    compare(SMALL.assign(adapt_final_test_v2=1.0, extra=2.0), strategies=[Strategy("spy", "", spy, usual=None)])
    assert {"final_val", "adapt_lr", "score"} <= set(seen)
    assert not [c for c in seen if "test" in c or c == "extra"]


def test_a_new_strategy_is_a_coroutine():
    def first(pool, _budget):
        run = pool.runs.index[0]
        yield [run]
        return Choice(pool.runs.at[run, "filename"], run, "the first")

    found = compare(SMALL, strategies=[*BOTH, Strategy("first", "", first)])
    assert found["strategy"].tolist() == ["upstream_best", "adapt_all", "first"]
    assert found.iloc[2][["test", "finetunes", "train_seconds"]].tolist() == [0.71, 1, 2.0]
    assert found.iloc[2]["regret"] == pytest.approx(0.03)


# One of few values, so that ties are common.
numbers = st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.5, 0.9]))
CHOSEN = [c for c in RESULT if c not in ("test", "regret")]


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(numbers, st.lists(st.tuples(numbers, numbers), max_size=3)), min_size=1, max_size=5), st.randoms())
def test_choices_do_not_depend_on_test_scores_or_row_order(runs: list, rng: random.Random):
    rows, probes = [], []
    for i, (final_val, transfers) in enumerate(runs):
        upstream = {**run(f"u{i}", final_val), "final_test": rng.random()}
        rows += [transfer(upstream, lr, val, test) for lr, (val, test) in enumerate(transfers)] or [upstream]
        probes += [probe(f"u{i}", score, rng.random(), split) for score in PROXIES for split in ("val", "test")]
    table, scores = frame(rows), score_table(probes)
    before = compare(table, scores)
    shuffled = table.sample(frac=1, random_state=rng.randrange(1000)).reset_index(drop=True)
    shuffled["adapt_final_test"] = rng.sample(table["adapt_final_test"].tolist(), len(table))
    shuffled["final_test"] = None
    mixed = scores.sample(frac=1, random_state=rng.randrange(1000)).reset_index(drop=True)
    mixed["value"] = mixed["value"].where(mixed["split"] == "val", rng.random())
    after = compare(shuffled, mixed)
    pd.testing.assert_frame_equal(before[CHOSEN], after[CHOSEN])
    everything = before[before["strategy"] == "adapt_all"].iloc[:1]
    if not before.empty:
        assert everything["regret"].fillna(0).eq(0).all()
        assert (before["val"].fillna(0) <= everything["val"].fillna(1).iloc[0]).all()


def test_scores_select_and_probing_every_checkpoint_is_paid_for():
    scores = score_table([probe("a", "knn", 0.3), probe("b", "knn", 0.4), probe("b", "knn", 0.2, "test")])
    found = compare(SMALL.assign(adapt_train_flops=1e9), scores, strategies=["knn", "upstream_best", "adapt_all"])
    assert found["filename"].tolist() == ["b", "a", "b"]
    assert found["flops"].tolist() == [2e9 + 2 * 5e8, 2e9, 4e9]
    assert found["chip_hours"].tolist() == pytest.approx([(4 + 2 * 18) / 3600, 4 / 3600, 8 / 3600])
    assert found["train_seconds"].tolist() == [4.0, 4.0, 8.0]


def test_scores_at_several_resolutions_are_those_of_the_lowest():
    rows = [probe("a", "knn", 0.9, side=56), probe("a", "knn", 0.3), probe("b", "knn", 0.4)]
    assert compare(SMALL, score_table(rows), strategies=["knn"])["filename"].tolist() == ["b"]


def test_strategies_without_what_they_need_are_left_out_unless_they_are_asked_for():
    bare = ["upstream_best", "adapt_all", "random_k", "halving"]
    assert compare(SMALL)["strategy"].tolist() == bare
    scores = score_table([probe("a", "knn", 0.3), probe("b", "knn", 0.4)])
    assert set(compare(SMALL, scores)["strategy"]) == {*bare, "knn"}
    message = r"strategy 'logme' needs the score 'logme', which no checkpoint of the pool has; .*`augreg transfer"
    for given_scores in (None, scores):
        with pytest.raises(UserError, match=message):
            compare(SMALL, given_scores, strategies=["logme"])
    elsewhere = frame([*SMALL.to_dict("records"), transfer(A, 0.01, 0.5, 0.5, "pets"), transfer(B, 0.01, 0.4, 0.4, "pets")])
    chosen = pick(elsewhere, "knn", "pets", scores=scores)
    assert (chosen["finetunes"], chosen["why"]) == (0, "the pool lacks knn")
    assert pd.isna(chosen["filename"])


def test_history_is_of_other_tasks_and_never_of_the_same_images():
    tasks = ("vtab_dtd", "vtab1k_dtd", "vtab_svhn")
    rows = [
        transfer(u, 0.01, val, val, task)
        for u, vals in ((A, (0.1, 0.9, 0.4)), (B, (0.2, 0.1, 0.5)))
        for task, val in zip(tasks, vals, strict=True)
    ]
    table = frame(rows)
    # Of the 1,000 images' task the full one is no other task: only svhn counts, which prefers b.
    assert pick(table, "static", "vtab1k_dtd")["filename"] == "b"
    assert pick(table, "static", "vtab_svhn")["filename"] == "a"
    only = compare(table, strategies=["static"], tasks=["vtab_svhn"])
    assert only["filename"].tolist() == ["a"]
    with pytest.raises(UserError, match="no run of the table was transferred to 'vtab_svh'; did you mean 'vtab_svhn'"):
        compare(table, tasks=["vtab_svh"])


def test_budgets():
    c = run("c", 0.70)
    table = frame([*SMALL.to_dict("records"), transfer(c, 0.01, 0.9, 0.9)])
    for budget, filename, adapted in ((None, "a", 1), (1, "a", 1), (2, "b", 2), (3, "c", 3), (9, "c", 3)):
        chosen = pick(table, "upstream_best", budget=budget)
        assert (chosen["filename"], chosen["adapted"], chosen["budget"]) == (filename, adapted, adapted)
    everything = pick(table, "adapt_all", budget=1)
    assert (everything["adapted"], everything["budget"]) == (3, 3)
    with pytest.raises(UserError, match="a budget of 0 checkpoints"):
        compare(SMALL, budget=0)


def test_flops_are_recorded_or_follow_from_the_name():
    upstream = "Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0"
    name = f"{upstream}--cifar100-steps_10k-lr_0.01-res_224"
    row = transfer(run(upstream, 0.5, name="Ti/16", ds="i21k"), 0.01, 0.8, 0.8, "cifar100", adapt_filename=name)
    # Three forward passes of 512 images in each of 10,000 steps; 1.26 G multiply-adds each, 2.5 GFLOPs.
    found = compare(frame([row]), strategies=["adapt_all"]).iloc[0]
    assert found["flops"] == pytest.approx(3 * 512 * 10_000 * 2.5e9, rel=0.02)
    assert found["n_test"] == 10_000
    recorded = compare(frame([{**row, "adapt_train_flops": 7.0, "adapt_n_test": 5}]), strategies=["adapt_all"]).iloc[0]
    assert (recorded["flops"], recorded["n_test"]) == (7.0, 5)


def test_seeds_repeat_the_comparison_and_are_no_setting():
    lucky = [transfer(A, 0.01, 0.99, 0.5, adapt_seed=1), transfer(B, 0.01, 0.3, 0.5, adapt_seed=1)]
    again = [{**row, "adapt_filename": f"{row['adapt_filename']}-seed_1"} for row in lucky]
    table = frame([*SMALL.assign(adapt_seed=0).to_dict("records"), *again, run("c", 0.1)])
    found = compare_seeds(table, strategies=BOTH)
    assert found["seed"].tolist() == [0, 0, 1, 1]
    assert found["adapt_filename"].tolist() == [
        *("a--digits-lr_0.03", "b--digits-lr_0.01"),
        *("a--digits-lr_0.01-seed_1", "a--digits-lr_0.01-seed_1"),
    ]
    assert found["budget"].tolist() == [1, 3, 1, 3]
    drawn = compare_seeds(SMALL, draws=4, strategies=["random_k"])
    assert drawn["seed"].tolist() == [0, 1, 2, 3]
    assert drawn["filename"].nunique() == 2


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("adapt_fit", ["tune", None, None, None], r"mix several protocols \(adapt_fit: train, tune\)"),
        ("adapt_version", [1, 1, 2, 2], r"mix several versions of the task \(adapt_version: 1, 2\)"),
        ("adapt_data_fingerprint", ["x", "x", "y", None], r"mix several data fingerprints \(adapt_data_fingerprint: x, y\)"),
    ],
)
def test_runs_that_do_not_compare_are_refused(column, values, what):
    with pytest.raises(UserError, match=f"the transfers to digits {what}"):
        compare(SMALL.assign(**{column: pd.array(values, dtype=SMALL[column].dtype)}))
    # What differs between tasks, or between the sizes in which images are kept, is no mixture.
    pets = SMALL.assign(adapt_ds="pets", adapt_filename=SMALL["adapt_filename"] + "-pets", **{column: values[0]})
    digits = SMALL.assign(**{column: values[-2]})
    assert set(compare(pd.concat([digits, pets], ignore_index=True))["adapt_ds"]) == {"digits", "pets"}


def test_images_kept_at_two_sizes_have_two_fingerprints():
    table = SMALL.assign(adapt_resolution=[28, 56, 28, 56], adapt_data_fingerprint=["x", "y", "x", "y"])
    assert pick(table, "adapt_all")["adapt_filename"] == "b--digits-lr_0.01"


def test_means_under_both_conventions():
    other = {"task": "kitti", "group": "structured"}
    pets = {"task": "pets"}
    table = frame(
        [
            *(transfer(A, 0.01, 0.5, t, **k) for t, k in ((0.7, {}), (0.5, pets), (0.3, other))),
            *(transfer(B, 0.01, 0.6, t, **k) for t, k in ((0.8, {}), (0.8, pets), (0.2, other))),
        ]
    )
    found = means(compare(table))
    mine = found[(found["name"] == "ViT-mu") & (found["strategy"] == "upstream_best")].set_index(["scope", "convention"])
    assert mine["test"].to_dict() == pytest.approx(
        {
            ("natural", "mean_over_tasks"): 0.6,
            ("structured", "mean_over_tasks"): 0.3,
            ("overall", "mean_over_tasks"): 0.5,
            ("overall", "mean_of_group_means"): 0.45,
        }
    )
    assert mine["regret"].to_dict() == pytest.approx(
        {
            ("natural", "mean_over_tasks"): 0.2,
            ("structured", "mean_over_tasks"): -0.1,
            ("overall", "mean_over_tasks"): 0.1,
            ("overall", "mean_of_group_means"): 0.05,
        }
    )
    assert mine["finetunes"].tolist() == [2, 1, 3, 3]


def test_means_leave_out_a_task_that_one_strategy_has_no_score_on():
    table = frame([transfer(A, 0.01, 0.5, 0.5), transfer(B, 0.01, 0.4, 0.4), transfer(B, 0.01, 0.9, 0.9, task="pets")])
    found = means(compare(table, strategies=BOTH))
    overall = found[(found["scope"] == "overall") & (found["convention"] == "mean_over_tasks")]
    assert overall[["tasks", "left_out"]].drop_duplicates().to_numpy().tolist() == [[1, 1]]
    assert overall["test"].tolist() == [0.5] * 4


def test_the_released_index_has_groups_too():
    table = SMALL.assign(adapt_group=pd.NA, adapt_synthetic=pd.NA).astype(
        {"adapt_group": "string", "adapt_synthetic": "boolean"}
    )
    assert compare(table, strategies=BOTH)["adapt_group"].tolist() == ["natural", "natural"]
    assert compare(table, strategies=BOTH)["adapt_synthetic"].tolist() == [False, False]


def test_no_transfers_is_an_empty_comparison():
    found = compare(frame([A, B]))
    assert found.empty
    assert list(found.columns) == list(RESULT)
    assert means(found).empty


def test_upstream_runs_count_once_and_must_agree():
    assert upstream_runs(SMALL)["filename"].tolist() == ["a", "b"]
    assert not [c for c in upstream_runs(SMALL).columns if c.startswith("adapt_")]
    gaps = SMALL.assign(final_val=[None, 0.9, 0.8, None])
    assert upstream_runs(gaps)["final_val"].tolist() == [0.9, 0.8]
    with pytest.raises(UserError, match="rows of upstream run 'a' differ in 'final_val'"):
        upstream_runs(SMALL.assign(final_val=[0.9, 0.91, 0.8, 0.8]))


def test_errors_name_the_column():
    with pytest.raises(UserError, match="no column 'adapt_final_test'"):
        compare(SMALL.drop(columns="adapt_final_test"))
    with pytest.raises(UserError, match="no rows"):
        compare(SMALL.iloc[:0])
    with pytest.raises(UserError, match="no pool 'modl'; did you mean 'model'"):
        compare(SMALL, pool="modl")
    bad = score_table([probe("a", "knn", 0.3), probe("b", "knn", None)])
    with pytest.raises(UserError, match="scores, row 3: no value"):
        compare(SMALL, bad)
    with pytest.raises(UserError, match="the scores have no column 'split'"):
        compare(SMALL, bad.drop(columns="split"))
    with pytest.raises(UserError, match=r"'a--digits-lr_0\.01' occurs twice"):
        compare(pd.concat([SMALL, SMALL.iloc[:1]], ignore_index=True))
