"""What the configs of everything that is done with a checkpoint on a task share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import UserError
from bench.points.checkpoint import Checkpoint
from bench.points.fields import one_of
from bench.points.task import Task
from bench.points.tasks import TASKS
from bench.points.upstream import Upstream


class Downstream:
    """A checkpoint and a task: of the tables of facts, or the user's own, whose facts the config itself holds."""

    upstream: Upstream | Checkpoint
    task: str
    own: Task | None

    @property
    def facts(self) -> Task:
        """Returns the task's facts."""
        return self.own or TASKS[self.task]

    def _check_upstream(self) -> None:
        if not isinstance(self.upstream, Upstream | Checkpoint):
            raise UserError(
                f"{type(self).__name__}: field 'upstream' must be an Upstream or a Checkpoint, not"
                f" {type(self.upstream).__name__}"
            )

    def _check_task(self) -> None:
        me = type(self).__name__
        if self.own is None:
            one_of(me, "task", self.task, TASKS)
        elif not isinstance(self.own, Task) or self.own.name != self.task:
            raise UserError(f"{me}: field 'own' must be the facts of task {self.task!r}, or None")
        elif self.task in TASKS:
            raise UserError(f"{me}: field 'own' redefines the task {self.task!r}; give your own another name")

    @staticmethod
    def _nested(values: Mapping[str, object]) -> dict[str, Any]:
        """Returns plain values with the configs within them built."""
        found = dict(values)
        upstream, own = found.get("upstream"), found.get("own")
        if isinstance(upstream, Mapping):
            kind: type[Upstream] | type[Checkpoint] = Checkpoint if "weights" in upstream else Upstream
            found["upstream"] = kind.from_dict(upstream)
        if isinstance(own, Mapping):
            found["own"] = Task.from_dict(own)
        return found
