"""Which devices of a host a process takes: the least used of those it may have, without anybody who hands them out.

On a CPU a device is a core, see decision 0004.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sweeps.lock import Lock

# Chips of a host as they are wired: pairs along y, four as 2x2, eight as 2x4.
BOUNDS = {1: "1,1,1", 2: "1,2,1", 4: "2,2,1", 8: "2,4,1"}
# Holders of a device that are told apart; who comes later shares the first mask.
_MOST = 256


def cores() -> list[int]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def kind() -> str:
    """Returns the kind of device that jax will find here, without asking jax: `cpu`, `gpu` or `tpu`."""
    said = os.environ.get("JAX_PLATFORMS", "").partition(",")[0]
    if said:
        return {"cuda": "gpu", "rocm": "gpu"}.get(said, said)
    # The device files of NVIDIA's driver, and of TPUs up to v4 (accel) and from v5 on (vfio).
    found = {"gpu": "nvidia[0-9]*", "tpu": "accel[0-9]*", "": "vfio/[0-9]*"}
    return next((name or "tpu" for name, pattern in found.items() if any(Path("/dev").glob(pattern))), "cpu")


def shares(number: int) -> list[tuple[int, ...]]:
    """Returns masks of so many cores each; all cores, where there are fewer."""
    own = cores()
    return [tuple(own[i : i + number]) for i in range(0, len(own) - number + 1, number)] or [tuple(own)]


def masks(text: str) -> list[tuple[int, ...]]:
    """Returns the masks that `0,1|2,3` says.

    Raises:
      ValueError: it says none.
    """
    return [tuple(int(device) for device in mask.split(",")) for mask in text.split("|")]


def take(device: str, choices: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Returns the least used of several masks of this host; this process has it until it ends, however it ends.

    Args:
      device: kind, as of `kind`.
      choices: masks.
    """
    folder = Path(tempfile.gettempdir()) / f"augreg-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for others in range(_MOST):
        for mask in choices:
            held: list[Lock] = []
            for number in mask:
                lock = Lock.take(folder / f"{device}-{number}.{others}", str(os.getpid()))
                if lock is None:
                    break
                held.append(lock)
            else:
                return mask
            for lock in held:
                lock.release()
    return choices[0]


def confine(device: str, mask: tuple[int, ...]) -> None:
    """Shows this process the devices of a mask only; to be called before any library counts them.

    Args:
      device: kind, as of `kind`.
      mask: numbers of devices.
    """
    listed = ",".join(map(str, mask))
    if device == "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = listed
    elif device == "tpu":
        # Several processes on the chips of one host: jax's issue 14977; Ray's TPUAcceleratorManager has the bounds of 1 and 2.
        os.environ["TPU_VISIBLE_CHIPS"] = listed
        os.environ["TPU_CHIPS_PER_PROCESS_BOUNDS"] = BOUNDS.get(len(mask), f"1,{len(mask)},1")
        os.environ["TPU_PROCESS_BOUNDS"] = "1,1,1"
    else:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, mask)
        elif len(mask) == 1:
            os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
        if len(mask) > 1:
            os.environ["JAX_NUM_CPU_DEVICES"] = str(len(mask))
