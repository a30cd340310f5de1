"""What a worker says of itself while it works: `progress.json`, current within seconds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from bench.points import Config
from sweeps.launch import Launch
from sweeps.states import KINDS

# At most this often; and at least this often, so that silence means that the worker is stopped or gone.
LEAST_SECONDS, BEAT_SECONDS = 0.2, 5.0
PHASES = ("import", "compile", *KINDS)


class Reporter:
    """Keeps `progress.json` current: what the worker is at, how far, and where its time went.

    Args:
      launch: whose file it is.
      compiled: grows with every program that this process compiles.
      silent: write nothing; another process of the launch does.

    Attributes:
      value: what is written, see the reference's "progress.json".
    """

    def __init__(self, launch: Launch, compiled: Sequence[Any], *, silent: bool = False) -> None:
        self._launch, self._compiled, self._silent = launch, compiled, silent
        self._written = 0.0
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._since = time.perf_counter()
        self._phase = ""
        self.value: dict[str, Any] = {
            "kind": launch.job.configs[0].kind,
            "run": "",
            "step": 0,
            "steps": 0,
            "resumed": -1,
            "values": [],
            "done": 0,
            "runs": len(launch.job.configs),
            "pid": os.getpid(),
            "beat": 0,
            "seconds": dict.fromkeys(PHASES, 0.0),
            "compiled": [],
        }
        self._thread = threading.Thread(target=self._beat, name="beat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            self.write()

    def write(self, *, now: bool = True) -> None:
        """Writes the file, at most five times a second unless `now`. A full disk is no reason to stop."""
        if self._silent or (not now and time.monotonic() - self._written < LEAST_SECONDS):
            return
        with self._guard, suppress(OSError):
            self.value["compiled"] = [asdict(c) for c in list(self._compiled)]
            self.value["beat"] += 1
            seconds = dict(self.value["seconds"])
            if self._phase:
                compiling = sum(c["seconds"] for c in self.value["compiled"]) - seconds["compile"]
                seconds[self._phase] += time.perf_counter() - self._since - compiling
                seconds["compile"] += compiling
            self._launch.report({**self.value, "seconds": seconds})
            self._written = time.monotonic()

    def decided(self) -> None:
        """Notes that it is decided how the runs train: what was compiled for that is no run's."""
        with self._guard:
            self.value["seconds"]["compile"] = sum(c.seconds for c in self._compiled)

    def begin(self, config: Config, also: int = 0) -> None:
        """Notes that a run begins, with `also` others that train along."""
        self.value |= {"run": config.name, "also": also, "step": 0, "steps": 0, "resumed": -1, "values": []}
        self._since, self._phase = time.perf_counter(), config.kind
        self.write()

    def step(self, done: int, of: int) -> None:
        """Notes how far the current run is; the first time, where it was taken up."""
        taken_up = self.value["resumed"] if self.value["resumed"] >= 0 else done
        self.value |= {"step": done, "steps": of, "resumed": taken_up}
        self.write(now=False)

    def measured(self, step: int, accuracy: float) -> None:
        """Notes a validation accuracy of the current run; searches decide by it."""
        self.value["values"] = [*self.value["values"], [self.value["run"], step, accuracy]]
        self.write(now=False)

    def end(self, runs: int) -> None:
        """Notes that the current run, or several that trained together, ended."""
        with self._guard:
            seconds = self.value["seconds"]
            compiling = sum(c.seconds for c in self._compiled) - seconds["compile"]
            seconds["compile"] += compiling
            seconds[self._phase] += time.perf_counter() - self._since - compiling
            self._phase = ""
            self.value["done"] += runs
        self.write()

    def close(self) -> None:
        """Writes for the last time."""
        self._ended.set()
        self._thread.join()
        self.write()
