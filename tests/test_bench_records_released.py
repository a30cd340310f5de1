"""The released index: read from here and elsewhere, what is odd about it, and what is refused."""

import hashlib
import re

import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from released_like import released_like

from bench.errors import UserError
from bench.records.oddities import oddities
from bench.records.released import INDEX, read_released
from bench.records.schema import RELEASED
from bench.records.table import read_table, typed
from sweeps.cli import main

TABLE = released_like()
LOST = "--imagenet2012-steps_20k-lr_0.03-res_384"
R50 = TABLE[TABLE["name"].isin(["R50+L/32", "S/16"])].reset_index(drop=True)
SHORT = R50[R50["ds"] == "i21k_30"].reset_index(drop=True)


@pytest.fixture
def index(tmp_path):
    """The two models' rows as the release writes them: 21 columns."""
    path = tmp_path / "index.csv"
    R50[list(RELEASED)].to_csv(path, index=False)
    return path


def said(table, known):
    return [o.says for o in oddities(table) if o.known is known]


def test_the_index_is_read_as_it_is(index):
    found = read_released(index)
    pd.testing.assert_frame_equal(found.table, R50)
    assert found.sha256 == hashlib.sha256(index.read_bytes()).hexdigest()
    first, *lines = found.report().splitlines()
    assert first == f"{index}: 1,344 rows of 168 upstream runs, sha256 {found.sha256}"
    assert len(lines) == len(found.oddities)
    assert all(line.startswith(("known: ", "odd: ")) for line in lines)


def test_parquet_is_read_as_well(index, tmp_path):
    pd.read_csv(index).to_parquet(tmp_path / "index.parquet")
    pd.testing.assert_frame_equal(read_released(tmp_path / "index.parquet").table, R50)


# What is odd


def test_what_the_release_is_known_for_is_known():
    lost = SHORT[SHORT["adapt_filename"].str.endswith(LOST)].index[3]
    name = SHORT.at[lost, "adapt_filename"]
    table = typed(pd.concat([TABLE[TABLE["adapt_filename"] != name]], ignore_index=True))
    assert said(table, True) == [
        f"one transfer is missing: {name}",
        "B/8 on i21k: 3 upstream runs where other models have 28, transferred at 224 pixels alone",
        *(
            f"column 'params' has 110.95 million for R50+L/32 at {px} pixels, less than the 327.54 million of its layers"
            for px in (224, 384)
        ),
        "column 'params' is empty for B/8",
        "column 'infer_samples_per_sec' is empty for B/8",
    ]
    assert said(table, False) == [
        "6,065 transfers of 759 upstream runs, where the release has 51,509 of 759: a part of it, or another version"
    ]


def test_nothing_is_repaired(index):
    table = read_released(index).table
    assert table.loc[table["name"] == "R50+L/32", "params"].eq(110_950_000).all()


@pytest.mark.parametrize(
    ("change", "expected", "rows"),
    [
        ({"adapt_ds": "sun397"}, "column 'adapt_ds' holds what was never seen in the release: sun397", 1),
        ({"adapt_resolution": 512}, "column 'adapt_resolution' holds what was never seen in the release: 512", 1),
        ({"sd": 0.2}, "columns 'do' and 'sd' differ, which are one axis of the release", 1),
        ({"final_val": 0.99}, "column 'final_val' is above 'best_val'", 1),
        ({"adapt_final_test": 0.912345}, "column 'adapt_final_test' has what no whole number of right answers gives", 1),
        ({"adapt_final_val": None}, "column 'adapt_final_val' is empty for S/16", 1),
        ({"best_val": None}, "column 'best_val' is empty for S/16", 1),
    ],
)
def test_what_is_odd_is_said_and_counted(change, expected, rows):
    table = R50.copy()
    [(column, value)] = change.items()
    table.loc[table.index[table["name"] == "S/16"][0], column] = value
    before = {o.says for o in oddities(R50)}
    new = [o for o in oddities(table) if o.says not in before]
    assert expected in {o.says for o in new}
    assert {o.rows for o in new if o.says == expected} == {rows}
    assert not any(o.known for o in new)


def test_missing_transfers_of_another_kind_are_not_known():
    mine = SHORT[SHORT["name"] == "S/16"]
    two = mine[mine["adapt_filename"].str.endswith(LOST)].index[:2]
    [lacking] = [o for o in oddities(SHORT.drop(two).reset_index(drop=True)) if "missing" in o.says]
    assert lacking.says.startswith("2 transfers are missing that other runs of the model have: S_16-i21k-30ep")
    assert not lacking.known
    one = mine[mine["adapt_ds"] == "kitti"].index[:1]
    [lacking] = [o for o in oddities(SHORT.drop(one).reset_index(drop=True)) if "missing" in o.says]
    assert lacking.says.startswith("1 transfer is missing that other runs")
    assert lacking.says.endswith(SHORT.at[one[0], "adapt_filename"])


def test_another_spelling_of_the_short_runs_is_written_as_here_and_said(tmp_path):
    path = tmp_path / "index.csv"
    cells = SHORT[list(RELEASED)]
    names = {c: cells[c].str.replace("-i21k-30ep-", "-i21k_30-30ep-", regex=False) for c in ("filename", "adapt_filename")}
    cells.assign(**names).to_csv(path, index=False)
    found = read_released(path)
    pd.testing.assert_frame_equal(found.table, SHORT)
    [first] = [o for o in found.oddities if "i21k_30-30ep" in o.says]
    assert (first.rows, first.known) == (len(SHORT), False)


