"""Checkpoints of a run under way (Orbax), so that a killed run goes on where it was, bit for bit.

Every attempt at a run writes into a folder of its own; resuming looks through all of them for the newest checkpoint that reads
back whole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.train.program import State

log = logging.getLogger(__name__)
FOLDER = "checkpoints"


class Checkpoints:
    """Checkpoints of one attempt.

    Args:
      run: folder of the run, which holds the folders of its attempts.
      attempt: folder of this attempt.
      every_seconds: least time between two checkpoints; 0 writes one after every dispatch.
    """

    def __init__(self, run: Path, attempt: Path, every_seconds: float) -> None:
        self._run, self._folder, self._every = run, attempt / FOLDER, every_seconds
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Returns whether it is time for the next one."""
        return time.monotonic() - self._last >= self._every

    def save(self, state: State, notes: dict[str, Any]) -> None:
        """Writes `state` and JSON `notes` durably; an interrupted write is never taken for a checkpoint."""
        import orbax.checkpoint as ocp

        step = int(state.step)
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            args = ocp.args.Composite(state=ocp.args.StandardSave(state), notes=ocp.args.JsonSave(notes))
            checkpointer.save(self._folder.absolute() / str(step), args=args, force=True)
        self._last = time.monotonic()

    def _found(self) -> Iterator[Path]:
        folders = [p for p in self._run.glob(f"attempts/*/{FOLDER}/*") if p.name.isdigit()]
        yield from sorted(folders, key=lambda p: int(p.name), reverse=True)

    def restore(self, like: State) -> tuple[State, dict[str, Any]] | None:
        """Returns the newest whole checkpoint of any attempt and its notes, None where there is none.

        Args:
          like: a state of the same structure, shapes and dtypes.
        """
        for path in self._found():
            import orbax.checkpoint as ocp

            args = ocp.args.Composite(state=ocp.args.StandardRestore(like), notes=ocp.args.JsonRestore())
            try:
                with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
                    found = checkpointer.restore(path.absolute(), args=args)
            except Exception as error:  # whatever is wrong with it, an older one or a fresh start is right
                log.warning("checkpoint %s does not read back (%s); trying an older one", path, str(error).splitlines()[0])
                continue
            return found["state"], found["notes"]
        return None
