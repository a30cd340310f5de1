"""How runs are put into jobs: those that share compiled programs, few enough to share a grid evenly, enough to make a worker's
start cheap.

What is computed here must come out the same for a coordinator that starts again, so it depends on nothing measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bench.cost import forward_flops, image_flops, training_flops
from bench.points import Config, Probe, Transfer, Upstream
from bench.train.static import Static
from sweeps.job import Job, Settings
from sweeps.layout import Workdir
from sweeps.states import KINDS

# Most runs in one job, by kind.
LARGEST_JOB = {"upstream": 8, "probe": 64, "transfer": 64}
# A worker's start takes some seconds (imports, loading compiled programs): a job shall last long enough to forget them, and not
# so long that the last one keeps everybody waiting.
JOB_SECONDS = 600.0
# FLOP/s, to the order of magnitude: one core here, half of a TPU-v4 chip's peak elsewhere.
RATES = {"cpu": 3e10, "": 1e14}

# Share of the jobs that are the tail.
TAIL = 0.1

Program = tuple[str, Static]


def programs_of(config: Config) -> Program:
    """Returns what identifies the compiled programs of a run; runs that agree in it share them."""
    return config.kind, Static.of(config)


def flops(config: Config) -> float:
    """Returns the FLOPs of a run's training, or of a probe's forward passes; infinity where its set's size is not published."""
    if isinstance(config, Probe):
        return forward_flops(config.upstream.model, config.resolution, 0) * config.images
    if isinstance(config, Transfer):
        return 3.0 * image_flops(config, config.steps) * config.steps * config.batch_size
    assert isinstance(config, Upstream)
    if config.data.train is None:
        return float("inf")
    return training_flops(config, round(config.data.train * config.fraction))


def jobs_of(
    points: Iterable[Config],
    workdir: Workdir,
    settings: Settings = Settings(),
    device: str = "cpu",
    largest: Mapping[str, int] | None = None,
) -> list[Job]:
    """Groups runs that share compiled programs into jobs, in the sweep's order.

    Jobs of different programs take turns, so that the first third of the jobs is a third of every program's runs. At the end
    the longest come first, so that no long one begins when the others are done.

    Args:
      points: the runs.
      workdir: of the sweep.
      settings: of the jobs.
      device: `cpu`, or anything else for an accelerator.
      largest: most runs in a job, by kind.
    """
    largest = largest or LARGEST_JOB
    rate = RATES.get(device, RATES[""])
    groups: dict[Program, list[Config]] = defaultdict(list)
    for point in points:
        groups[programs_of(point)].append(point)
    placed: list[_Place] = []
    for number, ((kind, _), members) in enumerate(groups.items()):
        each = flops(members[0])
        # Runs that shall train as lanes must be in one job, however long they last.
        together = int(settings.lanes) if settings.lanes.isdecimal() else 1
        most = max(together, min(largest[kind], int(JOB_SECONDS * rate / each)))
        count = -(-len(members) // most)
        size = -(-len(members) // count)
        parts = [tuple(members[i : i + size]) for i in range(0, len(members), size)]
        for i, part in enumerate(parts):
            job = Job(workdir, part, settings)
            placed.append(_Place(KINDS.index(kind), (i + 0.5) / len(parts), number, each * len(part), job))
    return [place.job for place in sorted(placed, key=_Place.key)]


class _Place(NamedTuple):
    kind: int
    share: float
    number: int
    flops: float
    job: Job

    def key(self) -> tuple[int, float, float, float]:
        """Returns where the job comes: in turn, but for the tail, which begins with what takes longest."""
        tail = self.share > 1 - TAIL
        return self.kind, 1.0 if tail else self.share, -self.flops if tail else 0.0, self.share + self.number
