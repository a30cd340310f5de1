"""After the fact: what runs took against what was predicted, and what was wasted.

All seconds are of workers, as they reported them; a worker of several chips counts once.

- **import**, **compile**: of every launch, whatever became of it.
- **repeated**: steps trained again after a resume, times the seconds that a step of the run took. Where a launch ended within a
  run at step `s` and the next one took the run up at step `c`, its last checkpoint, `s - c` steps are trained again.
- **preempted**: all seconds of launches that ended without an accepted record of theirs. Much of it is kept by checkpoints, so
  it is no loss on top of the others, but says how much was at stake.
- **idle**: of all slots in the wall-clock time of a session, what no worker filled.
- **useful**: training and evaluation that was not repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.cost.devices import of_kind
from bench.points import Upstream
from bench.records.atomic import read_json
from bench.records.record import Record
from sweeps.layout import Workdir
from sweeps.plan import model_of
from sweeps.predict import Predictor
from sweeps.reporter import PHASES


@dataclass(frozen=True)
class Report:
    """What one launch reported last.

    Attributes:
      attempt: the launch's name, `JOB.0003`.
      kind, run: of the run that it was at.
      step, resumed: how far that run was, and where the launch had taken it up.
      seconds: by phase.
      ended: whether the launch is over.
    """

    attempt: str
    kind: str
    run: str
    step: int
    resumed: int
    seconds: Mapping[str, float]
    ended: bool

    @property
    def total(self) -> float:
        """Returns all its seconds."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Waste:
    """Where workers' seconds went; see the module.

    Attributes:
      useful, imported, compiled, repeated: add up to all of them.
      preempted: of the launches that left no accepted record, all phases.
      repeated_steps: steps that were trained again.
      launches, preemptions: how many there were, and how many of them left no accepted record.
    """

    useful: float
    imported: float
    compiled: float
    repeated: float
    preempted: float
    repeated_steps: int
    launches: int
    preemptions: int

    @property
    def total(self) -> float:
        """Returns all seconds of workers."""
        return self.useful + self.imported + self.compiled + self.repeated

    def idle(self, slots: int, wall: float, before: float = 0.0) -> float:
        """Returns the slot-seconds without a worker of a session.

        Args:
          slots: workers at once.
          wall: seconds that the session lasted.
          before: `total` when it began.
        """
        return max(0.0, slots * wall - (self.total - before))

    def lines(self) -> list[str]:
        """Returns the summary for people."""
        if not self.total:
            return []
        parts = {"import": self.imported, "compile": self.compiled, "repeated": self.repeated}
        shares = ", ".join(f"{name} {value:.0f} s ({100 * value / self.total:.0f}%)" for name, value in parts.items())
        at_stake = f"; {self.preemptions} launches ({self.preempted:.0f} s) left no result" if self.preemptions else ""
        return [f"waste: {shares}; {self.repeated_steps} steps trained again{at_stake}"]


def reports(workdir: Workdir) -> list[Report]:
    """Returns what every launch in a sweep's folder reported, the launches of a job in their order."""
    from sweeps.lock import Lock

    found = []
    for path in sorted(workdir.jobs.glob("*/[0-9]*/progress.json")):
        value: dict[str, Any] = read_json(path)
        folder = path.parent
        found.append(
            Report(
                attempt=f"{folder.parent.name}.{folder.name}",
                kind=value["kind"],
                run=value["run"],
                step=value["step"],
                resumed=max(0, value.get("resumed", 0)),
                seconds={phase: value["seconds"].get(phase, 0.0) for phase in PHASES},
                ended=not Lock.held(folder / "lock"),
            )
        )
    return found


def waste(found: Iterable[Report], records: Iterable[Record]) -> Waste:
    """Returns where workers' seconds went.

    Args:
      found: of all launches, those of a job in their order.
      records: all accepted ones.
    """
    by_name = {record.config.name: record for record in records}
    accepted = {record.cost.attempt for record in by_name.values()}
    found = list(found)
    last: dict[str, Report] = {}
    steps = 0
    repeated = 0.0
    for report in found:
        before = last.get(report.run)
        # A launch that never said where it took the run up has not begun it.
        if before and report.step:
            again = max(0, before.step - report.resumed)
            steps += again
            repeated += again * _step_seconds(by_name.get(report.run), before)
        if report.run and (report.step or not before):
            last[report.run] = report
    imported = sum(r.seconds["import"] for r in found)
    compiled = sum(r.seconds["compile"] for r in found)
    trained = sum(r.total for r in found) - imported - compiled
    repeated = min(repeated, trained)
    lost = [r for r in found if r.ended and r.attempt not in accepted]
    return Waste(trained - repeated, imported, compiled, repeated, sum(r.total for r in lost), steps, len(found), len(lost))


def _step_seconds(record: Record | None, report: Report) -> float:
    """Returns the seconds of a step of a run: its record's, or while there is none its launch's own."""
    if record is not None and record.cost.steps:
        return record.cost.train_seconds / record.cost.steps
    return report.seconds.get(report.kind, 0.0) / max(1, report.step - report.resumed)


@dataclass(frozen=True)
class Accuracy:
    """Predictions of the runs of one model and kind against what they took.

    Attributes:
      model, kind: of the runs.
      device: what they ran on.
      runs: how many.
      predicted, actual: seconds of training and evaluation, summed.
      error: median over the runs of |predicted / actual - 1|.
      within: share of the runs that took what the prediction's range says.
    """

    model: str
    kind: str
    device: str
    runs: int
    predicted: float
    actual: float
    error: float
    within: float


def accuracy(records: Iterable[Record], predictor: Predictor | None = None) -> list[Accuracy]:
    """Returns predictions against what was measured, by model, kind and device.

    Args:
      records: of finished runs; diverged ones and those on devices that nothing is known of are left out.
      predictor: with what a probe found, for records of its device; the closed form by default.
    """
    groups: dict[tuple[str, str, str], list[tuple[float, float, bool]]] = defaultdict(list)
    for record in records:
        device = of_kind(record.device)
        actual = record.cost.train_seconds + record.cost.eval_seconds
        if device is None or record.status != "ok" or actual <= 0:
            continue
        config = record.config
        # A record counts the examples of the fraction that was trained on.
        whole = round(record.data["train"] / config.fraction) if isinstance(config, Upstream) else 0
        chosen = predictor if predictor and predictor.device == device else Predictor(device, whole)
        seconds = chosen.seconds(config)
        key = (model_of(config), config.kind, device.name)
        groups[key].append((seconds.middle, actual, seconds.low <= actual <= seconds.high))
    return [
        Accuracy(
            *key,
            runs=len(pairs),
            predicted=sum(p for p, _, _ in pairs),
            actual=sum(a for _, a, _ in pairs),
            error=median(abs(p / a - 1) for p, a, _ in pairs),
            within=sum(inside for _, _, inside in pairs) / len(pairs),
        )
        for key, pairs in groups.items()
    ]


def lines(workdir: Workdir) -> list[str]:
    """Returns predicted against actual, and the waste, of a sweep's folder."""
    records = list(workdir.records())
    out = [
        f"{a.model} {a.kind}: predicted {a.predicted:.0f} s, took {a.actual:.0f} s on {a.device}"
        f" (median error {100 * a.error:.0f}%, {100 * a.within:.0f}% of {a.runs} runs within the range)"
        for a in accuracy(records)
    ]
    return out + waste(reports(workdir), records).lines()
