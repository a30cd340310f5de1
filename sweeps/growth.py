"""Whether the sweep of a folder is still the one that the folder began with, has grown, or has become another study."""

from __future__ import annotations

import json
from typing import NamedTuple

from sweeps import named
from sweeps.layout import Workdir
from sweeps.skeleton import Change, Extension, extends, restored, skeleton
from sweeps.space import Sweep


class Growth(NamedTuple):
    """The name of the sweep's study, and what a person should know, "" where nothing has changed."""

    study: str
    said: str


def claim(workdir: Workdir, sweep: Sweep) -> Growth:
    """Marks a folder as a sweep's and remembers the sweep's axes.

    Values added to axes extend the study: what is finished stays. Any other change begins a new one beside it, `NAME.2`; runs
    that both have are not run again.

    Raises:
      UserError: the folder is another sweep's.
    """
    workdir.claim(sweep.name)
    known = workdir.about()
    old, number = known.get("space"), known.get("study", 1)
    new, said = json.loads(json.dumps(skeleton(sweep))), ""
    if old is not None and old != new:
        match extends(old, new):
            case Extension(added):
                said = f"{sweep.name} has grown: {added}; what is finished stays" if added else ""
            case Change(changed):
                number += 1
                said = (
                    f"{sweep.name} has changed since this folder began: {changed}. This is a new study,"
                    f" {_study(sweep.name, number)}; runs that both have are not run again"
                )
    if old != new:
        workdir.remember({**known, "space": new, "study": number})
    return Growth(_study(sweep.name, number), said)


def sweep_of(workdir: Workdir) -> Sweep:
    """Returns the sweep of a folder: the named one, as it is now, or one that was put together when the folder began.

    Raises:
      UserError: the folder is no sweep's.
    """
    name = workdir.sweep()
    # A sweep of another upstream set is called NAME@SET.
    if name.partition("@")[0] in named.names() or "space" not in (about := workdir.about()):
        return named.find(name)
    return restored(name, about["space"])


def _study(name: str, number: int) -> str:
    return name if number == 1 else f"{name}.{number}"
