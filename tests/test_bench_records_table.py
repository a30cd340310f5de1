import random
import struct
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.points import LEVELS, Transfer, Upstream
from bench.records.record import Cost, Measurement, Record
from bench.records.schema import COLUMNS, RELEASED, VOLATILE
from bench.records.table import from_records, read_table, typed, write_table

HEADER = (
    "name,ds,epochs,lr,aug,wd,do,sd,best_val,final_val,final_test,adapt_ds,adapt_lr,adapt_steps,adapt_resolution,"
    "adapt_final_val,adapt_final_test,params,infer_samples_per_sec,filename,adapt_filename"
)
R26 = "R26_S_32-i21k-300ep-lr_0.001-aug_light1-wd_0.1-do_0.0-sd_0.0"
B8 = "B_8-i21k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0"
S16 = "S_16-i21k-30ep-lr_0.001-aug_none-wd_0.03-do_0.1-sd_0.1"
# Rows as in the released index; what is not known of a run is blank.
INDEX = f"""{HEADER}
R26+S/32,i21k,300.0,0.001,light1,0.1,0.0,0.0,,0.4777,,imagenet2012,0.01,20000,384,,0.83846,,560.40,{R26},{R26}--imagenet2012-steps_20k-lr_0.01-res_384
R26+S/32,i21k,300.0,0.001,light1,0.1,0.0,0.0,,0.4777,,oxford_iiit_pet,0.03,500,224,0.932065,0.916326,,,{R26},{R26}--oxford_iiit_pet-steps_0k-lr_0.03-res_224
R26+S/32,i21k,300.0,0.001,light1,0.1,0.0,0.0,,0.4777,,oxford_iiit_pet,0.03,2500,384,0.915761,0.894794,,,{R26},{R26}--oxford_iiit_pet-steps_2k-lr_0.03-res_384
B/8,i21k,300.0,0.001,medium2,0.1,0.0,0.0,,,,imagenet2012,0.03,20000,224,,0.85578,,,{B8},{B8}--imagenet2012-steps_20k-lr_0.03-res_224
S/16,i21k_30,30.0,0.001,none,0.03,0.1,0.1,,0.42,,,,,,,,,,{S16},
"""


ONE = Upstream("ViT-mu", "mnist5k", 12, 0.003, "none", 0.03, 0.0, 0.0)
TWO = replace(ONE, seed=1)
BAD = replace(ONE, aug="strong2", fraction=0.1)
DIGITS = Transfer(ONE, "digits", 20, 0.1, 28, batch_size=64)
SPRITES = Transfer(ONE, "synthetic_sprites_position", 20, 0.1, 14, batch_size=64)
DATA = {"train": 4000, "val": 500, "test": 500, "fingerprint": "u" * 16}


def record(config, val=None, test=None, **changes):
    """Returns a record whose validation accuracy was 0.05 higher before the end."""
    measured = ()
    if val is not None:
        measured = (
            Measurement("val", "accuracy", 500, val + 0.05, 10),
            Measurement("val", "accuracy", 500, val, 20),
            Measurement("test", "accuracy", 500, test, 20),
        )
    values = {"status": "ok", "params": 60_000, "data": DATA, "device": "cpu", "code_version": "0.1.0", "cost": COST}
    return Record(config=config, measurements=measured, **{**values, **changes})


COST = Cost(train_seconds=1.5, eval_images_per_second=900.0)
ADAPTED = {
    "params": 61_000,
    "data": {"train": 800, "val": 200, "test": 797, "fingerprint": "d" * 16},
    "cost": Cost(train_seconds=0.5, eval_images_per_second=450.0),
}
RECORDS = [
    record(ONE, 0.75, 0.5),
    record(TWO, 0.25, 0.125),
    Record(
        config=BAD,
        status="diverged",
        measurements=(Measurement("val", "accuracy", 500, 0.125, 1),),
        params=60_000,
        data={**DATA, "train": 431},
        device="cpu",
        code_version="0.1.0",
        why="the loss was nan at step 2",
    ),
    record(DIGITS, 0.5, 0.625, **ADAPTED),
    record(SPRITES, status="diverged", **{**ADAPTED, "cost": Cost()}),
]


def bits(value):
    return struct.pack("<d", value)


def refusal(make, *args):
    with pytest.raises(UserError) as caught:
        make(*args)
    return str(caught.value)


@pytest.fixture
def index(tmp_path):
    path = tmp_path / "index.csv"
    path.write_text(INDEX)
    return path


def cells(table, row):
    """Returns the cells of a row that are not empty."""
    return {name: value for name, value in table.iloc[row].items() if not pd.isna(value)}


