"""Executors place launches: one small protocol, one module an executor, its options declared beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import NamedTuple, Protocol

from bench.errors import UserError, choose_from
from sweeps.launch import Launch


class Capabilities(NamedTuple):
    """What an executor can do, as it was built.

    Attributes:
      name: of the executor.
      slots: jobs at once.
      device: kind of device: `cpu`, `gpu` or `tpu`.
      devices_per_job: of one process of a job; 0 is all that the process sees.
      preemptible: whether places may be taken away at any time.
      survives: whether workers outlive the coordinator.
      note: what else one should know, one line.
      hosts: processes of one run.
    """

    name: str
    slots: int
    device: str = "cpu"
    devices_per_job: int = 0
    preemptible: bool = False
    survives: bool = True
    note: str = ""
    hosts: int = 1


class Executor(Protocol):
    """What the coordinator needs of whatever runs workers.

    A launch is known by its folder alone, so an executor keeps nothing that a crash could lose: any method may be asked of an
    executor that has just been built about a launch that another one started.
    """

    def capacity(self) -> int:
        """Returns how many jobs can run at once, at least 1."""
        ...

    def launch(self, launch: Launch) -> None:
        """Starts all processes of a launch whose `launch.json` is written; `alive` is true when this returns."""
        ...

    def alive(self, launch: Launch) -> bool:
        """Returns whether some process of the launch may still write, or may still start."""
        ...

    def interrupt(self, launch: Launch) -> None:
        """Sends SIGTERM to all its processes: to checkpoint and leave; does not wait. What has not started never will."""
        ...

    def kill(self, launch: Launch) -> None:
        """Sends SIGKILL to all its processes, as far as that is possible; does not wait."""
        ...

    def wait(self, seconds: float) -> Iterable[Launch] | None:
        """Waits at most so many seconds, less where something changes; returns what changed, None where that may be any."""
        ...

    def describe(self) -> Capabilities:
        """Returns what it can do."""
        ...


class Option(NamedTuple):
    """An option of an executor: its name, its default, which is of its type, and what it means."""

    name: str
    default: str | int | float
    about: str

    def parse(self, executor: str, text: str) -> str | int | float:
        """Returns the value that `text` says.

        Raises:
          UserError: it is no number where one is needed, or one below 0.
        """
        if isinstance(self.default, str):
            return text
        try:
            value = type(self.default)(text)
        except ValueError:
            value = None
        if value is None or not 0 <= value < float("inf"):
            kind = "a whole number" if isinstance(self.default, int) else "a number"
            raise UserError(f"option {self.name} of the executor {executor} is {text!r}, but must be {kind}, at least 0")
        return value


class Facts(NamedTuple):
    """What is known of an executor without building it.

    Attributes:
      about: one line.
      extra: of this package, which it needs; "" for none.
      program: that must be in PATH; "" for none.
      module: that must be importable; "" for none.
      ran: where it has run, and where never.
      options: in the order in which they are listed.
    """

    about: str
    extra: str
    program: str
    module: str
    ran: str
    options: tuple[Option, ...]


# Meaning the same in every executor.
WORKERS = "jobs at once"
HOSTS = "processes of one run, each on a host of its own; they start, stop and restart together"

# Every module has FACTS; the class is built with its options as keywords.
EXECUTORS = {
    "local": "sweeps.executors.local:Local",
    "ray": "sweeps.executors.ray:Ray",
    "slurm": "sweeps.executors.slurm:Slurm",
    "k8s": "sweeps.executors.k8s:K8s",
}


def facts(name: str) -> Facts:
    """Returns what is known of an executor.

    Raises:
      UserError: there is none of that name.
    """
    if name not in EXECUTORS:
        raise UserError(f"no executor {name!r}; {choose_from(name, EXECUTORS)}")
    found: Facts = import_module(EXECUTORS[name].partition(":")[0]).FACTS
    return found


def read_options(texts: Iterable[str]) -> dict[str, str]:
    """Returns options by name from texts such as `devices=0,1|2,3`.

    Raises:
      UserError: one has no `=`, or is given twice.
    """
    options: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--option {text!r} must be KEY=VALUE")
        if name in options:
            raise UserError(f"--option {name} is given twice: {options[name]!r} and {value!r}")
        options[name] = value
    return options


def build(name: str, options: Mapping[str, str]) -> Executor:
    """Returns an executor.

    Args:
      name: of the executor.
      options: by name, as they were typed.

    Raises:
      UserError: there is no such executor or option, a value is wrong, or something that the executor needs is not there.
    """
    known = {option.name: option for option in facts(name).options}
    for option in options:
        if option not in known:
            raise UserError(f"the executor {name} has no option {option!r}; {choose_from(option, known)}")
    values = {option.name: option.default for option in known.values()}
    values |= {option: known[option].parse(name, text) for option, text in options.items()}
    module, _, made = EXECUTORS[name].partition(":")
    executor: Executor = getattr(import_module(module), made)(**values)
    return executor
