"""Time as the coordinator sees it: monotonic, so that nothing happens when somebody sets the clock."""

from __future__ import annotations

import time


class Clock:
    """Monotonic seconds; a simulation has its own."""

    def now(self) -> float:
        """Returns seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)
