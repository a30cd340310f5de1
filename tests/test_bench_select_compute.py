"""Compute and error of the upstream runs of a table, with literal numbers."""

import pandas as pd
import pytest

from bench.errors import UserError
from bench.points import Transfer, Upstream
from bench.records.table import typed
from bench.select.compute import finetuned, upstream

RECIPE = {"aug": "none", "wd": 1e-6, "do": 0.0, "sd": 0.0}


def row(model="NFNet-F0", dataset="i1k", epochs=1.0, lr=0.1, val=0.6, **more):
    config = Upstream(model=model, dataset=dataset, epochs=epochs, lr=lr, **RECIPE)
    facts = {"name": model, "ds": config.ds, "epochs": epochs, "lr": lr, **RECIPE, "filename": config.name}
    return {**facts, "final_val": val, "final_test": val, "status": "ok", **more}


def transfer(base, lr, val, test, task="imagenet2012"):
    config = Upstream(model=base["name"], dataset="i1k", epochs=base["epochs"], lr=base["lr"], **RECIPE)
    name = Transfer(config, task, 500, lr, 224).name
    scores = {"adapt_final_val": val, "adapt_final_test": test, "adapt_status": "ok"}
    return {
        **base,
        "adapt_ds": task,
        "adapt_lr": lr,
        "adapt_steps": 500,
        "adapt_resolution": 224,
        "adapt_filename": name,
        **scores,
    }


def table(*rows):
    released = ("best_val", "adapt_ds", "adapt_lr", "adapt_steps", "adapt_resolution", "adapt_final_val", "adapt_final_test")
    empty = dict.fromkeys((*released, "params", "infer_samples_per_sec", "adapt_filename"))
    return typed(pd.DataFrame([empty | r for r in rows]))


def test_compute_is_three_forward_passes_of_every_image():
    found = upstream(table(row(), row(epochs=4.0, val=0.7))).sort_values("epochs")
    # 9.49 G multiply-adds at 224 px (NFNet paper's variants, counted anew), 310 and 1,239 steps of 4,096 images.
    one = 3 * 2 * 9.49e9 * 4096
    assert found["compute"].tolist() == pytest.approx([310 * one, 1239 * one], rel=1e-3)
    assert found["size"].tolist() == pytest.approx([310 * one, 1239 * one / 4], rel=1e-3)
    assert found["loss"].tolist() == pytest.approx([0.4, 0.3])
    assert found["ds"].tolist() == ["i1k", "i1k"]


def test_the_recorded_number_of_images_counts_and_an_unknown_one_is_left_empty():
    frame = table(row(n_train=1_268_355 // 2), row(dataset="i21k"), row(dataset="i21k", lr=0.2, n_train=4096 * 100))
    found = upstream(frame).set_index("filename")["compute"]
    whole = upstream(table(row()))["compute"].iloc[0]
    assert found[row()["filename"]] == pytest.approx(whole / 2, rel=1e-9)
    assert pd.isna(found[row(dataset="i21k")["filename"]])
    assert found[row(dataset="i21k", lr=0.2)["filename"]] > 0


def test_runs_that_ended_badly_are_left_out_and_names_without_scheme_cost_nothing_known():
    frame = table(row(), row(lr=0.2, status="diverged", final_val=None), row(lr=0.3))
    frame["filename"] = frame["filename"].replace({row(lr=0.3)["filename"]: "mine"})
    found = upstream(frame).set_index("filename")
    assert sorted(found.index) == sorted([row()["filename"], "mine"])
    assert pd.isna(found.loc["mine", "compute"])
    with pytest.raises(UserError, match="no upstream run of the table ended well"):
        upstream(table(row(status="pruned")))


def test_the_transfer_that_is_best_by_validation_says_the_accuracy():
    base = row()
    frame = table(transfer(base, 0.01, 0.7, 0.9), transfer(base, 0.03, 0.8, 0.65), row(lr=0.2))
    found = finetuned(frame)
    assert found["accuracy"].tolist() == [0.65]
    assert found["filename"].tolist() == [base["filename"]]
    # 500 steps of 512 images at 224 px.
    assert found["finetune"].iloc[0] == pytest.approx(3 * 2 * 9.49e9 * 500 * 512, rel=1e-3)
    with pytest.raises(UserError, match="no transfer to cifar100"):
        finetuned(frame, "cifar100")
    lacking = transfer(base, 0.01, None, 0.9)
    with pytest.raises(UserError, match="both a validation and a test accuracy"):
        finetuned(table(lacking))
