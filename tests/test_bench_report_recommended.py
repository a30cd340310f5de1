import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.errors import UserError
from bench.points import parse_upstream
from bench.records.schema import COLUMNS
from bench.report.recommended import recommend, to_text
from bench.report.settings import settings
from bench.report.text import short
from bench.select.gap import gap


def frame(rows):
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def run(filename, final_val, name="ViT-mu", status="ok", **more):
    facts = {"name": name, "ds": "mnist5k", "aug": "light1", "wd": 0.1, "do": 0.1, "sd": 0.1, "status": status}
    return {**facts, "filename": filename, "final_val": final_val, "final_test": final_val, **more}


def transfer(upstream, lr, val, test, task="digits", resolution=28, params=100_000.0):
    facts = {"adapt_ds": task, "adapt_lr": lr, "adapt_resolution": resolution, "params": params, "adapt_status": "ok"}
    name = f"{upstream['filename']}--{task}-{lr}"
    return {**upstream, **facts, "adapt_final_val": val, "adapt_final_test": test, "adapt_filename": name}


def ends(*accuracies):
    found = gap(*accuracies)
    return found.estimate, found.low, found.high


A, B, C = run("a", 0.9), run("b", 0.8), run("c", 0.7, name="NFNet-mu")
TABLE = frame(
    [
        transfer(A, 0.01, 0.60, 0.61, resolution=56, params=200_000.0),
        transfer(A, 0.03, 0.50, 0.99),
        transfer(B, 0.01, 0.70, 0.65),
        transfer(B, 0.03, 0.10, 0.10),
        transfer(A, 0.01, 0.40, 0.41, task="kitti"),
        transfer(B, 0.01, 0.30, 0.99, task="kitti"),
        transfer(C, 0.01, 0.80, 0.20),
        transfer(C, 0.01, 0.80, 0.30, task="kitti"),
        run("d", 0.99, name="B/16", infer_samples_per_sec=5.0),
        run("e", None, name="Ti/16", status="diverged"),
    ]
)


def test_one_row_per_model_sorted_by_downstream_validation():
    found = recommend(TABLE)
    assert found["name"].tolist() == ["NFNet-mu", "ViT-mu", "B/16", "Ti/16"]
    assert found["filename"].iloc[:3].tolist() == ["c", "a", "d"]
    assert found["filename"].isna().tolist() == [False, False, False, True]
    assert found["mean_val"].iloc[:2].tolist() == pytest.approx([0.8, 0.5])


def test_the_row_of_a_model():
    row = recommend(TABLE).set_index("name").loc["ViT-mu"]
    facts = ["ds", "aug", "wd", "do", "sd", "final_val", "final_test"]
    assert row[facts].tolist() == ["mnist5k", "light1", 0.1, 0.1, 0.1, 0.9, 0.9]
    assert row["task"] == "every task"
    assert row["params"] == 200_000.0  # at 56 px, where it did best on digits
    assert row[["test_digits", "test_kitti"]].tolist() == [0.61, 0.41]
    assert row["mean_test"] == pytest.approx(0.51)
    assert row["regret"] == pytest.approx((0.04 + 0) / 2)
    assert row[["finetunes", "finetunes_adapt_all"]].tolist() == [3, 6]


def test_the_runner_up_and_how_far_it_is_behind():
    row = recommend(TABLE).set_index("name").loc["ViT-mu"]
    assert row[["criterion", "score", "runner_up"]].tolist() == ["final_val", 0.9, "b"]
    # 450 and 400 of the 500 validation images of mnist5k.
    assert tuple(row[["gap", "gap_low", "gap_high"]]) == pytest.approx(ends(0.9, 500, 0.8, 500))
    told = TABLE.assign(n_val=50).astype({"n_val": "Int64"})
    row = recommend(told).set_index("name").loc["ViT-mu"]
    assert tuple(row[["gap", "gap_low", "gap_high"]]) == pytest.approx(ends(0.9, 50, 0.8, 50))


def test_regret_is_the_mean_over_tasks_with_its_interval():
    row = recommend(TABLE).set_index("name").loc["ViT-mu"]
    assert row["regret_tasks"] == 2
    assert row[["regret_low", "regret_high"]].isna().all()  # two tasks are too few to say
    losses = [0.0, 0.01, 0.02, 0.04, 0.03, 0.02, 0.01]
    tasks = [f"task{i}" for i in range(len(losses))]
    rows = [transfer(A, 0.01, 0.5, 0.5, task=t) for t in tasks]
    rows += [transfer(B, 0.01, 0.6, 0.5 + lost, task=t) for t, lost in zip(tasks, losses, strict=True)]
    row = recommend(frame(rows)).iloc[0]
    assert (row["regret"], row["regret_tasks"]) == (pytest.approx(np.mean(losses)), 7)
    # Student's interval of the mean, which the bootstrap over tasks comes near to.
    half = stats.t.ppf(0.975, 6) * np.std(losses, ddof=1) / math.sqrt(7)
    assert [row["regret_low"], row["regret_high"]] == pytest.approx(
        [row["regret"] - half, row["regret"] + half], abs=0.25 * half
    )
    assert row["reason"].endswith("; adapting all gains 1.9 points for 2x the fine-tunes")


