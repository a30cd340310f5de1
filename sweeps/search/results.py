"""What a search found, for people: the table of its trials, and the best."""

from __future__ import annotations

import csv
import io
from typing import Any

from bench.records.atomic import export
from sweeps.layout import Workdir
from sweeps.search.proposals import Proposals, optima
from sweeps.space import Sweep

FILE = "trials.csv"


def write_trials(sweep: Sweep, workdir: Workdir) -> list[str]:
    """Writes `trials.csv`, a row a proposal (number, run, axes, status, value), and returns what to say of the search.

    The value is the objective's; a run that diverged has 0, one that was pruned or has no record none.
    """
    assert sweep.search is not None
    proposals = Proposals.of(sweep, workdir)
    records = {c.name: record for c in proposals.configs if (record := workdir.run(c).record())}
    for record in records.values():
        proposals.tell(record)
    axes = list(sweep.search.axes)
    rows: list[list[Any]] = [["number", "run", *axes, "status", "value"]]
    for trial in proposals.trials():
        name = sweep.search.config(trial.params).name
        status = records[name].status if name in records else ""
        value = "" if status in ("", "pruned") else trial.value
        rows.append([trial.number + 1, name, *(trial.params[axis] for axis in axes), status, value])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    export(workdir.path / FILE, text.getvalue())
    lines = [f"best {axes[2]} of {size} for {epochs:g} epochs: {rate:g}" for (size, epochs), rate in optima(proposals)]
    if best := proposals.best():
        lines.append(f"best {sweep.search.objective}: {best[1]:.4f} by {best[0].name}")
    return lines
