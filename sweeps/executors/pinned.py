"""`python -m sweeps.executors.pinned CORE LAUNCH_FOLDER`: a worker confined to one core before any library counts the cores."""

from __future__ import annotations

import os
import sys


def cores() -> list[int]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(core: int) -> None:
    """Confines this process to a core; where the system cannot, to one thread of computing."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    else:
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"


def main(core: str, folder: str) -> int:
    """Does the launch in `folder` on `core`."""
    pin(int(core))
    from sweeps import worker

    return worker.main(folder)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