def test_an_index_without_rows_is_a_part_of_the_release(index):
    index.write_text(index.read_text().splitlines()[0] + "\n")
    found = read_released(index)
    assert len(found.table) == 0
    assert [o.says.split(",")[0] for o in found.oddities] == ["0 transfers of 0 upstream runs"]


# What is refused


@pytest.mark.parametrize("share", [0.3, 0.617, 0.9])
def test_a_truncated_file_is_refused(index, share):
    content = index.read_bytes()
    content = content[: int(len(content) * share)].rstrip(b"\n")
    index.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{index}: truncated, its last line does not end; row")):
        read_released(index)


def test_a_truncated_parquet_file_is_refused(index, tmp_path):
    path = tmp_path / "index.parquet"
    pd.read_csv(index).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"index\.parquet: not readable as parquet"):
        read_released(path)


def test_a_last_line_without_an_end_is_no_matter_where_it_is_whole(index):
    index.write_bytes(index.read_bytes().rstrip(b"\n"))
    pd.testing.assert_frame_equal(read_released(index).table, R50)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("aug_light1", "aug_light7", "field 'aug' is 'light7'; did you mean 'light1'"),
        (",light1,", ",light7,", "column 'aug' holds 'light7'; did you mean"),
        ("\nS/16,", "\nS/61,", "column 'name' holds 'S/61'; did you mean 'S/16'"),
        (",0.03,0.0,", ",0.1,0.0,", "column 'wd' is not 0.03 as in the name"),
        ("final_val,final_test", "final_vale,final_test", "unknown column 'final_vale'"),
    ],
)
def test_an_altered_file_is_refused(index, old, new, why):
    text = index.read_text()
    assert old in text
    index.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=why) as caught:
        read_released(index)
    assert str(caught.value).startswith(f"{index}: ")


def test_rows_of_a_run_that_contradict_each_other_are_refused(index):
    cells = pd.read_csv(index)
    cells.loc[5, "final_val"] += 1 / 1024
    cells.to_csv(index, index=False)
    with pytest.raises(UserError, match=r"rows 2, 3, 4 and 5 more: upstream run .* has several values of 'final_val': altered"):
        read_released(index)


def test_the_checksum_that_was_asked_for(index):
    right = hashlib.sha256(index.read_bytes()).hexdigest()
    assert read_released(index, right.upper()).sha256 == right
    with pytest.raises(UserError, match=f"has the sha256 checksum {right}, not 0123: altered, or another version"):
        read_released(index, "0123")


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match=r"no\.csv: no such table$"):
        read_released(tmp_path / "no.csv")
    with pytest.raises(UserError, match="not readable"):
        read_released(tmp_path)


# From elsewhere


class Bucket(MemoryFileSystem):
    store, pseudo_dirs, protocol, said = {}, [""], ("gs", "gcs"), {}

    def info(self, path, **options):
        return {**super().info(path, **options), **self.said}


@pytest.fixture
def _bucket(index, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(_registry, "gs", Bucket)
    monkeypatch.setattr(Bucket, "said", {})
    Bucket().pipe_file(INDEX.removeprefix("gs://"), index.read_bytes())
    yield
    Bucket.store.clear()


@pytest.mark.usefixtures("_bucket")
def test_the_index_is_fetched_once_and_kept_with_its_checksum(tmp_path):
    found = read_released()
    assert found.source == INDEX
    [kept] = (tmp_path / "cache" / "augreg-bench" / "tables").glob("*-index.csv")
    assert kept.with_name(f"{kept.name}.sha256").read_text() == found.sha256
    assert read_released().sha256 == found.sha256
    kept.write_bytes(kept.read_bytes().replace(b"0.85992", b"0.95992"))
    with pytest.raises(UserError, match=rf"{INDEX}: .*-index\.csv was altered since it was fetched: delete it"):
        read_released()
    kept.unlink()
    assert read_released().sha256 == found.sha256


@pytest.mark.usefixtures("_bucket")
def test_other_bytes_than_the_bucket_has_the_checksum_of_are_not_kept(monkeypatch, tmp_path):
    # In base 64, the MD5 of no bytes.
    monkeypatch.setattr(Bucket, "said", {"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    with pytest.raises(UserError, match="came with other bytes than the bucket has the checksum of"):
        read_released()
    assert list((tmp_path / "cache" / "augreg-bench" / "tables").iterdir()) == []


@pytest.mark.usefixtures("_bucket")
def test_a_missing_index_is_said():
    with pytest.raises(UserError, match=r"gs://vit_models/no\.csv: no such file there"):
        read_released("gs://vit_models/no.csv")


# The command


def test_the_command_writes_the_table_and_prints_the_report(index, tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main(["import", str(index), "-o", str(tmp_path / "t.parquet")])
    assert done.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{index}: 1,344 rows of 168 upstream runs, sha256 ")
    assert "known: column 'params' has 110.95 million for R50+L/32" in out
    assert err == ""
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), R50)


def test_the_command_says_what_is_wrong_in_a_line(index, tmp_path, capsys):
    index.write_bytes(index.read_bytes()[:-30])
    with pytest.raises(SystemExit) as done:
        main(["import", str(index), "-o", str(tmp_path / "t.csv")])
    assert done.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "truncated" in err
    assert not (tmp_path / "t.csv").exists()