def test_the_released_columns_come_first_in_their_order():
    table = from_records(RECORDS)
    assert ",".join(table.columns[:21]) == ",".join(RELEASED) == HEADER
    assert list(table.columns[21:]) == [
        "seed",
        "status",
        "digest",
        "n_train",
        "n_val",
        "n_test",
        "data_fingerprint",
        "code_version",
        "device",
        "train_seconds",
        "adapt_final_val_v2",
        "adapt_group",
        "adapt_synthetic",
        "adapt_seed",
        "adapt_status",
        "adapt_digest",
        "adapt_n_val",
        "adapt_n_test",
        "adapt_data_fingerprint",
        "adapt_train_seconds",
        "adapt_fit",
        "adapt_retrained",
        "adapt_version",
        "adapt_train_flops",
    ]
    assert VOLATILE == ("infer_samples_per_sec", "train_seconds", "adapt_train_seconds")
    assert {c.name: c.dtype for c in COLUMNS} == {name: str(dtype) for name, dtype in table.dtypes.items()}


def test_rows_are_what_the_records_say():
    table = from_records(RECORDS)
    upstream = {
        "name": "ViT-mu",
        "ds": "mnist5k",
        "epochs": 12.0,
        "lr": 0.003,
        "aug": "none",
        "wd": 0.03,
        "do": 0.0,
        "sd": 0.0,
        "best_val": 0.8,
        "final_val": 0.75,
        "final_test": 0.5,
        "filename": "ViT_mu-mnist5k-12ep-lr_0.003-aug_none-wd_0.03-do_0.0-sd_0.0",
        "seed": 0,
        "status": "ok",
        "digest": ONE.digest,
        "n_train": 4000,
        "n_val": 500,
        "n_test": 500,
        "data_fingerprint": "u" * 16,
        "code_version": "0.1.0",
        "device": "cpu",
        "train_seconds": 1.5,
        "params": 61_000.0,
    }
    adapted = {
        "adapt_ds": "digits",
        "adapt_lr": 0.1,
        "adapt_steps": 20,
        "adapt_resolution": 28,
        "adapt_final_val": 0.5,
        "adapt_final_test": 0.625,
        "infer_samples_per_sec": 450.0,
        "adapt_filename": upstream["filename"] + "--digits-steps_20-lr_0.1-res_28-batch_64",
        "adapt_group": "natural",
        "adapt_synthetic": False,
        "adapt_seed": 0,
        "adapt_status": "ok",
        "adapt_digest": DIGITS.digest,
        "adapt_n_val": 200,
        "adapt_n_test": 797,
        "adapt_data_fingerprint": "d" * 16,
        "adapt_train_seconds": 0.5,
        "adapt_fit": "train",
        "adapt_version": 1,
        "adapt_train_flops": 0.0,
    }
    diverged = {
        "adapt_ds": "synthetic_sprites_position",
        "adapt_resolution": 14,
        "adapt_filename": upstream["filename"] + "--synthetic_sprites_position-steps_20-lr_0.1-res_14-batch_64",
        "adapt_group": "structured",
        "adapt_synthetic": True,
        "adapt_status": "diverged",
        "adapt_digest": SPRITES.digest,
        "adapt_train_seconds": 0.0,
    }
    scores = {"adapt_final_val", "adapt_final_test", "infer_samples_per_sec"}
    second = {
        **upstream,
        "best_val": 0.3,
        "final_val": 0.25,
        "final_test": 0.125,
        "filename": "ViT_mu-mnist5k-12ep-lr_0.003-aug_none-wd_0.03-do_0.0-sd_0.0-seed_1",
        "seed": 1,
        "digest": TWO.digest,
        "params": 60_000.0,
        "infer_samples_per_sec": 900.0,
    }
    assert len(table) == 4
    assert cells(table, 0) == {**upstream, **adapted}
    assert cells(table, 1) == {k: v for k, v in {**upstream, **adapted, **diverged}.items() if k not in scores}
    assert cells(table, 2) == second
    small = cells(table, 3)
    assert (small["ds"], small["aug"], small["n_train"], small["status"]) == ("mnist5k_10pct", "strong2", 431, "diverged")
    # A run that diverged was measured on the way but has no final score.
    assert small["best_val"] == 0.125
    assert {"final_val", "final_test", "infer_samples_per_sec", "adapt_ds"} & set(small) == set()


@settings(deadline=None, max_examples=8)
@given(st.permutations(RECORDS))
def test_the_table_does_not_depend_on_the_order_of_the_records(records):
    pd.testing.assert_frame_equal(from_records(records), from_records(RECORDS))


