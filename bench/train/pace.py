"""How many steps one dispatch does: so many that it answers a signal soon, all of them where steps are short.

What a step sees does not depend on the dispatch that does it, so neither do results.
"""

from __future__ import annotations

# Seconds that a dispatch should last at most: a run that is asked to leave shall have a checkpoint 20 s later.
SECONDS = 5.0


class Pace:
    """Measures steps and says how many come next.

    Attributes:
      seconds: that a step took in the last dispatch; 0 before the first one.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def steps(self, left: int) -> int:
        """Returns how many of the `left` steps at hand the next dispatch does: a single one until its time is known."""
        if not self.seconds:
            return 1
        return max(1, min(left, int(SECONDS / self.seconds)))

    def took(self, seconds: float) -> None:
        """Notes the seconds that each step of a dispatch took."""
        self.seconds = seconds
