"""`augreg findings`: what it prints, and what it says of bad input."""

import io
import json

import pandas as pd
import pytest
from claims import CASES, table

from bench.findings import FINDINGS
from bench.findings.verdicts import COLUMNS
from bench.records.table import write_table


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("findings") / "table.csv"
    write_table(table(CASES["prefer-augmentation"][0]), path)
    return path


def test_csv_holds_raw_values(augreg, path):
    code, out, err = augreg("findings", path, "--format", "csv")
    assert (code, err) == (0, "")
    found = pd.read_csv(io.StringIO(out))
    assert list(found) == list(COLUMNS)
    assert found["finding"].tolist() == list(FINDINGS)
    row = found.set_index("finding").loc["prefer-augmentation"]
    assert (row["verdict"], row["unit"], row["runs"]) == ("supported", "points", 14)
    assert row["effect"] == pytest.approx(3 - 0.3 / 7, abs=1e-9)


def test_json_has_null_where_nothing_is_known(augreg, path):
    code, out, err = augreg(
        "findings", path, "--format", "json", "--finding", "larger-patch", "--finding", "prefer-augmentation"
    )
    assert (code, err) == (0, "")
    first, second = json.loads(out)
    assert (first["finding"], first["verdict"], first["effect"]) == ("larger-patch", "not testable here", None)
    assert second["effect"] > 0


def test_published_numbers_have_rows_of_their_own(augreg, path):
    code, out, err = augreg("findings", path, "--published", "--finding", "prefer-augmentation")
    assert (code, err) == (0, "")
    head, rule, *rows = out.splitlines()
    assert head == "| claim | tested on | verdict | effect [95% interval] | runs | why | source |"
    assert rule == "|---|---|---|---|---:|---|---|"
    assert [row.split(" | ")[1:3] for row in rows] == [["table", "supported"], ["published", "supported"]]
    alone = augreg("findings", "--published", "--finding", "prefer-augmentation")
    assert alone[0] == 0
    assert "tested on" not in alone[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give a table, published numbers, or both"),
        (["--published", "--finding", "larger-patches"], "did you mean 'larger-patch'?"),
        (["nowhere.csv"], "nowhere.csv: no such table"),
    ],
)
def test_bad_input_is_explained_in_one_line(augreg, arguments, complaint):
    code, out, err = augreg("findings", *arguments)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1
