"""Advice on somebody's own images: probes of a table's checkpoints, run here, one after the other.

What was probed stays in the folder that is given, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench import remote, weights
from bench.errors import UserError
from bench.points import Checkpoint, Probe, Upstream, parse_upstream
from bench.points.checkpoint import SHOWN
from bench.points.names import checkpoint_model
from bench.points.task import Task
from bench.records.record import Record
from bench.records.scores import from_records
from bench.select.runs import ok, upstream_runs
from bench.select.strategies import find
from bench.train.fit import Watch
from sweeps.layout import Workdir
from sweeps.transfer import look_first_in
from sweeps.whereabouts import Whereabouts

_ATTEMPT = "advice.0001"


@dataclass(frozen=True)
class Candidate:
    """A checkpoint of a table whose weights can be reached.

    Attributes:
      upstream: what it is.
      place: path or address of its weights.
    """

    upstream: Upstream | Checkpoint
    place: str


def advise(
    table: pd.DataFrame,
    images: Path,
    name: str,
    most: int,
    resolution: int,
    folder: Path,
    strategy: str | None,
    budget: int | None,
    scores: pd.DataFrame | None,
    whereabouts: Whereabouts,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Probes a table's checkpoints on somebody's images, and says which of them to adapt.

    Args:
      table: columns of `bench.records.schema`, within all limits.
      images: in a form that `vtab.own` reads.
      name: of the images; follows from the folder's name where it is empty.
      most: checkpoints to probe.
      resolution: as of `probe`.
      folder: where everything is kept.
      strategy: what chooses; None for the hybrid.
      budget: of the strategy.
      scores: of probes on the table's own tasks, for what the strategy loses there; None for none.
      whereabouts: of the weights.
      say: takes a line for people.

    Returns:
      What `bench.report.advised.advise` returns.

    Raises:
      UserError: the images cannot be used, or as `candidates` and `probe`.
    """
    from bench.report.advised import HYBRID
    from bench.report.advised import advise as choose
    from bench.report.provenance import competing
    from vtab import own

    choice = find(strategy or HYBRID)
    workdir, root = Workdir(folder), folder.absolute() / "data"
    those = candidates(table, whereabouts, most)
    task = own.prepare(images, root, name)
    say(own.line(root, task.name))
    look_first_in(root)
    found = probe(those, task, resolution, workdir, say)
    known = found if scores is None else pd.concat([scores, found], ignore_index=True)
    advised = choose(table, known, task.name, choice.name, budget, whereabouts)
    if "final_val" in choice.needs:
        for line in competing(table[table["filename"].isin(found["filename"])]):
            say(line)
    if advised["regret"].isna().all():
        say(f"what {choice.name} may lose is not known: --scores with probes of the table's own tasks would say")
    first = advised[advised["reason"].str.startswith("adapt")]
    where = " ".join(shlex.quote(str(w)) for w in first["weights"])
    say(f"next: augreg transfer {where} --data {shlex.quote(str(images))} --workdir {shlex.quote(str(folder) + '-transfer')}")
    return advised


def candidates(table: pd.DataFrame, whereabouts: Whereabouts, most: int) -> list[Candidate]:
    """Returns the checkpoints of a table to probe: those of which weights are known, the best upstream first.

    Args:
      table: columns of `bench.records.schema`, within all limits.
      whereabouts: of the weights.
      most: how many, at most.

    Raises:
      UserError: no checkpoint has weights that are known of.
    """
    runs = upstream_runs(table)
    runs = runs[ok(runs["status"])].sort_values("final_val", ascending=False, kind="stable", na_position="last")
    found: list[Candidate] = []
    for filename in runs["filename"].astype(str):
        if len(found) < most and (place := whereabouts(filename)) is not None:
            found.append(Candidate(_config(filename, place), place))
    if not found:
        raise UserError(
            f"no weights of the table's {len(runs)} checkpoints in {whereabouts.places}: say where they are with --weights"
        )
    return found


def probe(
    those: list[Candidate],
    task: Task,
    resolution: int,
    workdir: Workdir,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Probes checkpoints on a task, and returns the scores, columns of `bench.records.scores`.

    A checkpoint that cannot be fetched, or whose weights cannot be used, is passed over, and that is said.

    Args:
      those: what to probe.
      task: of the user, in the folders of `AUGREG_DATA`.
      resolution: pixels; 0 for what each was trained at, 224 where that is not known.
      workdir: where records and features are kept.
      say: takes a line for people.

    Raises:
      UserError: none could be probed.
    """
    records: list[Record] = []
    for number, each in enumerate(those, 1):
        config = Probe(each.upstream, task.name, resolution or _resolution(each.upstream), own=task)
        try:
            found, known = _record(config, each.place, workdir)
        except UserError as error:
            say(f"{number}/{len(those)} {config.upstream.name}: passed over ({error})")
            continue
        records.append(found)
        what = "known" if known else f"{found.cost.eval_seconds:.1f} s"
        say(f"{number}/{len(those)} {config.upstream.name}: {what if found.status == 'ok' else found.why}")
    scored = [record for record in records if record.status == "ok"]
    if not scored:
        raise UserError(f"none of {len(those)} checkpoints could be probed on {task.name}; the lines above say why")
    return from_records(scored)


def _record(config: Probe, place: str, workdir: Workdir) -> tuple[Record, bool]:
    """Returns the record of a probe, and whether it was there."""
    from vtab.probe import run

    folder = workdir.run(config)
    if (known := folder.record()) is not None and known.config.digest == config.digest:
        return known, True
    attempt = folder.claim(_ATTEMPT)
    source = remote.fetch(place) if remote.is_remote(place) else Path(place)
    record = run(config, source, attempt, Watch(), cache=workdir.features)
    record.commit(folder.folder)
    return record, False


def _config(filename: str, place: str) -> Upstream | Checkpoint:
    """Returns what a name stands for; of weights from elsewhere the name holds only part, the rest is computed from them."""
    model = checkpoint_model(filename)
    if model is None:
        return parse_upstream(filename)
    label = filename.partition("-")[2][: -len("-w_") - SHOWN]
    return Checkpoint(model, label, weights.identity(weights.read(place)))


def _resolution(upstream: Upstream | Checkpoint) -> int:
    run = upstream if isinstance(upstream, Upstream) else upstream.run
    return run.resolution if run is not None else 224
