"""Local executor: one process a job on devices of its own, alive beyond the coordinator that started it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from bench.errors import UserError
from sweeps import members
from sweeps.executors import HOSTS, WORKERS, Capabilities, Facts, Option, slots
from sweeps.executors.start import command, source
from sweeps.launch import Launch
from sweeps.lock import Lock

FACTS = Facts(
    about="processes on this machine",
    extra="",
    program="",
    module="",
    ran="CPU, in every test; never on a GPU or a TPU",
    options=(
        Option("workers", 0, f"{WORKERS}; 0 is one a mask, without masks one a core of a CPU, and one in all on other devices"),
        Option("hosts", 1, HOSTS.replace("each on a host of its own", "all on this machine")),
        Option("devices", "", "masks such as `0,1|2,3`: each job takes the least used; on a CPU, devices are cores"),
        Option("device", "", "what the masks count: `cpu`, `gpu` or `tpu`; found out by default"),
    ),
)
KINDS = ("cpu", "gpu", "tpu")


class Local:
    """Runs jobs on this machine; the options are those of `FACTS`."""

    def __init__(self, workers: int = 0, hosts: int = 1, devices: str = "", device: str = "") -> None:
        if device not in ("", *KINDS):
            raise UserError(f"option device of the executor local is {device!r}, but must be one of {', '.join(KINDS)}")
        self._device, self._masks, self._hosts = device or slots.kind(), devices, max(hosts, 1)
        try:
            masks = slots.masks(devices) if devices else []
        except ValueError:
            raise UserError(f"option devices of the executor local is {devices!r}, but must be masks such as 0,1|2,3") from None
        if self._device == "cpu" and (missing := {d for mask in masks for d in mask} - set(slots.cores())):
            raise UserError(f"this process may not use core {min(missing)}: it has {', '.join(map(str, slots.cores()))}")
        self._places = len(masks) or (len(slots.cores()) if self._device == "cpu" else 1)
        if masks and workers * self._hosts > len(masks):
            raise UserError(f"{workers} workers of {self._hosts} processes, but {len(masks)} masks in {devices!r}")
        self._workers = workers or max(self._places // self._hosts, 1)
        self._size = len(masks[0]) if masks else int(self._device == "cpu")
        self._children: list[subprocess.Popen[bytes]] = []

    def capacity(self) -> int:
        """Returns the number of workers."""
        return self._workers

    def describe(self) -> Capabilities:
        """Returns what it can do."""
        note = f"masks {self._masks}" if self._masks else "one core a process" if self._device == "cpu" else "all devices"
        return Capabilities("local", self._workers, self._device, self._size, False, True, note, self._hosts)

    def launch(self, launch: Launch) -> None:
        """Starts the members in sessions of their own, so that neither Ctrl-C nor the coordinator's death reaches them."""
        self._children = [c for c in self._children if c.poll() is None]
        hosts = launch.job.settings.hosts
        locks = [Lock.take(members.lock_of(launch.folder, i), "") for i in range(hosts)]
        try:
            if all(locks):
                for i, lock in enumerate(locks):
                    assert lock is not None
                    self._start(launch.folder, i, hosts, lock)
        except OSError:
            self.kill(launch)
            raise
        finally:
            for lock in filter(None, locks):
                lock.release()  # the member inherited it: from here on it lives and dies with the member

    def _start(self, folder: Path, process: int, hosts: int, lock: Lock) -> None:
        devices: tuple[str, ...] = ()
        if self._masks:
            devices = ("--device", self._device, "--masks", self._masks)
        elif self._device == "cpu":
            # On a CPU a reduction's order, and with it the last bit, follows the number of threads.
            devices = ("--cores", "1")
        arguments = command(folder, process, hosts, "--host", "127.0.0.1", "--lock", str(lock.descriptor), *devices)
        with members.log_of(folder, process).open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, *arguments],
                env=source(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.descriptor],
                start_new_session=True,
            )
        lock.write(members.holder(child.pid))
        self._children.append(child)

    def alive(self, launch: Launch) -> bool:
        """Returns whether a member holds its lock."""
        return members.alive(launch.folder)

    def interrupt(self, launch: Launch) -> None:
        """Sends SIGTERM to the members."""
        self._signal(launch, signal.SIGTERM)

    def kill(self, launch: Launch) -> None:
        """Sends SIGKILL to the members."""
        self._signal(launch, signal.SIGKILL)

    def _signal(self, launch: Launch, number: int) -> None:
        for pid in members.pids(launch.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self, seconds: float) -> None:
        """Returns when a member that this executor started has ended, at the latest after so many seconds."""
        self._children = [c for c in self._children if c.poll() is None]
        if not hasattr(os, "pidfd_open") or not self._children:
            time.sleep(seconds)
            return
        poll, descriptors = select.poll(), []
        try:
            for child in self._children:
                with suppress(OSError):
                    descriptors.append(os.pidfd_open(child.pid))
                    poll.register(descriptors[-1], select.POLLIN)
            poll.poll(seconds * 1000)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
