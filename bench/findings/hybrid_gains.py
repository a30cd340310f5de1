"""What networks of convolution and attention gain from more upstream data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import adapted, ended, nested, of_families, sides, tops
from bench.points.tasks import TASKS
from bench.select.published_scaling import coatnet
from bench.select.validation import V2_OF

_MORE = 5.0
"""How many times as many images are more data."""


def _steps(reached: pd.DataFrame) -> pd.DataFrame:
    """Each set against the next larger one: pairs of `bench.findings.effects.paired`, `model` with both sets and the task."""
    found = []
    # The first of a set's larger ones is the next: pairs come by size.
    following = dict(reversed(nested(reached["ds"], _MORE)))
    for small, large in sorted(following.items()):
        both = sides(reached[reached["ds"] == large], reached[reached["ds"] == small])
        found.append(both.assign(step=f"{small} to {large}"))
    if not found or (pairs := pd.concat(found, ignore_index=True)).empty:
        raise Untestable("no CoAtNet was transferred to one task from two upstream sets of different size")
    return pairs


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = ended(table)
    runs = runs[of_families(runs, "coatnet")]
    reached = adapted(table, tops(runs))
    # A modifier does not make another model: the paper's largest set has the strides elsewhere.
    return _steps(reached.assign(name=reached["name"].str.replace(":.*", "", regex=True)))


def _published(folder: Path) -> pd.DataFrame:
    rows = coatnet(folder).dropna(subset=["resolution"])
    # Of several recipes the first stands for a model; the others have a note and more training.
    rows = rows.drop_duplicates(["model", "ds", "resolution"])
    task = [f"{V2_OF} at {px}" for px in rows["resolution"]]
    run = rows["model"] + " " + rows["ds"] + " " + pd.Series(task, index=rows.index)
    facts = {"name": rows["model"], "ds": rows["ds"], "task": task, "test": rows["accuracy"], "run": run}
    return _steps(pd.DataFrame(facts).assign(n_test=TASKS[V2_OF].test))


def test(evidence: Evidence) -> Verdict:
    """Judges test accuracy from the larger set less that from the smaller, by model; models are few, so of these alone."""
    pairs = evidence.read(_measured, _published)
    means = (100 * (pairs["a"] - pairs["b"])).groupby(pairs["step"], sort=False).mean()
    by_step = ", ".join(f"{step} {value:+.1f}" for step, value in means.items())
    alone = pairs.assign(model=[f"{m} {i}" for i, m in enumerate(pairs["model"])])
    return judged(paired(alone, general=False), f"more upstream data ({by_step})")


FINDING = Finding(
    "hybrid-gains-with-data",
    "A hybrid of convolution and attention goes on gaining with data",
    '"CoAtNet", Tables 4 and 5',
    test,
)
