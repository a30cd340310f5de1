"""When a coordinator gives up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Limits(NamedTuple):
    """When the coordinator gives up. Failures and losses are counted apart.

    Attributes:
      failures: a run has failed when so many attempts at it ended in an exception; 1 where the error is a user's to set right.
      losses: a job's runs have failed when its launches were lost (killed, preempted, silent) so often without getting further.
      silence: seconds without a sign of life after which a launch is given up.
    """

    failures: int = 2
    losses: int = 20
    silence: float = 300.0

    def given_up(self, failures: Sequence[dict[str, Any]]) -> bool:
        """Returns whether a run whose attempts failed like this has failed."""
        return len(failures) >= self.failures or any(f["final"] for f in failures)