def seeded(upstream, lr, seed, val, test, **more):
    extra = f"-seed_{seed}" if seed else ""
    name = f"{upstream['filename']}--digits-steps_20-lr_{lr}-res_28{extra}-batch_64"
    return {**transfer(upstream, lr, val, test), "adapt_filename": name, "adapt_seed": seed, **more}


def test_a_seed_of_a_transfer_is_no_setting_to_choose():
    lucky = [seeded(A, 0.03, 0, 0.9, 0.8), seeded(A, 0.03, 1, 0.2, 0.1)]
    steady = [seeded(A, 0.1, 0, 0.6, 0.75), seeded(A, 0.1, 1, 0.625, 0.5)]
    once = [seeded(A, 0.3, 0, 0.99, 0.99), seeded(A, 0.3, 1, None, None, adapt_status="diverged")]
    found = recommend(frame([*lucky, *steady, *once])).iloc[0]
    assert found["settings"] == "lr 0.1, 28 px, batch 64"
    assert (found["mean_val"], found["test_digits"]) == (0.6125, 0.625)
    assert (found["finetunes"], found["finetunes_adapt_all"]) == (3, 3)


def test_names_of_another_scheme_repeat_nothing():
    rows = [{**transfer(A, lr, val, val), "adapt_seed": seed} for seed, (lr, val) in enumerate([(0.01, 0.5), (0.03, 0.6)])]
    assert recommend(frame(rows)).iloc[0]["test_digits"] == 0.6


def test_a_strategy_that_looks_at_the_task_has_a_row_for_each():
    found = recommend(TABLE, strategy="adapt_all").set_index(["task", "name"])
    assert found["filename"].to_dict() == {
        ("digits", "NFNet-mu"): "c",
        ("digits", "ViT-mu"): "b",
        ("kitti", "NFNet-mu"): "c",
        ("kitti", "ViT-mu"): "a",
    }
    row = found.loc[("digits", "ViT-mu")]
    assert row[["criterion", "score", "runner_up"]].tolist() == ["adapt_final_val", 0.7, "a"]
    assert tuple(row[["gap", "gap_low", "gap_high"]]) == pytest.approx(ends(0.7, 200, 0.6, 200))
    assert (row["test_digits"], row["finetunes"], row["regret_tasks"]) == (0.65, 4, 0)
    assert pd.isna(row["test_kitti"])
    assert row["reason"] == (
        "best downstream validation of 2 checkpoints, +10.0 [+0.7, +19.1] points before a; all of them were adapted"
    )
    with pytest.raises(UserError, match=r"no strategy 'adapt-all'; did you mean 'adapt_all'\?"):
        recommend(TABLE, strategy="adapt-all")


def test_weights_are_where_the_caller_says():
    found = recommend(TABLE, weights={"a": "there/a.npz"}.get).set_index("name")["weights"]
    assert found["ViT-mu"] == "there/a.npz"
    assert found.drop("ViT-mu").isna().all()


def test_reasons():
    reasons = recommend(TABLE).set_index("name")["reason"]
    assert reasons["ViT-mu"] == (
        "best upstream validation of 2 checkpoints, +10.0 [+5.6, +14.4] points before b; "
        "adapting all gains 2.0 points for 2x the fine-tunes"
    )
    assert reasons["NFNet-mu"] == "the only checkpoint"
    assert reasons["B/16"] == "the only checkpoint; not transferred"
    assert reasons["Ti/16"] == "no checkpoint has an upstream validation score"
    twin = recommend(frame([transfer(run("z", 0.9), 0.01, 0.8, 0.3), transfer(A, 0.01, 0.6, 0.5)]))
    assert twin["filename"].tolist() == ["a"]
    assert twin["reason"].tolist() == [
        "best upstream validation of 2 checkpoints, tied with 1 more and first by name; "
        "adapting all loses 20.0 points for 2x the fine-tunes"
    ]
    two = recommend(frame([A, run("s", 0.1, ds="mnist5k_10pct")]))
    assert two["reason"].tolist() == [
        "best upstream validation of 2 checkpoints from 2 upstream sets, +80.0 [+75.8, +83.3] points before s; not transferred"
    ]


def test_models_never_transferred_have_empty_task_columns():
    rows = recommend(TABLE).set_index("name").loc[["B/16", "Ti/16"]]
    assert rows[["test_digits", "test_kitti", "mean_val", "mean_test", "regret", "settings"]].isna().all().all()
    assert rows["finetunes"].tolist() == [0, 0]
    assert rows["infer_samples_per_sec"].iloc[0] == 5.0


