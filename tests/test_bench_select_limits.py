import pandas as pd
import pytest

from bench.errors import UserError
from bench.select.compare import compare
from bench.select.limits import Limits, parameters, speed, within

# Images a second on V100 at 224 and 384 px, and parameters with 1,000 classes: the released index and its code's tests.
ROWS = [
    ("R+Ti/16", 224, 9371.0, 6_337_704.0),
    ("R+Ti/16", 384, 2426.0, 6_355_944.0),
    ("S/16", 224, 1508.0, 22_050_664.0),
    ("S/16", 384, 300.0, 22_196_584.0),
    ("R50+L/32", 384, 327.0, 111_020_000.0),
    ("B/8", 224, None, None),
]
TABLE = pd.DataFrame(ROWS, columns=["name", "adapt_resolution", "infer_samples_per_sec", "params"]).assign(
    adapt_ds="imagenet2012"
)


def kept(**limits):
    rows, notes = within(TABLE, Limits(**limits))
    return list(zip(rows["name"], rows["adapt_resolution"], strict=True)), notes


def test_what_the_released_index_counts_wrong_or_not_at_all_is_counted_from_the_shape():
    found = parameters(TABLE).tolist()
    assert found[:4] == [row[3] for row in ROWS[:4]]
    # 328,994,856 and 86,576,872 at 224 px; biases, norms and positions are not counted: at most two percent.
    assert found[4] == pytest.approx(329e6, rel=0.02)
    assert found[5] == pytest.approx(86_576_872, rel=0.02)
    bare = TABLE.drop(columns=["params", "infer_samples_per_sec"])
    assert parameters(bare).iloc[2] == pytest.approx(22_050_664, rel=0.02)
    assert speed(bare).isna().all()
    unknown = pd.DataFrame({"name": ["own", "own"], "params": [5.0, None]})
    assert parameters(unknown).tolist() == pytest.approx([5.0, float("nan")], nan_ok=True)


def test_limits_hold_at_the_resolution_of_a_row():
    assert kept()[0] == [row[:2] for row in ROWS]
    assert kept(max_params=25e6)[0] == [("R+Ti/16", 224), ("R+Ti/16", 384), ("S/16", 224), ("S/16", 384)]
    assert kept(min_speed=1000)[0] == [("R+Ti/16", 224), ("R+Ti/16", 384), ("S/16", 224)]
    assert kept(max_params=22_196_584, min_speed=300)[0] == [row[:2] for row in ROWS[:4]]


def test_what_was_left_out_is_said():
    assert kept(min_speed=1000)[1] == [
        "left out: B/8 (speed unknown)",
        "left out: R50+L/32 (327 images per second)",
        "left out: 1 of 2 rows of S/16 (300 images per second)",
    ]
    assert kept(max_params=25e6, min_speed=2000)[1][1].startswith("left out: R50+L/32 (328,")
    assert kept()[1] == []


def test_limits_that_nothing_keeps_name_the_nearest_that_would_do():
    with pytest.raises(UserError, match=r"at most 1,000,000 parameters: the smallest is R\+Ti/16 with 6,337,704; raise the"):
        kept(max_params=1e6)
    with pytest.raises(UserError, match=r"no checkpoint reaches 20,000 images per second: the fastest is R\+Ti/16 with 9,371"):
        kept(min_speed=20_000)
    both = r"no checkpoint of those with at most 25,000,000 parameters reaches 10,000 .*: the fastest is R\+Ti/16 with 9,371"
    with pytest.raises(UserError, match=both):
        kept(max_params=25e6, min_speed=10_000)
    bare = TABLE.drop(columns="infer_samples_per_sec")
    with pytest.raises(UserError, match="the table has no speed of the checkpoints"):
        within(bare, Limits(min_speed=1))
    with pytest.raises(UserError, match="the table has no number of parameters"):
        within(pd.DataFrame({"name": ["own"]}), Limits(max_params=1))
    assert within(TABLE.iloc[:0], Limits(max_params=1))[1] == []


def test_the_size_that_strategies_see_is_counted_from_the_shape_too():
    rows = [
        {
            "name": name,
            "ds": "i21k",
            "filename": name,
            "status": "ok",
            "final_val": 0.5,
            "adapt_filename": f"{name}--imagenet2012",
        }
        | {"adapt_ds": "imagenet2012", "adapt_resolution": 384, "adapt_status": "ok", "params": params}
        | {"adapt_final_val": 0.8, "adapt_final_test": 0.8, "aug": "none", "wd": 0.1, "do": 0.1}
        for name, params in (("L/16", 304e6), ("R50+L/32", 111_020_000.0))
    ]
    [row] = compare(pd.DataFrame(rows), strategies=["size"], pool="all").to_dict("records")
    assert row["filename"] == "R50+L/32"