def test_rows_are_sorted_by_name():
    table = from_records(RECORDS)
    keys = list(zip(table["filename"], table["adapt_filename"].fillna(""), strict=True))
    assert keys == sorted(keys)


def test_no_records_give_an_empty_table():
    table = from_records([])
    assert table.empty
    assert {c.name: c.dtype for c in COLUMNS} == {name: str(dtype) for name, dtype in table.dtypes.items()}


def test_records_that_do_not_belong_together_are_refused():
    assert refusal(from_records, [RECORDS[0], RECORDS[0]]) == f"two records of {ONE.name}"
    assert refusal(from_records, RECORDS[1:]) == f"transfer {DIGITS.name} has no record of its upstream run {ONE.name}"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_survive_their_file_to_the_bit(tmp_path, suffix):
    table = from_records(RECORDS)
    write_table(table, tmp_path / f"new/table{suffix}")
    pd.testing.assert_frame_equal(read_table(tmp_path / f"new/table{suffix}"), table, check_exact=True)
    assert [p.name for p in (tmp_path / "new").iterdir()] == [f"table{suffix}"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(5e-324, 1e300))
def test_floats_survive_to_the_bit(tmp_path, suffix, scores, params):
    table = from_records(RECORDS)
    table["final_test"] = [*scores, 0.1 + 0.2]
    table["adapt_final_val"] = [1 / 3, 0.7300000000000001, 5e-324, np.nan]
    table["params"] = params
    write_table(table, tmp_path / f"t{suffix}")
    back = read_table(tmp_path / f"t{suffix}")
    for column in ("final_test", "adapt_final_val", "params"):
        for one, other in zip(table[column], back[column], strict=True):
            assert bits(one) == bits(other)


def test_texts_of_all_kinds_survive(tmp_path):
    table = from_records(RECORDS)
    table["device"] = ['Tesla, "V100"', "NA", "nan", "two\nlines"]
    table["code_version"] = ["", "1.10", "None", "1e5"]
    for path in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        write_table(table, path)
        back = read_table(path)
        assert back["device"].tolist() == ['Tesla, "V100"', "NA", "nan", "two\nlines"]
        # An empty text is an empty cell.
        assert back["code_version"].fillna("-").tolist() == ["-", "1.10", "None", "1e5"]


