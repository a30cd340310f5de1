"""What `augreg transfer` leaves for people, beside the tables that every sweep leaves: a recommendation and the strategies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from bench.records import scores as scoring
from bench.records.atomic import export
from sweeps.layout import Workdir
from sweeps.live import Choosing
from sweeps.results import table_of
from sweeps.space import Sweep
from sweeps.story import Story
from vtab.protocols import Protocol

FILES = RECOMMENDED, COMPARED, PICTURE = "recommended.md", "selection.csv", "selection.png"
_FIRST = "linear_probe"


def write(sweep: Sweep, workdir: Workdir, protocol: Protocol) -> Iterator[str]:
    """Writes the files and returns the lines to print: the recommendation, or the scores where nothing was adapted.

    Only this sweep's points count, not those of another one that the folder once held. Strategies are compared where all
    transfers were run.

    Args:
      sweep: which has run.
      workdir: where.
      protocol: whose scores are shown.
    """
    from bench.report import ranking, selection
    from bench.select.compare import compare

    folder, names = workdir.path, {point.name for point in sweep.points}
    table = table_of(workdir)
    table = table[table["adapt_filename"].isin(names)].reset_index(drop=True)
    scores = scoring.from_records(record for record in workdir.records() if record.config.name in names)
    if table.empty:
        yield from score_lines(scores, protocol.scores)
        return
    weights = {each.name: str(workdir.given(each)) for each in sweep.given}
    text = ranking.to_markdown(ranking.ranking(table, scores, _chosen(workdir), weights.get))
    export(folder / RECOMMENDED, text)
    if sweep.follow is None or not sweep.follow.partial:
        compared = compare(table, scores if len(scores) else None, pool="all")
        export(folder / COMPARED, compared.to_csv(index=False, lineterminator="\n"))
        selection.save(selection.draw(compared), folder / PICTURE)
    yield from text.rstrip().splitlines()


def _chosen(workdir: Workdir) -> dict[str, str]:
    """Returns the run that a strategy has chosen, by task, where one was at work."""
    follow = Story(workdir.path).follow
    choices = follow.choices if isinstance(follow, Choosing) else {}
    return {task: choice.run for task, choice in choices.items() if choice.run is not None}


def score_lines(scores: pd.DataFrame, names: Sequence[str]) -> Iterator[str]:
    """Returns a table of every task and resolution: a line a checkpoint, best linear probe first; no test accuracy.

    Args:
      scores: columns of `bench.records.scores`.
      names: of the scores to show, in this order, but for the linear probe, which comes first.
    """
    order = sorted(names, key=lambda name: name != _FIRST)
    seen = scores[(scores["split"] != "test") & scores["score"].isin(order)]
    for (task, resolution), rows in seen.groupby(["adapt_ds", "adapt_resolution"]):
        wide = rows.pivot_table(index="filename", columns="score", values="value", sort=False)
        wide = wide[[name for name in order if name in wide]]
        wide = wide.sort_values(list(wide.columns[:1]), ascending=False, kind="stable")
        yield f"{task}, {resolution} px (accuracies are on validation):"
        yield from wide.rename_axis(index=None, columns=None).to_string(float_format="{:.4g}".format).splitlines()
        yield ""
