"""Ray executor: a task of Ray Core a process. Not Ray Tune, no results in its object store, no state in it that anything needs.

A task starts the member beside Ray's worker process and ends with it. Ray takes a driver's tasks away when the driver is gone,
and the member goes with its task: places that Ray believes free are free.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections import defaultdict
from importlib.util import find_spec
from typing import Any, NamedTuple

from bench.errors import UserError, choose_from
from sweeps import members
from sweeps.executors import HOSTS, WORKERS, Capabilities, Facts, Option
from sweeps.executors.start import carried, command, source
from sweeps.launch import Launch

STRATEGIES = ("STRICT_SPREAD", "SPREAD", "PACK", "STRICT_PACK")
FACTS = Facts(
    about="tasks on a Ray cluster",
    extra="ray",
    program="",
    module="ray",
    ran="a cluster of three nodes on one machine, a node killed under way; never on several machines, a GPU or a TPU",
    options=(
        Option("workers", 0, f"{WORKERS}; 0 is as many as the cluster has resources for"),
        Option("hosts", 1, f"{HOSTS}; with `slice` those of the slice"),
        Option("address", "auto", "of the cluster; `auto` is the one here or of RAY_ADDRESS, `local` a new one"),
        Option("cpus", 1.0, "of each process"),
        Option("gpus", 0.0, "of each process"),
        Option("resources", "", "further ones of each process, such as `TPU=4,spot=1`"),
        Option("slice", "", "take whole TPU slices of this type, such as `v4-16`: the label ray.io/tpu-pod-type"),
        Option("strategy", "STRICT_SPREAD", f"how the processes of a run are placed: {', '.join(STRATEGIES)}"),
        Option("grace", 20.0, "seconds that a process has to checkpoint once it is told to stop or its node is lost"),
    ),
)
# As Ray labels the nodes of TPU slices (ray.util.tpu reserves by the same labels, but blocks while it does).
POD_TYPE, SLICE = "ray.io/tpu-pod-type", "ray.io/tpu-slice-name"
_LOOK_SECONDS = 2.0


def host(log: str, arguments: list[str], grace: float, environment: dict[str, str]) -> int:
    """Is the task: starts a member on whatever node it runs on, and stays with it.

    Returns:
      The member's exit code; negative for a signal.
    """
    import ray

    mine = ["--host", ray.util.get_node_ip_address(), "--parent", str(os.getpid()), "--grace", str(grace)]
    with open(log, "ab") as file:  # noqa: PTH123 - a plain string came over the wire
        child = subprocess.Popen(
            [sys.executable, *arguments, *mine],
            env={**source(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    node = os.getppid()
    try:
        while child.poll() is None:  # a cancellation comes between two of these, never into a wait of the system's
            time.sleep(0.1)
            if os.getppid() != node:  # Ray itself would notice after some seconds
                raise ConnectionError("the Ray node is gone")
    except BaseException:
        child.terminate()
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    return child.returncode


class _Tasks(NamedTuple):
    """The tasks of one launch, by process, and the placement group that they share, None for one process."""

    refs: list[Any]
    group: Any
    slice: str


class Ray:
    """Runs jobs on a Ray cluster; the options are those of `FACTS`."""

    def __init__(
        self,
        workers: int,
        hosts: int,
        address: str,
        cpus: float,
        gpus: float,
        resources: str,
        slice: str,
        strategy: str,
        grace: float,
    ) -> None:
        if find_spec("ray") is None:
            raise UserError("the executor ray needs Ray: pip install 'augreg-bench[ray]'")
        if strategy not in STRATEGIES:
            raise UserError(f"option strategy of the executor ray is {strategy!r}; {choose_from(strategy, STRATEGIES)}")
        self._workers, self._slice, self._strategy, self._grace = workers, slice, strategy, grace
        self._needs = {"CPU": cpus, "GPU": gpus, **_resources(resources)}
        self._connect(address)
        self._tasks: dict[str, _Tasks] = {}
        self._looked, self._nodes = -_LOOK_SECONDS, list[dict[str, Any]]()
        self._hosts = max(hosts, 1)
        if slice:
            self._hosts, self._needs["TPU"] = self._shape()

    def _connect(self, address: str) -> None:
        # A task without GPUs sees what its process would see anyway.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        if ray.is_initialized():
            return
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            why = str(error).splitlines()[0]
            raise UserError(
                f"no Ray cluster at {address!r} ({why}): start one with `ray start --head`, or give --option address=HOST:PORT,"
                " or address=local"
            ) from None

    def _alive(self) -> list[dict[str, Any]]:
        """Returns the nodes of the cluster, asked for now and then."""
        import ray

        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._nodes, self._looked = [n for n in ray.nodes() if n["Alive"]], time.monotonic()
        return self._nodes

    def _slices(self) -> dict[str, list[dict[str, Any]]]:
        """Returns the nodes of each slice of the wanted type."""
        found = defaultdict(list)
        for node in self._alive():
            if node["Labels"].get(POD_TYPE) == self._slice:
                found[node["Labels"].get(SLICE, node["NodeID"])].append(node)
        return found

    def _shape(self) -> tuple[int, float]:
        """Returns the hosts of a slice and the chips of each."""
        slices = self._slices()
        if not slices:
            there = sorted({n["Labels"][POD_TYPE] for n in self._alive() if POD_TYPE in n["Labels"]})
            raise UserError(f"the Ray cluster has no TPU slice of type {self._slice!r}; it has: {', '.join(there) or 'none'}")
        largest = max(slices.values(), key=len)
        return len(largest), min(n["Resources"].get("TPU", 0) for n in largest)

    def capacity(self) -> int:
        """Returns how many jobs the nodes that are alive have resources for, unless a number was given."""
        if self._workers:
            return self._workers
        if self._slice:
            return max(sum(len(nodes) >= self._hosts for nodes in self._slices().values()), 1)
        needs = {name: n for name, n in self._needs.items() if n}
        nodes = (node["Resources"] for node in self._alive())
        fits = (min((int(has.get(name, 0) / n) for name, n in needs.items()), default=1) for has in nodes)
        return max(sum(fits) // self._hosts, 1)

    def describe(self) -> Capabilities:
        """Returns what it can do."""
        device = self._device()
        note = "workers end with the coordinator; needs a folder that all nodes share"
        each = int(self._needs[device.upper()])
        return Capabilities("ray", self.capacity(), device, each, True, False, note, self._hosts)

    def launch(self, launch: Launch) -> None:
        """Hands the tasks to Ray, which starts them where and when there is room."""
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        hosts, name = launch.job.settings.hosts, launch.attempt
        needs = {k: v for k, v in self._needs.items() if v}
        group, taken = None, ""
        if hosts > 1 or self._slice:
            selector = None
            if self._slice:
                taken = self._free_slice()
                selector = [{SLICE: taken} if hosts > 1 else {POD_TYPE: self._slice}] * hosts
            group = placement_group([needs] * hosts, strategy=self._strategy, name=name, bundle_label_selector=selector)
        refs = []
        for i in range(hosts):
            where = "DEFAULT" if group is None else PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=i)
            task = ray.remote(host).options(
                name=name,
                num_cpus=needs.get("CPU", 0),
                num_gpus=needs.get("GPU", 0),
                resources={k: v for k, v in needs.items() if k not in ("CPU", "GPU")},
                max_retries=0,
                scheduling_strategy=where,
            )
            arguments = command(launch.folder, i, hosts, *self._cores())
            refs.append(task.remote(str(members.log_of(launch.folder, i)), arguments, self._grace, carried()))
        self._tasks[name] = _Tasks(refs, group, taken)

    def _cores(self) -> tuple[str, ...]:
        return ("--cores", str(max(int(self._needs["CPU"]), 1))) if self._device() == "cpu" else ()

    def _device(self) -> str:
        return "tpu" if self._needs.get("TPU") else "gpu" if self._needs["GPU"] else "cpu"

    def _free_slice(self) -> str:
        """Returns the slice that fewest of this executor's launches have; of several, the first by name."""
        used = [tasks.slice for tasks in self._tasks.values()]
        return min(sorted(self._slices()), key=used.count)

    def alive(self, launch: Launch) -> bool:
        """Returns whether a member holds its lock or a task of this executor may still start one.

        A task of another coordinator cannot: Ray has taken its tasks away with it.
        """
        tasks = self._tasks.get(launch.attempt)
        if tasks is not None:
            over = [ref for ref in tasks.refs if _over(ref)]
            if len(over) == len(tasks.refs):
                del self._tasks[launch.attempt]
                self._release(tasks)
            elif any(_failed(ref) for ref in over):
                self.kill(launch)  # a run goes on with all its members or with none
        return launch.attempt in self._tasks or members.alive(launch.folder)

    def _release(self, tasks: _Tasks) -> None:
        from ray.util.placement_group import remove_placement_group

        if tasks.group is not None:
            remove_placement_group(tasks.group)

    def interrupt(self, launch: Launch) -> None:
        """Asks the members to leave, through the folder that all share, and takes tasks away that have not begun."""
        members.tell(launch.folder, members.STOP)
        self._cancel(launch, force=False)

    def kill(self, launch: Launch) -> None:
        """Ends the members, through the folder that all share, and their tasks."""
        members.tell(launch.folder, members.KILLED)
        self._cancel(launch, force=True)

    def _cancel(self, launch: Launch, *, force: bool) -> None:
        import ray

        tasks = self._tasks.get(launch.attempt)
        for ref in tasks.refs if tasks else []:
            ray.cancel(ref, force=force)

    def wait(self, seconds: float) -> None:
        """Returns when a task has ended, at the latest after so many seconds."""
        import ray

        refs = [ref for tasks in self._tasks.values() for ref in tasks.refs if not _over(ref)]
        if refs:
            ray.wait(refs, timeout=seconds)
        else:
            time.sleep(seconds)


def _resources(text: str) -> dict[str, float]:
    try:
        return {name.strip(): float(number) for name, _, number in (word.partition("=") for word in text.split(",") if word)}
    except ValueError:
        raise UserError(f"option resources of the executor ray is {text!r}, but must be such as TPU=4,spot=1") from None


def _over(ref: Any) -> bool:
    import ray

    return bool(ray.wait([ref], timeout=0)[0])


def _failed(ref: Any) -> bool:
    """Returns whether a task that is over did not end as it should: another exit code, its node lost, cancelled."""
    import ray

    try:
        return bool(ray.get(ref) != 0)
    except ray.exceptions.RayError:
        return True