def test_a_failed_write_keeps_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    write_table(from_records(RECORDS[:1]), path)
    before = path.read_bytes()

    def fail(_, file, **__):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(from_records(RECORDS), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_is_wrong_is_not_written(tmp_path):
    table = from_records(RECORDS)
    table.loc[0, "final_val"] = 75.0
    assert refusal(write_table, table, tmp_path / "t.csv") == "row 2: column 'final_val' is not in [0, 1]"
    assert list(tmp_path.iterdir()) == []


def test_the_released_index_reads_with_its_blanks(index):
    table = read_table(index)
    assert len(table) == 5
    assert list(table.columns) == [c.name for c in COLUMNS]
    assert cells(table, 1) == {
        "name": "R26+S/32",
        "ds": "i21k",
        "epochs": 300.0,
        "lr": 0.001,
        "aug": "light1",
        "wd": 0.1,
        "do": 0.0,
        "sd": 0.0,
        "final_val": 0.4777,
        "adapt_ds": "oxford_iiit_pet",
        "adapt_lr": 0.03,
        "adapt_steps": 500,
        "adapt_resolution": 224,
        "adapt_final_val": 0.932065,
        "adapt_final_test": 0.916326,
        "filename": R26,
        "adapt_filename": f"{R26}--oxford_iiit_pet-steps_0k-lr_0.03-res_224",
    }
    assert table["infer_samples_per_sec"].isna().tolist() == [False, True, True, True, True]
    assert table["adapt_steps"].fillna(-1).tolist() == [20_000, 500, 2_500, 20_000, -1]
    assert table["ds"].tolist() == ["i21k"] * 4 + ["i21k_30"]


def test_excels_marks_are_understood(index):
    index.write_bytes(b"\xef\xbb\xbf" + INDEX.replace("\n", "\r\n").encode())
    assert len(read_table(index)) == 5
    table = from_records(RECORDS)
    write_table(table, index)
    index.write_text(index.read_text().replace(",False,", ",FALSE,").replace(",True,", ",true,"))
    pd.testing.assert_frame_equal(read_table(index), table)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("final_test,adapt_ds", "final_tset,adapt_ds", "unknown column 'final_tset'; did you mean 'final_test'?"),
        (",adapt_ds,", ",lr,", "unknown column 'lr.1'; did you mean 'lr'?"),
        ("0.932065", "1.2", "row 3: column 'adapt_final_val' is not in [0, 1]"),
        ("0.932065", "-0.1", "row 3: column 'adapt_final_val' is not in [0, 1]"),
        ("0.4777", "47.77", "rows 2, 3, 4: column 'final_val' is not in [0, 1]"),
        ("0.85578", "high", "row 5: column 'adapt_final_test' is not a finite number"),
        ("0.85578", "nan", "row 5: column 'adapt_final_test' is not a finite number"),
        ("560.40", "inf", "row 2: column 'infer_samples_per_sec' is not a finite number"),
        ("0.03,500,224", "0.03,500.5,224", "row 3: column 'adapt_steps' is not a whole number"),
        ("300.0,0.001,medium2", "300.0,0.001,heavy2", "row 5: column 'aug' holds 'heavy2'; valid: " + ", ".join(LEVELS)),
        ("B/8,i21k", "B/9,i21k", "row 5: column 'name' holds 'B/9'; did you mean 'B/8'?"),
        ("S/16,i21k_30", ",i21k_30", "row 6: column 'name' is empty"),
        (f",{S16},", ",,", "row 6: column 'filename' is empty"),
        (S16, "S_16-whatever", "row 6: name 'S_16-whatever' does not follow the scheme"),
        (S16, f"{R26}--kitti-steps_0k-lr_0.03-res_224", "row 6: name 'R26_S_32-i21k-300ep"),
        ("i21k_30", "i21k", "row 6: column 'ds' is not 'i21k_30' as in the name S_16-i21k-30ep"),
        ("30.0,0.001,none,0.03,0.1", "30.0,0.001,none,0.1,0.1", f"row 6: column 'wd' is not 0.03 as in the name {S16}"),
        ("S/16,", "S/32,", f"row 6: column 'name' is not 'S/16' as in the name {S16}"),
        ("0.03,500,224", "0.01,500,224", f"row 3: column 'adapt_lr' is not 0.03 as in the name {R26}--oxford"),
        ("0.03,500,224", "0.03,500,384", f"row 3: column 'adapt_resolution' is not 224 as in the name {R26}--oxford"),
        (
            "oxford_iiit_pet,0.03,2500",
            "kitti,0.03,2500",
            f"row 4: column 'adapt_ds' is not 'oxford_iiit_pet' as in the name {R26}",
        ),
        (f"{B8}--", f"{R26}--", f"row 5: column 'filename' is not '{R26}' as in the name {R26}--imagenet2012"),
        ("-steps_2k-lr_0.03-res_384", "-steps_2500-lr_0.03-res_384", "row 4: name '" + R26 + "--oxford_iiit_pet-steps_2500"),
        (f"{R26}--oxford_iiit_pet-steps_2k-lr_0.03-res_384", "", "row 4: an upstream run listed again without a transfer"),
        (
            f"{R26}--oxford_iiit_pet-steps_2k-lr_0.03-res_384",
            f"{R26}--oxford_iiit_pet-steps_0k-lr_0.03-res_224",
            "rows 3, 4: one transfer run listed twice",
        ),
        ("\nB/8", "\n\nB/8", "row 5: column 'name' is empty"),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_row(index, old, new, said):
    assert old in INDEX
    index.write_text(INDEX.replace(old, new))
    assert refusal(read_table, index).startswith(f"{index}: {said}")


def test_more_than_three_bad_rows_are_counted(index):
    index.write_text(INDEX.replace(",0.0,0.0,", ",0.1,0.1,"))
    assert refusal(read_table, index).startswith(f"{index}: rows 2, 3, 4 and 1 more: column 'do' is not 0.0 as in the name")


def test_a_missing_released_column_is_named(index):
    table = read_table(index).drop(columns="adapt_steps")
    table.to_csv(index, index=False)
    assert refusal(read_table, index) == f"{index}: missing column 'adapt_steps'"
    assert refusal(typed, table[["name"]]) == "missing column 'ds'"


def test_missing_extra_columns_are_empty(index):
    table = read_table(index)
    assert table[[c.name for c in COLUMNS if not c.released]].isna().all(axis=None)
    pd.testing.assert_frame_equal(typed(table[list(RELEASED)]), table)


def test_a_column_that_stands_there_twice_is_refused():
    table = from_records(RECORDS)
    assert refusal(typed, pd.concat([table, table[["lr"]]], axis=1)) == "column 'lr' stands there twice"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("status", "fine", "row 3: column 'status' holds 'fine'; valid: ok, diverged"),
        ("adapt_status", "dverged", "row 3: column 'adapt_status' holds 'dverged'; did you mean 'diverged'?"),
        ("digest", "0" * 16, "rows 2, 3: one upstream name with several digests (results of different configs)"),
        ("adapt_seed", 3, "row 3: column 'adapt_seed' is not 0 as in the name"),
        ("seed", 3, "row 3: column 'seed' is not 0 as in the name"),
        ("adapt_final_val_v2", 2.0, "row 3: column 'adapt_final_val_v2' is not in [0, 1]"),
    ],
)
def test_what_the_release_lacks_is_checked_too(column, value, said):
    table = from_records(RECORDS)
    table.loc[1, column] = value
    assert refusal(typed, table).startswith(said)


