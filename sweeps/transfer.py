"""A sweep that somebody puts together: checkpoints of any origin on tasks of any origin, by one protocol."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.data import disk
from bench.errors import UserError, choose_from
from bench.points import TASKS, Checkpoint
from bench.points.files import DATA
from bench.points.task import Task
from sweeps.axes import By, Grid
from sweeps.follow import Retrain, Rule, Scores
from sweeps.layout import Workdir
from sweeps.live import Live
from sweeps.space import Sweep
from vtab.protocols import PROTOCOLS, Protocol, Settings

NAME = "transfer"
OWN = "own"
# Of transfers that only say what is probed.
_NOT_TRAINED = Settings((1.0,), (1,))


@dataclass(frozen=True)
class Wanted:
    """What somebody wants of the settings of a protocol; what is empty or 0 is the protocol's."""

    lrs: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()
    resolutions: tuple[int, ...] = ()
    batch_size: int = 0


def refuse_others(workdir: Workdir) -> None:
    """Raises `UserError` where a folder is that of another sweep, before anything is written into it."""
    if workdir.path.joinpath("sweep.json").exists():
        workdir.claim(NAME)


def protocol(name: str) -> Protocol:
    """Returns a protocol; raises `UserError` for a name that is none."""
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol {name!r}: {choose_from(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def known(names: Sequence[str]) -> None:
    """Raises `UserError` for a name that is no task's."""
    for name in names:
        if name not in TASKS:
            raise UserError(f"unknown task {name!r}: {choose_from(name, TASKS)}; images of your own are given with --data")


def tasks_of(names: Sequence[str], own: Task | None, chosen: Protocol) -> dict[str, Task | None]:
    """Returns the tasks by name, with the facts of the one that no table has.

    Args:
      names: of known tasks; those of the protocol where there are none and no `own`.
      own: facts of the user's own task.
      chosen: the protocol.

    Raises:
      UserError: no task, or an unknown one.
    """
    known(names)
    wanted = names or (() if own else chosen.tasks)
    if not wanted and own is None:
        raise UserError(
            f"nothing to transfer to: protocol {chosen.name!r} has no tasks of its own; give --data FOLDER with your images, or"
            " --task NAME (`augreg data` lists them)"
        )
    return {**dict.fromkeys(wanted), **({own.name: own} if own else {})}


def rule(strategy: str, budget: int | None, scores: bool, upstream: Mapping[str, float]) -> Rule | None:
    """Returns which of the transfers are run; None for all.

    Args:
      strategy: what asks for them, a name of `bench.select.strategies`; "" for none.
      budget: checkpoints that it may adapt; None for what is usual for it.
      scores: whether none is run.
      upstream: upstream validation accuracies by the checkpoints' names.

    Raises:
      UserError: unknown strategy.
    """
    if scores:
        return Scores()
    if not strategy:
        return None
    from bench.select.strategies import find

    return Live(find(strategy).name, budget, dict(upstream))


def put_together(
    given: Sequence[Checkpoint],
    tasks: Mapping[str, Task | None],
    chosen: Protocol,
    wanted: Wanted = Wanted(),
    follow: Rule | None = None,
) -> Sweep:
    """Returns the sweep of all settings of a protocol for all checkpoints and tasks, with a probe of every pair.

    Args:
      given: the checkpoints.
      tasks: as `tasks_of` returns them.
      chosen: the protocol.
      wanted: settings in the place of the protocol's.
      follow: which of the transfers are run, where not all are; by default what the protocol says, which is none where it
        has no settings.
    """
    own = {name: facts and asdict(facts) for name, facts in tasks.items()}
    settings = {name: chosen.of(name) if chosen.lrs else _NOT_TRAINED for name in tasks}
    axes = {
        "task": list(tasks),
        "resolution": _each(wanted.resolutions or _resolutions(given, chosen)),
        "lr": _each(wanted.lrs) or _by_task({name: each.lrs for name, each in settings.items()}),
        "steps": _each(wanted.steps) or _by_task({name: each.steps for name, each in settings.items()}),
    }
    fixed = {"batch_size": wanted.batch_size or chosen.batch_size, "fit": chosen.fit, "own": By("task", own)}
    if not chosen.lrs and not (wanted.lrs and wanted.steps):
        if wanted.lrs or wanted.steps or isinstance(follow, Live):
            raise UserError(f"protocol {chosen.name!r} fine-tunes nothing: give both --lr and --steps, or another --protocol")
        follow = Scores()
    elif follow is None and chosen.fit == "tune":
        follow = Retrain()
    return Sweep(NAME, "", transfer=Grid(axes, fixed), given=tuple(given), probe=True, follow=follow)


def _each(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _by_task(values: Mapping[str, tuple[Any, ...]]) -> By | list[Any]:
    """Returns the values of an axis, by task where tasks differ."""
    several = set(values.values())
    return list(*several) if len(several) == 1 else By("task", values)


def _resolutions(given: Sequence[Checkpoint], chosen: Protocol) -> Sequence[int]:
    """Returns the protocol's pixels; of one's own images those of the upstream runs, where all are known and agree."""
    trained = {each.run.resolution if each.run else 0 for each in given}
    return tuple(trained) if chosen.name == OWN and len(trained) == 1 and 0 not in trained else chosen.resolutions


def look_first_in(folder: Path) -> None:
    """Has this process, and the workers that it starts, look for sets in a folder before all others."""
    roots = [str(folder.absolute())]
    os.environ[DATA] = os.pathsep.join(roots + [root for root in disk.roots() if root not in roots])