def test_a_mean_over_fewer_tasks_comes_after():
    table = frame(
        [transfer(A, 0.01, 0.3, 0.3), transfer(A, 0.01, 0.3, 0.3, task="kitti"), transfer(C, 0.01, 0.9, 0.9)],
    )
    found = recommend(table)
    assert found["name"].tolist() == ["ViT-mu", "NFNet-mu"]
    assert found["reason"].iloc[1] == "the only checkpoint; scored on 1 of 2 tasks"


def test_csv_and_json_read_back_to_the_same_values():
    found = recommend(TABLE)
    back = pd.read_csv(io.StringIO(to_text(found, "csv")))
    pd.testing.assert_frame_equal(back.astype(found.dtypes.to_dict()), found, check_exact=True)
    records = json.loads(to_text(found, "json"))
    pd.testing.assert_frame_equal(pd.DataFrame(records).astype(found.dtypes.to_dict()), found, check_exact=True)
    assert records[3]["filename"] is None


def test_markdown_is_for_people():
    lines = to_text(recommend(TABLE, weights={"a": "there/a.npz"}.get), "md").splitlines()
    assert len(lines) == 2 + 4
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in lines]
    assert set(map(len, cells)) == {len(cells[0])}
    assert dict(zip(cells[0], cells[3], strict=True)) == {
        "model": "ViT-mu",
        "checkpoint": "a",
        "why this one": recommend(TABLE)["reason"].iloc[1],
        "expected regret, points": "+2.0 on 2 tasks",
        "test": "51.0%",
        "parameters": "200,000",
        "images/s": "",
        "fine-tune with": "lr 0.01; digits: 56 px; kitti: 28 px",
        "weights": "there/a.npz",
    }
    per_task = to_text(recommend(TABLE, strategy="adapt_all"), "md").splitlines()
    assert per_task[0].startswith("| model | for | checkpoint | why this one | test |")


def test_a_runner_up_is_named_by_what_differs():
    name = "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0"
    assert short(name.replace("medium1", "none").replace("wd_0.1", "wd_0.03"), name) == "aug_none wd_0.03"
    assert short("other", name) == "other"


def test_settings_say_once_what_tasks_share():
    def of(task, steps, lr, extra=""):
        name = f"u--{task}-steps_{steps}-lr_{lr}-res_224{extra}"
        return {"adapt_ds": task, "adapt_lr": lr, "adapt_steps": steps, "adapt_resolution": 224, "adapt_filename": name}

    assert settings([of("a", 400, 0.01)]) == "lr 0.01, 400 steps, 224 px, batch 512"
    assert (
        settings([of("a", 400, 0.01, "-batch_64"), of("b", 400, 0.01, "-batch_64")]) == "lr 0.01, 400 steps, 224 px, batch 64"
    )
    three = [of("a", 400, 0.01), of("b", 400, 0.03), of("c", 400, 0.01)]
    assert settings(three) == "400 steps, 224 px, batch 512; a, c: lr 0.01; b: lr 0.03"
    assert settings([]) == ""


# The released recommendation: "How to train your ViT?", section 4.5, and the README of its code.
RELEASED = {
    "B/16": "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0",
    "R50+L/32": "R50_L_32-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1",
    "S/16": "S_16-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0",
}


def test_the_released_rule_takes_imagenet21k_only():
    rows = []
    for model, winner in RELEASED.items():
        config = parse_upstream(winner)
        facts = {"name": model, "wd": config.wd, "do": config.do, "sd": config.sd}
        for aug, loss in (("none", 0.02), (config.aug, 0.0)):
            filename = winner.replace(f"aug_{config.aug}", f"aug_{aug}")
            rows.append(run(filename, 0.5 - loss, status=None, ds="i21k", aug=aug, **facts))
            rows.append(run(filename.replace("i21k", "i1k"), 0.8 - loss, status=None, ds="i1k", aug=aug, **facts))
    table = frame(rows)
    found = recommend(table, ["i21k"])
    assert dict(zip(found["name"], found["filename"], strict=True)) == RELEASED
    # 102,400 images tell 2 points apart.
    assert found["gap_low"].min() > 0.015
    both = recommend(table)
    # Accuracies on 1,000 and on 21,843 classes do not compare: a row for either.
    assert sorted(zip(both["name"], both["ds"], strict=True)) == sorted((m, ds) for m in RELEASED for ds in ("i1k", "i21k"))
    assert both[both["ds"] == "i21k"].set_index("name")["filename"].to_dict() == RELEASED
    assert both["reason"].str.startswith("best upstream validation of 2 checkpoints, +2.0 [").all()
    assert to_text(both, "md").startswith("| model | pre-trained on | checkpoint |")


def test_markdown_escapes_and_formats_are_checked():
    text = to_text(recommend(frame([run("a|b<i>", 0.5)])), "md")
    assert "a\\|b&lt;i>" in text
    with pytest.raises(UserError, match=r"unknown format 'markdown'; .*valid: csv, md, json"):
        to_text(recommend(TABLE), "markdown")
