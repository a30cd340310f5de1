"""What `results/selection-mini/README.md` says is what its table and its scores say."""

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from bench.records.scores import read_scores
from bench.records.table import read_table
from bench.select.compare import compare_seeds
from bench.select.intervals import against
from bench.select.means import OVER_TASKS, OVERALL, means
from sweeps.archive import difference
from sweeps.cli import cli

FOLDER = Path(__file__).parents[1] / "results" / "selection-mini"
README = (FOLDER / "README.md").read_text()
SAID = re.findall(r"^\| (\w+) \| (-?\d+\.\d) \[(-?\d+\.\d), (-?\d+\.\d)\] \| (\d+) \|$", README, re.MULTILINE)


@pytest.fixture(scope="module")
def comparison():
    table, scores = read_table(FOLDER / "table.csv"), read_scores(FOLDER / "scores.csv")
    return compare_seeds(table, scores, pool="all", strategies=[name for name, *_ in SAID])


def test_the_regrets_and_costs_are_those_of_the_table(comparison):
    found = means(comparison)
    rows = found[(found["scope"] == OVERALL) & (found["convention"] == OVER_TASKS) & (found["name"] == "any model")]
    rows = rows.set_index("strategy")
    assert len(SAID) == 10
    for name, *numbers, finetunes in SAID:
        row = rows.loc[name]
        points = [100 * row[column] for column in ("regret", "regret_low", "regret_high")]
        assert points == pytest.approx([float(n) for n in numbers], abs=0.051), name
        # The mean over two seeds of the sum over seven tasks.
        assert (row["tasks"], row["finetunes"]) == (7, int(finetunes)), name


def test_the_verdicts_are_those_of_the_table(comparison):
    verdicts = against(comparison, "upstream_best").set_index("strategy")
    assert verdicts.index[verdicts["separable"].astype(bool)].tolist() == ["random_k"]
    assert "**Upstream-best against adapt-all: not separable**" in README


def test_every_run_is_there():
    table = pd.read_csv(FOLDER / "table.csv")
    assert (len(table), table["filename"].nunique(), table["adapt_ds"].nunique()) == (1_344, 16, 7)
    assert set(table["adapt_group"]) == {"natural", "specialized", "structured"}


LINES = [line for line in re.findall(r"^augreg (.*)$", README, re.MULTILINE) if "table.csv" in line]


def test_the_readme_says_how_everything_is_drawn():
    drawn = {shlex.split(line)[-1] for line in LINES if " -o " in line}
    # These come from the records, as of every sweep that is kept.
    assert drawn == {path.name for path in FOLDER.glob("*.png")} - {"heatmap.png", "selection.png"}
    assert "recommend table.csv" in LINES


@pytest.mark.results
@pytest.mark.parametrize("line", LINES)
def test_the_readme_s_commands_give_these_files(line, tmp_path, monkeypatch):
    for name in ("table.csv", "scores.csv"):
        shutil.copy(FOLDER / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False)
    assert said.exit_code == 0
    made = tmp_path / (shlex.split(line)[-1] if " -o " in line else "recommended.md")
    if not made.exists():
        made.write_text(said.stdout)
    assert difference((FOLDER / made.name).read_bytes(), made.read_bytes(), made.suffix) == ""
