"""Which runs of a job train together as lanes of one program: decided once, written down, and kept to by every later launch.

A group that is resumed must be the group that was interrupted, or its numbers would round otherwise. Members that have their
record already train along and are ignored.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.points import Config, Probe, Transfer, Upstream
from bench.records.atomic import read_json, write_json
from sweeps.job import Job
from sweeps.lock import Lock

FILE = "lanes.json"
# Lanes must be so much faster than runs one after the other: a probe of some seconds is not exact.
PAYS = 1.1
# Least seconds that compiling a step is taken to cost: it may have been loaded from the cache just now.
COMPILING = 10.0

Group = tuple[Config, ...]


def check(lanes: str) -> str:
    """Returns the setting if it is one.

    Raises:
      UserError: neither `auto` nor a whole number from 1 on.
    """
    if lanes != "auto" and not (lanes.isdecimal() and int(lanes)):
        raise UserError(f"--lanes is {lanes!r}, but must be `auto` or a whole number from 1 on")
    return lanes


def mates(config: Config) -> tuple[Any, ...]:
    """Returns what runs of one program must agree in to take as many steps over the same examples; seeds may differ."""
    if isinstance(config, Transfer):
        return config.facts, config.fit, config.steps, config.multiplicity
    assert isinstance(config, Upstream)
    return config.dataset, config.fraction, config.epochs, config.multiplicity


def alone(job: Job, config: Config) -> bool:
    """Returns whether a run never trains with others: on several hosts, with split weights, in stages, or not at all."""
    settings = job.settings
    return (
        isinstance(config, Probe)
        or settings.lanes == "1"
        or settings.hosts > 1
        or settings.execution.fsdp
        or bool(getattr(config, "progressive", ""))
    )


def cut(configs: Sequence[Config], sizes: Sequence[int]) -> list[Group]:
    """Cuts runs into groups of the first of `sizes` that is not too large, again and again; the rest stay alone."""
    found, rest = [], tuple(configs)
    while rest:
        size = next((s for s in sizes if s <= len(rest)), 1)
        found.append(rest[:size])
        rest = rest[size:]
    return found


def groups(job: Job, configs: Sequence[Config], stop: Callable[[], bool] = lambda: False) -> list[Group]:
    """Returns how runs of a job train: as they were grouped before, or as is decided and written down now.

    Args:
      job: the job.
      configs: what of it is to be done; runs that no group was made for train alone.
      stop: asked while another process's probe is waited for.

    Raises:
      bench.train.fit.Preempted: `stop` said so.
    """
    path = job.folder / FILE
    if not path.exists():
        made = decide(job, configs, stop)
        write_json(path, {"lanes": job.settings.lanes, "groups": [[c.name for c in g] for g in made]}, exclusive=True)
    known, wanted = {c.name: c for c in job.configs}, {c.name for c in configs}
    made = [tuple(known[name] for name in names) for names in read_json(path)["groups"]]
    made += [(c,) for c in configs if not any(c in group for group in made)]
    parts = [part for group in made for part in ([group] if parted(job, group) is None else [(c,) for c in group])]
    return [part for part in parts if any(c.name in wanted for c in part)]


def folder(job: Job, group: Group) -> Path:
    """Returns the folder of a group, with a folder of checkpoints for each launch."""
    return job.folder / f"lanes-{hashlib.sha256(' '.join(c.digest for c in group).encode()).hexdigest()[:12]}"


def part(job: Job, group: Group, error: str) -> None:
    """Notes, for good, that a group's runs train alone: together they failed, and alone they say which one is to blame."""
    write_json(folder(job, group) / "parted.json", {"error": error})


def parted(job: Job, group: Group) -> str | None:
    """Returns why a group's runs train alone, None where they do not."""
    path = folder(job, group) / "parted.json"
    return str(read_json(path)["error"]) if path.exists() else None


def decide(job: Job, configs: Sequence[Config], stop: Callable[[], bool] = lambda: False) -> list[Group]:
    """Groups runs, those of one seed beside each other: they share their images."""
    solo = [c for c in configs if alone(job, c)]
    together: dict[tuple[Any, ...], list[Config]] = defaultdict(list)
    for config in configs:
        if config not in solo:
            together[mates(config)].append(config)
    found: list[Group] = [(c,) for c in solo]
    for members in together.values():
        members.sort(key=lambda c: c.seed)  # type: ignore[attr-defined]
        if len(members) == 1:
            found.append(tuple(members))
        elif job.settings.lanes == "auto":
            found += cut(members, _probed(job, members, stop))
        else:
            most = int(job.settings.lanes)
            found += cut(members, sorted({most, len(members) % most} - {0}, reverse=True))
    place = {c.name: i for i, c in enumerate(configs)}
    return sorted(found, key=lambda group: place[group[0].name])


def _probed(job: Job, members: Sequence[Config], stop: Callable[[], bool]) -> list[int]:
    """Returns the numbers of lanes that pay for these runs, best first; a probe says so, where they last long enough."""
    import jax

    from bench.train.gain import COUNTS, alone, gain
    from bench.train.hyper import Hyper
    from bench.train.program import COMPILED, programs
    from bench.train.static import Static

    counts = [count for count in COUNTS if count <= len(members)]
    first = members[0]
    shared = len({c.seed for c in members}) == 1  # type: ignore[attr-defined]
    static = Static.of(first, job.settings.execution)
    steps = _steps(first)
    if not steps:
        return []
    if isinstance(first, Transfer):
        hyper = Hyper.of_transfer(first)
    else:
        assert isinstance(first, Upstream)
        hyper = Hyper.of_upstream(first, steps)
    devices = f"{len(jax.devices())} x {jax.devices()[0].device_kind}"
    key = {"static": repr(static), "devices": devices, "shared": shared}
    name = hashlib.sha256(repr((key, jax.__version__)).encode()).hexdigest()[:12]
    path = job.workdir.path / "lanes" / f"{static.model.replace('/', '_')}-{name}.json"

    def measure() -> dict[str, Any] | None:
        made = programs(static)
        *_, seconds = alone(made, hyper)
        compiling = max((c.seconds for c in COMPILED if (c.program, c.model) == ("train step", static.model)), default=0.0)
        cost = len(counts) * max(compiling, COMPILING)
        if seconds * steps * len(members) * (1 - 1 / PAYS) < cost:
            return None
        gains = gain(made, hyper, shared, counts)
        return {"model": static.model, **key, "gains": {str(k): round(v, 3) for k, v in gains.items()}}

    found = once(path, measure, stop)
    gains = {int(k): v for k, v in found["gains"].items()} if found else {}
    return sorted((k for k, v in gains.items() if v >= PAYS), key=lambda k: -gains[k])


def once(
    path: Path, measure: Callable[[], dict[str, Any] | None], stop: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """Returns what `path` says, or measures and writes it; of several processes one measures, and the others wait for it."""
    from bench.train.fit import Preempted

    while not path.exists():
        lock = Lock.take(path.with_suffix(".lock"), "")
        if lock is None:
            if stop():
                raise Preempted
            time.sleep(0.2)
            continue
        try:
            if path.exists():
                break
            found = measure()
            if found is None:
                return None
            write_json(path, found, exclusive=True)
        finally:
            lock.release()
    value: dict[str, Any] = read_json(path)
    return value


def _steps(config: Config) -> int:
    if isinstance(config, Transfer):
        return config.steps
    assert isinstance(config, Upstream)
    return config.steps(round(config.data.train * config.fraction)) if config.data.train else 0
