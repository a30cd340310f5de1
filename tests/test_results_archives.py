"""The tables and figures of `results/` are those of the records beside them."""

import re
from pathlib import Path

import pytest

from sweeps import archive
from sweeps.named import find

RESULTS = Path(__file__).parents[1] / "results"
FOLDERS = sorted(path.parent.name for path in RESULTS.glob(f"*/{archive.FILE}"))


def test_the_readme_says_which_sweeps_are_kept():
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \|", (RESULTS / "README.md").read_text(), re.MULTILINE)
    assert "smoke" in FOLDERS
    assert {name: int(records) for name, records in rows} == {n: len(archive.read(RESULTS / n).records) for n in FOLDERS}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_sweep_is_whole(name):
    kept = archive.read(RESULTS / name)
    assert kept.sweep == name
    # A transfer that is tuned first is trained again under a name that is known only then.
    assert {point.name for point in find(name).points} <= {record.config.name for record in kept.records}


# Of another machine the last digits may differ, and this asks for all of them.
@pytest.mark.results
@pytest.mark.parametrize("name", FOLDERS)
def test_the_records_give_the_tables_and_figures(name):
    assert archive.differences(RESULTS / name) == []
