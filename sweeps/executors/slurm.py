"""Slurm executor, through submitit: a Slurm job a launch, a task of it a host."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import UserError, choose_from
from bench.records.atomic import read_json, write_json
from sweeps import members
from sweeps.executors import HOSTS, WORKERS, Capabilities, Facts, Option
from sweeps.executors.start import command, source, title
from sweeps.launch import Launch

CLUSTERS = ("slurm", "local")
# Of sbatch, passed on as they are where they are not empty.
_SBATCH = ("partition", "account", "qos", "constraint", "mem", "gpus_per_node", "cpus_per_task")
FACTS = Facts(
    about="jobs of a Slurm cluster",
    extra="slurm",
    program="sbatch",
    module="submitit",
    ran="submitit's own executor for one machine, and stand-ins for sbatch, squeue and scancel; never on a Slurm cluster",
    options=(
        Option("workers", 32, f"{WORKERS}, waiting ones included"),
        Option("hosts", 1, f"{HOSTS}: nodes of the Slurm job"),
        Option("cluster", "slurm", "`slurm`, or `local` for submitit's executor on this machine"),
        Option("partition", "", "as of sbatch"),
        Option("account", "", "as of sbatch"),
        Option("qos", "", "as of sbatch"),
        Option("constraint", "", "as of sbatch"),
        Option("time", 1440, "minutes; a job that runs out of them checkpoints, and another one goes on"),
        Option("gpus_per_node", 0, "as of sbatch"),
        Option("cpus_per_task", 0, "as of sbatch"),
        Option("mem", "", "of a node, as of sbatch"),
        Option("signal_delay", 120, "seconds between the warning and the end of a job's time"),
        Option("setup", "", "shell commands before the job, such as `module load cuda`"),
    ),
)
FILE = "slurm.json"
# squeue is asked once for all jobs, no more often than this: it is one controller for everybody.
_ASK_SECONDS = 10.0
_START_SECONDS = 60.0


def host(logs: list[str], arguments: list[str]) -> int:
    """Is the task: starts a member on the node it runs on, passes signals on to it, and stays with it.

    Returns:
      The member's exit code; negative for a signal.
    """
    import submitit

    here = submitit.JobEnvironment()
    mine = ["--process", str(here.global_rank), "--host", here.hostname, "--parent", str(os.getpid())]
    if here.cluster == "local":
        mine[3] = "127.0.0.1"
    with Path(logs[here.global_rank]).open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, *arguments, *mine], env=source(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def forward(*_: Any) -> None:
        child.terminate()

    # In the place of submitit's: it would queue the job again, and restarts are the coordinator's.
    for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    return child.wait()


class Slurm:
    """Runs jobs on a Slurm cluster; the options are those of `FACTS`."""

    def __init__(self, workers: int, hosts: int, cluster: str, time: int, signal_delay: int, setup: str, **sbatch: Any) -> None:
        if find_spec("submitit") is None:
            raise UserError("the executor slurm needs submitit: pip install 'augreg-bench[slurm]'")
        if cluster not in CLUSTERS:
            raise UserError(f"option cluster of the executor slurm is {cluster!r}; {choose_from(cluster, CLUSTERS)}")
        if cluster == "slurm" and shutil.which("sbatch") is None:
            raise UserError(
                "the executor slurm needs sbatch in PATH: run augreg on a node that can submit, or give cluster=local"
            )
        self._workers, self._hosts, self._cluster = workers or 1, max(hosts, 1), cluster
        self._minutes, self._delay, self._setup = time, signal_delay, setup
        self._sbatch = {name: sbatch[name] for name in _SBATCH if sbatch[name]}
        self._asked = float("-inf")
        self._queue: dict[str, str] | None = None
        self._jobs: list[tuple[Any, Path]] = []

    def capacity(self) -> int:
        """Returns how many jobs may be in the queue."""
        return self._workers

    def describe(self) -> Capabilities:
        """Returns what it can do."""
        gpus = int(self._sbatch.get("gpus_per_node", 0))
        survives = self._cluster == "slurm"
        note = "needs a folder that all nodes share"
        return Capabilities("slurm", self._workers, "gpu" if gpus else "cpu", gpus, True, survives, note, self._hosts)

    def launch(self, launch: Launch) -> None:
        """Submits a job and keeps its number in the launch's folder."""
        import submitit

        hosts, folder = launch.job.settings.hosts, launch.folder
        executor = submitit.AutoExecutor(folder / "slurm", cluster=self._cluster)
        if self._cluster == "local":
            executor.update_parameters(timeout_min=self._minutes, tasks_per_node=hosts)
        else:
            executor.update_parameters(
                name=title(launch),
                timeout_min=self._minutes,
                nodes=hosts,
                tasks_per_node=1,
                slurm_signal_delay_s=self._delay,
                slurm_setup=[self._setup] if self._setup else None,
                slurm_additional_parameters={"no-requeue": True},
                **{f"slurm_{name}": value for name, value in self._sbatch.items()},
            )
        logs = [str(members.log_of(folder, i)) for i in range(hosts)]
        try:
            job = executor.submit(host, logs, command(folder, None, hosts))
        except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
            raise UserError(f"sbatch refused {launch.attempt}: {' '.join(str(error).split())}") from None
        write_json(folder / FILE, {"job": job.job_id, "cluster": self._cluster})
        self._asked = float("-inf")
        if self._cluster == "local":
            self._jobs.append((job, folder))  # a process of this one: somebody must wait for it
            deadline = time.monotonic() + _START_SECONDS
            while not members.alive(folder) and job.state == "RUNNING" and time.monotonic() < deadline:
                time.sleep(0.05)

    def alive(self, launch: Launch) -> bool:
        """Returns whether a member holds its lock or the job is in Slurm's queue."""
        if members.alive(launch.folder):
            return True
        if self._cluster == "local":
            return any(job.state == "RUNNING" for job, folder in self._jobs if folder == launch.folder)
        queue = self._ask()
        return queue is None or _number(launch) in queue or title(launch) in queue.values()

    def _ask(self) -> dict[str, str] | None:
        """Returns the names of this user's jobs in the queue by number, as last known; None where Slurm never answered."""
        if time.monotonic() - self._asked > _ASK_SECONDS:
            command = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i %j"]
            with suppress(OSError, subprocess.SubprocessError):
                lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
                self._queue = dict(line.split(maxsplit=1) for line in lines if line.strip())
            self._asked = time.monotonic()
        return self._queue

    def interrupt(self, launch: Launch) -> None:
        """Asks the members to leave, through the shared folder, and cancels the job: Slurm sends SIGTERM, later SIGKILL."""
        members.tell(launch.folder, members.STOP)
        self._cancel(launch)

    def kill(self, launch: Launch) -> None:
        """Ends the members, through the folder that all share, and the job."""
        members.tell(launch.folder, members.KILLED)
        self._cancel(launch, "--signal=KILL", "--full")
        self._cancel(launch)

    def _cancel(self, launch: Launch, *how: str) -> None:
        if self._cluster == "slurm":
            which = [_number(launch)] if _number(launch) else [f"--name={title(launch)}"]
            with suppress(OSError, subprocess.SubprocessError):
                subprocess.run(["scancel", *how, *which], capture_output=True, timeout=60, check=False)
            self._asked = float("-inf")

    def wait(self, seconds: float) -> None:
        """Waits; nothing in Slurm says when a job has ended."""
        self._jobs = [(job, folder) for job, folder in self._jobs if job.state == "RUNNING"]
        time.sleep(seconds)


def _number(launch: Launch) -> str:
    path = launch.folder / FILE
    return str(read_json(path)["job"]) if path.exists() else ""
