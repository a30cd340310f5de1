"""Where a sweep's time went, and what was compiled, from what its workers reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bench.records.atomic import read_json
from sweeps.layout import Workdir
from sweeps.reporter import PHASES


@dataclass(frozen=True)
class Timing:
    """Where the time went.

    Attributes:
      seconds: by phase, summed over workers.
      compiled: how often each program was compiled, by (kind of run, program, model); loading it from the cache does not count.
      loaded: how many programs were loaded from the cache.
      workers: how many there were.
    """

    seconds: dict[str, float]
    compiled: Counter[tuple[str, str, str]]
    loaded: int
    workers: int

    def train_steps(self, kind: str) -> int:
        """Returns how many training steps were compiled for runs of a kind; one for so many lanes is one of its own."""
        return sum(n for (k, program, _), n in self.compiled.items() if k == kind and program.startswith("train step"))

    def lines(self) -> list[str]:
        """Returns the summary for people."""
        spent = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in self.seconds.items() if seconds)
        models = {model for _, _, model in self.compiled}
        return [
            f"time of {self.workers} workers: {spent}",
            f"training steps compiled: {self.train_steps('upstream')} upstream, {self.train_steps('transfer')} transfer, for"
            f" {len(models)} architectures ({self.compiled.total()} programs in all, {self.loaded} more loaded from the cache)",
        ]


def timing(workdir: Workdir) -> Timing:
    """Reads the reports of all workers that ever ran in `workdir`."""
    seconds = dict.fromkeys(PHASES, 0.0)
    compiled: Counter[tuple[str, str, str]] = Counter()
    loaded = 0
    paths = sorted(workdir.jobs.glob("*/*/progress.json"))
    for path in paths:
        report = read_json(path)
        for phase in PHASES:
            seconds[phase] += report["seconds"].get(phase, 0.0)
        for made in report["compiled"]:
            if made["cached"]:
                loaded += 1
            else:
                compiled[report["kind"], made["program"], made["model"]] += 1
    return Timing(seconds, compiled, loaded, len(paths))
