"""The command `augreg figure`, and the page that shows what it draws."""

import re
from pathlib import Path

import pandas as pd
import pytest
from released_like import released_like

from bench.records.table import write_table
from bench.report import augreg, heatmap, scaling
from bench.report.catalogue import KINDS
from sweeps.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "figures.md").read_text()


def augreg_figure(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["figure", *map(str, arguments)])
    return ended.value.code


def test_without_a_name_every_figure_is_listed_with_what_it_is_drawn_from(capsys):
    assert augreg_figure() == 0
    listed = capsys.readouterr().out
    names = re.findall(r"^([a-z0-9-]+): ", listed, re.MULTILINE)
    assert names == [*augreg.FIGURES, *scaling.FIGURES]
    uses = re.findall(r"; drawn from (.*)$", listed, re.MULTILINE)
    assert len(uses) == len(names)
    assert all(use in KINDS for line in uses for use in line.split(", or "))


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_is_drawn_from_published_numbers(tmp_path, kind):
    picture, rows = tmp_path / f"fig7.{kind}", tmp_path / "rows.csv"
    assert augreg_figure("augreg-fig7", "-o", picture, "--csv", rows) == 0
    assert picture.read_bytes()[:4] in (b"\x89PNG", b"<?xm", b"%PDF")
    found = pd.read_csv(rows).set_index(["ds", "name", "aug"])["value"]
    assert found["i1k", "Ti/16", "medium2"] == pytest.approx(-0.11)
    assert len(found) == 189
    before = picture.read_bytes()
    assert augreg_figure("augreg-fig7", "-o", picture) == 0
    assert picture.read_bytes() == before


def test_a_figure_is_drawn_from_a_table(tmp_path):
    table, rows = tmp_path / "table.csv", tmp_path / "rows.csv"
    write_table(released_like()[lambda t: t["name"].isin(["S/16", "L/16"])], table)
    assert augreg_figure("augreg-fig5-right", table, "--csv", rows) == 0
    assert pd.read_csv(rows)["origin"].eq("the table").all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("augreg-fig8", "-o", "x.png"), "no figure 'augreg-fig8'; did you mean 'augreg-fig"),
        (("augreg-fig7",), "nothing to write"),
        (("augreg-fig2", "-o", "x.png"), r"augreg-fig2 has no published numbers to be drawn from: give a TABLE \(own runs\)"),
        (("augreg-fig7", "-o", "x.doc"), "cannot draw into a file of kind 'doc'"),
        (("augreg-fig7", "missing.csv", "-o", "x.png"), "missing.csv"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_line(capsys, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert augreg_figure(*arguments) == 2
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_page_names_every_figure_of_augreg():
    assert list(dict.fromkeys(re.findall(r"`(augreg-(?:fig|table)[\w-]+)`", PAGE))) == list(augreg.FIGURES)


def test_the_pandas_of_the_page_gives_the_heatmap(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = released_like()
    write_table(table, tmp_path / "table.csv")
    made = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, made)
    cells = heatmap.cells(table).set_index(["ds", "name", "do", "aug"])["value"]
    assert made["cells"].to_dict() == cells.to_dict()
    assert round(made["grid"].loc[("i1k", "Ti/16"), (0.0, "light0")]) == 76
    assert made["gain"].loc[("i1k", "Ti/16"), (0.1, "strong2")] == -10
    assert made["figure"].axes
