"""The table that reports are timed on, and what is set against what."""

import numpy as np
import pandas as pd
import pytest

from bench.perf import report
from bench.perf.full_table import SETTINGS, full_table
from bench.records.oddities import ROWS, UPSTREAM_RUNS, oddities
from bench.records.schema import COLUMNS
from bench.report.recommended import recommend
from vtab.protocols import PROTOCOLS


@pytest.fixture(scope="module")
def whole():
    return full_table()


def test_the_table_is_of_the_released_size_and_schema(whole):
    assert (len(whole), whole["filename"].nunique()) == (ROWS, UPSTREAM_RUNS) == (51_509, 759)
    assert whole["ds"].value_counts().to_dict() == {"i21k": 17_238, "i1k": 17_136, "i21k_30": 17_135}
    assert whole.columns.tolist() == [c.name for c in COLUMNS]
    assert whole.notna().any().sum() == 21


def test_it_is_odd_as_the_release_is_and_in_nothing_else(whole):
    found = oddities(whole)
    assert all(each.known for each in found)
    assert [each.says.split(":")[0] for each in found if "missing" in each.says] == ["one transfer is missing"]


def test_a_run_has_the_transfers_of_the_protocol():
    protocol = PROTOCOLS["augreg-five"]
    assert {task: (protocol.of(task).lrs, protocol.of(task).steps) for task in protocol.tasks} == SETTINGS


def test_all_choose_the_same(whole):
    theirs = report.notebook(pd.DataFrame(whole).convert_dtypes(dtype_backend="numpy_nullable"))
    ours, table = report.choice(whole), recommend(whole, ["i21k"]).set_index("name")
    assert len(theirs) == len(table) == 10
    assert ours.set_index("name")["adapt_filename"].to_dict() == theirs["adapt_filename"].to_dict()
    assert table["filename"].to_dict() == theirs["filename"].to_dict()
    for name, row in theirs.iterrows():
        assert table.at[name, "test_imagenet2012"] == row["adapt_final_test"]
        pool = whole[(whole["name"] == name) & (whole["ds"] == "i21k")]
        assert pool.loc[pool["filename"] == row["filename"], "final_val"].iloc[0] == pool["final_val"].max()


def test_every_figure_of_the_benchmark_is_positive_and_the_targets_are_those_set(monkeypatch):
    part = full_table(("Ti/16", "B/16")).iloc[::9]
    monkeypatch.setattr(report, "full_table", lambda _: part)
    monkeypatch.setattr(report.page, "render", lambda table, *_, **__: "é" * len(table))
    found = report.run(True)
    assert [f.value.median for f in found if f.unit == "MB"] == [2 * 1281 / 1e6]
    assert {f.benchmark for f in found} == {"report"}
    assert all(np.isfinite(f.value.median) and f.value.median > 0 for f in found)
    assert all(f.what.startswith("1,281 rows: ") for f in found)
    assert [f.target for f in found if f.target] == ["below 1", "below 1", "below 1", "below 20", "below 10", "below 3"]
    assert [f.against for f in found if f.unit == "x"] == ["pandas.read_csv, unchecked", *[found[-1].against] * 2]
