"""What a person sees while a sweep runs, on standard error: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sweeps.states import KINDS, Status

# Without a terminal a line is printed this often.
QUIET_SECONDS = 15.0


class View:
    """Shows the status of a sweep; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[at]}", style="dim"),
            console=console,
            disable=not console.is_terminal,
        )
        self._bars = {kind: self._progress.add_task(kind, total=None, at="", visible=False) for kind in KINDS}
        self._started = self._printed = time.monotonic()
        self._note = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, status: Status) -> None:
        """Shows where the sweep stands."""
        for kind, bar in self._bars.items():
            at = "  ".join(_short(w) for w in status.workers() if w["kind"] == kind)
            done, of = status.done[kind], status.runs[kind]
            self._progress.update(bar, completed=done, total=of, at=at, visible=of > 0)
        if status.note != self._note:
            self._note = status.note
            self._console.print(status.note or "going on", highlight=False, soft_wrap=True)
        now = time.monotonic()
        if not self._console.is_terminal and (now - self._printed > QUIET_SECONDS or status.complete):
            self._printed = now
            counts = ", ".join(f"{kind} {status.done[kind]}/{status.runs[kind]}" for kind in self._bars if status.runs[kind])
            at = "; ".join(_short(w) for w in status.workers())
            self._console.print(f"{now - self._started:5.0f} s: {counts}  {at}", highlight=False, soft_wrap=True)


def recommended(frame: pd.DataFrame) -> Table:
    """Returns the recommended checkpoints (see `bench.report.recommended.recommend`), a column each, best first."""
    from bench.report.text import shown_strings

    shown = shown_strings(frame)
    table = Table(title="Recommended checkpoints", title_justify="left")
    table.add_column(style="dim")
    for name in shown["name"]:
        table.add_column(name, justify="right", overflow="fold")
    for field in shown.columns.drop("name"):
        table.add_row(field, *shown[field], end_section=field in ("filename", "infer_samples_per_sec", "mean_test"))
    return table


def _short(worker: dict[str, object]) -> str:
    name = str(worker["run"]).rpartition("--")[2]
    return f"{name.replace('-lr_', ' lr ').split('-wd_')[0]} {worker['step']}/{worker['steps'] or '?'}"
