import pandas as pd
import pytest

from bench.records.schema import COLUMNS
from bench.select.criterion import criterion, upstream
from bench.select.imagenet import rules
from bench.select.pools import contests, pools
from bench.select.runs import transfer_runs
from bench.select.strategies import find
from bench.select.validation import saw, upstream_set


def table(*rows):
    """From (filename, ds, minival, ImageNetV2, test)."""
    of = [
        {
            "name": "L/16",
            "ds": ds,
            "filename": filename,
            "final_val": 0.5,
            "status": "ok",
            "aug": "none",
            "wd": 0.1,
            "do": 0.0,
            "adapt_ds": "imagenet2012",
            "adapt_status": "ok",
            "adapt_filename": f"{filename}--imagenet2012",
            "adapt_final_val": minival,
            "adapt_final_val_v2": v2,
            "adapt_final_test": test,
        }
        for filename, ds, minival, v2, test in rows
    ]
    return pd.DataFrame(of, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


# "How to train your ViT?", Fig. 5 right: minival has the one that remembers in front, and test does not.
SEEN = table(("long", "i21k", 0.93, 0.74, 0.84), ("short", "i21k_30", 0.90, 0.76, 0.86))


@pytest.mark.parametrize(("ds", "name"), [("i21k", "i21k"), ("i21k_30", "i21k"), ("i21k_10pct", "i21k"), ("i1k", "i1k")])
def test_the_column_ds_names_an_upstream_set(ds, name):
    assert upstream_set(ds).name == name
    assert saw(ds, "imagenet2012") == (name == "i21k")
    assert not saw(ds, "cifar100")


def test_an_unknown_upstream_set_is_not_known_to_hold_anything():
    assert upstream_set("elsewhere") is None
    assert not saw("elsewhere", "imagenet2012")


def test_imagenet_v2_decides_where_minival_was_seen():
    found = rules(SEEN).set_index("rule")
    assert found["filename"].to_dict() == {"minival": "long", "ImageNetV2": "short"}
    assert found["taken"].to_dict() == {"minival": False, "ImageNetV2": True}
    assert found["test"].to_dict() == {"minival": 0.84, "ImageNetV2": 0.86}
    assert found["val"].to_dict() == {"minival": 0.93, "ImageNetV2": 0.76}
    held = "i21k, i21k_30 hold ImageNet-1k's training images, minival among them"
    why = f"{held}: it would reward remembering, so ImageNetV2 decides"
    assert found["why"].unique().tolist() == [why]


def test_minival_decides_where_nobody_has_seen_it():
    found = rules(table(("a", "i1k", 0.80, 0.60, 0.79), ("b", "i1k", 0.79, 0.70, 0.80))).set_index("rule")
    assert found["taken"].to_dict() == {"minival": True, "ImageNetV2": False}
    assert found["filename"]["minival"] == "a"
    assert found["why"].iloc[0].startswith("no upstream set of this pool holds")


def test_a_score_that_is_missing_is_said():
    lacking = SEEN.assign(adapt_final_val_v2=[0.74, None])
    found = rules(lacking).set_index("rule")
    assert found["taken"].to_dict() == {"minival": True, "ImageNetV2": False}
    assert "so ImageNetV2 should decide, but 1 of 2 runs lack its score" in found["why"].iloc[0]
    without = rules(SEEN.drop(columns="adapt_final_val_v2")).set_index("rule")
    assert "but no run has its score" in without["why"].iloc[0]
    assert pd.isna(without.at["ImageNetV2", "filename"])


def test_other_tasks_have_no_such_rule():
    assert rules(SEEN.assign(adapt_ds="kitti")).empty
    assert rules(SEEN.assign(adapt_status="diverged")).empty


def test_the_criterion_counts_the_images_of_the_score_that_decides():
    def decided(rows):
        [contest] = contests(pools(rows), transfer_runs(rows), None, 0)
        return criterion(find("adapt_all"), contest, None, None)

    found = decided(SEEN)
    assert found.name == "adapt_final_val_v2"
    assert found.images.tolist() == [10_000, 10_000]
    assert (found.first, found.runner_up("short")) == ("short", "long")
    bare = SEEN.drop(columns="adapt_final_val_v2")
    found = decided(bare)
    assert (found.name, found.images.tolist()) == ("adapt_final_val", [12_812, 12_812])
    # The denominator of the released scores.
    assert upstream(pools(SEEN)["L/16"]).images.tolist() == [102_400, 102_400]


def test_a_criterion_without_scores_has_no_first():
    none = SEEN.assign(final_val=float("nan"))
    found = upstream(pools(none)["L/16"])
    assert (found.first, found.runner_up(None), found.gap(None, None)) == (None, None, None)
    tied = upstream(pools(SEEN)["L/16"])
    assert (tied.first, tied.tied("long"), tied.gap("long", "short").estimate) == ("long", 1, 0.0)
