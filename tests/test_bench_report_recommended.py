import io
import json

import pandas as pd
import pytest

from bench.errors import UserError
from bench.records.schema import COLUMNS
from bench.report.recommended import recommend, to_text


def frame(rows):
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def run(filename, final_val, name="ViT-mu", status="ok", **more):
    facts = {"name": name, "ds": "mnist5k", "aug": "light1", "wd": 0.1, "do": 0.1, "sd": 0.1, "status": status}
    return {**facts, "filename": filename, "final_val": final_val, "final_test": final_val, **more}


def transfer(upstream, lr, val, test, task="digits", resolution=28, params=1000.0):
    facts = {"adapt_ds": task, "adapt_lr": lr, "adapt_resolution": resolution, "params": params, "adapt_status": "ok"}
    name = f"{upstream['filename']}--{task}-{lr}"
    return {**upstream, **facts, "adapt_final_val": val, "adapt_final_test": test, "adapt_filename": name}


A, B, C = run("a", 0.9), run("b", 0.8), run("c", 0.7, name="NFNet-mu")
TABLE = frame(
    [
        transfer(A, 0.01, 0.60, 0.61, resolution=56, params=1200.0),
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
    assert row["params"] == 1000.0
    assert row[["digits", "kitti"]].tolist() == [0.61, 0.41]
    assert row["mean_test"] == pytest.approx(0.51)
    assert row["regret_vs_adapt_all"] == pytest.approx(0.02)
    assert row[["finetunes", "finetunes_adapt_all"]].tolist() == [3, 6]
    assert row["reason"] == "best upstream validation of 2 checkpoints; adapting all gains 2.0 points for 2x the fine-tunes"


def test_reasons():
    reasons = recommend(TABLE).set_index("name")["reason"]
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
    assert two["reason"].tolist() == ["best upstream validation of 2 checkpoints from 2 upstream sets; not transferred"]


def test_models_never_transferred_have_empty_task_columns():
    rows = recommend(TABLE).set_index("name").loc[["B/16", "Ti/16"]]
    assert rows[["digits", "kitti", "mean_val", "mean_test", "regret_vs_adapt_all"]].isna().all().all()
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
    lines = to_text(recommend(TABLE), "md").splitlines()
    assert len(lines) == 2 + 4
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in lines]
    shown = dict(zip(cells[0], cells[3], strict=True))
    assert shown["name"] == "ViT-mu"
    assert (shown["final_val"], shown["digits"], shown["kitti"], shown["mean_test"]) == ("90.0%", "61.0%", "41.0%", "51.0%")
    assert (shown["regret_vs_adapt_all"], shown["params"], shown["finetunes_adapt_all"]) == ("+2.0", "1,000", "6")
    assert set(map(len, cells)) == {len(cells[0])}


def test_markdown_escapes_and_formats_are_checked():
    text = to_text(recommend(frame([run("a|b<i>", 0.5)])), "md")
    assert "a\\|b&lt;i>" in text
    with pytest.raises(UserError, match=r"unknown format 'markdown'; .*valid: csv, md, json"):
        to_text(recommend(TABLE), "markdown")