def test_truth_values_are_true_or_false():
    table = from_records(RECORDS).astype({"adapt_synthetic": "string"})
    table.loc[1, "adapt_synthetic"] = "maybe"
    assert refusal(typed, table) == "row 3: column 'adapt_synthetic' is neither True nor False"


def test_row_numbers_do_not_depend_on_the_frames_index():
    table = from_records(RECORDS)
    table.loc[1, "final_val"] = 2.0
    assert refusal(typed, table.set_axis([7, 7, 7, 7])) == "row 3: column 'final_val' is not in [0, 1]"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "no such table"),
        ("none.parquet", None, "no such table"),
        ("table.txt", b"", "a table is a .csv or a .parquet file"),
        ("table.csv", b"", "not readable as csv (No columns to parse from file)"),
        ("table.csv", b"name,ds\n1,2,3\n4,5,6\n", "not readable as csv (Length of header"),
        ("table.csv", b"name,ds\n1,2\n4,5,6\n", "not readable as csv ("),
        ("table.csv", b'name,ds\n"1,2\n', "not readable as csv ("),
        ("table.csv", b"\xff\xfe\x00", "not readable as csv ("),
        ("table.parquet", b"name,ds\n", "not readable as parquet ("),
    ],
)
def test_unreadable_tables_name_the_file(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert refusal(read_table, path).startswith(f"{path}: {said}")


def test_other_suffixes_are_not_written(tmp_path):
    path = tmp_path / "table.xlsx"
    assert refusal(write_table, from_records([]), path) == f"{path}: a table is a .csv or a .parquet file"
    assert not path.exists()


def test_the_whole_released_grid_reads_in_seconds(tmp_path):
    models = ["Ti/16", "S/32", "S/16", "B/32", "B/16", "L/16", "R+Ti/16", "R26+S/32", "R50+L/32"]
    sets = [("i1k", 300), ("i21k", 300), ("i21k", 30)]
    runs = [(t, s, lr) for t in ("cifar100", "resisc45") for s in (2_500, 10_000) for lr in (0.001, 0.003, 0.01, 0.03)]
    runs += [(t, s, lr) for t in ("kitti", "oxford_iiit_pet") for s in (500, 2_500) for lr in (0.001, 0.003, 0.01, 0.03)]
    runs += [("imagenet2012", 20_000, lr) for lr in (0.01, 0.03)]
    spelled = {500: "0k", 2_500: "2k", 10_000: "10k", 20_000: "20k"}
    rng = random.Random(0)
    lines = [HEADER]
    for model in models:
        for (ds, epochs), aug in ((s, a) for s in sets for a in list(LEVELS)[:7]):
            for wd, rate in ((w, r) for w in (0.03, 0.1) for r in (0.0, 0.1)):
                prefix = model.replace("+", "_").replace("/", "_")
                up = f"{prefix}-{ds}-{epochs}ep-lr_0.001-aug_{aug}-wd_{wd}-do_{rate}-sd_{rate}"
                label = "i21k_30" if epochs == 30 else ds
                head = f"{model},{label},{epochs}.0,0.001,{aug},{wd},{rate},{rate},{rng.random()},{rng.random()},{rng.random()}"
                lines += [
                    f"{head},{task},{lr},{steps},{res},{rng.random()},{rng.random()},5717416.0,3097.0,{up},"
                    f"{up}--{task}-steps_{spelled[steps]}-lr_{lr}-res_{res}"
                    for task, steps, lr in runs
                    for res in (224, 384)
                ]
    path = tmp_path / "index.csv"
    path.write_text("\n".join(lines) + "\n")
    started = time.process_time()
    table = read_table(path)
    seconds = time.process_time() - started
    assert len(table) == 51_408
    assert table["filename"].nunique() == 756
    assert [repr(x) for x in table["final_val"].iloc[::9_000]] == [line.split(",")[9] for line in lines[1::9_000]]
    assert seconds < 15  # about 3 on one core; a check that parses every cell's row anew takes minutes
