"""What a search looks for: one module an objective, one line here.

An objective maps the record of a run to a number, higher is better and never below 0; a run without a result has 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench.errors import UserError, choose_from
from bench.records.record import Record
from sweeps.search.objectives import nas, val


class Objective(NamedTuple):
    """How good a finished run is.

    Attributes:
      value: of a record and of the record of the search's first proposal.
      relative: whether it needs the latter; all other results then wait for it.
    """

    value: Callable[[Record, Record | None], float]
    relative: bool = False

    def of(self, record: Record, base: Record | None = None) -> float:
        """Returns the value of a record; a run that diverged has 0, worse than any other."""
        return self.value(record, base) if record.status == "ok" else 0.0


OBJECTIVES: dict[str, Objective] = {
    "val": Objective(val.accuracy),
    "nas": Objective(nas.measured, relative=True),
    "nas-flops": Objective(nas.predicted, relative=True),
}


def find(name: str) -> Objective:
    """Returns an objective.

    Raises:
      UserError: there is none of that name.
    """
    if name not in OBJECTIVES:
        raise UserError(f"no objective {name!r}; {choose_from(name, OBJECTIVES)}")
    return OBJECTIVES[name]
