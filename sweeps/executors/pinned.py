"""`python -m sweeps.executors.pinned CORE JOB_FOLDER`: a worker confined to one core before any library counts the cores."""

from __future__ import annotations

import os
import sys


def main(core: str, folder: str) -> int:
    """Runs the job in `folder` on `core`."""
    os.sched_setaffinity(0, {int(core)})
    from sweeps import worker

    return worker.main(folder)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
