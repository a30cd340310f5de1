"""Checkpoints of a run under way (Orbax), so that a killed run goes on where it was, bit for bit.

Every attempt at a run writes into a folder of its own, while training goes on; a manifest with checksums of all files commits
a checkpoint. Resuming looks through all attempts for the newest one that every process finds whole, and says what it passed
over. A checkpoint that cannot be written, because the disk is full or for whatever reason, ends no run: it is tried again when
the next is due. Only monotonic clocks are read.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import shutil
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax

from bench.records.atomic import read_json, write_json
from bench.train import manifest, together
from bench.train.program import State

log = logging.getLogger(__name__)
FOLDER = "checkpoints"
# What lies in the folder of one, beside its manifest.
_STATE, _NOTES = "state", "notes.json"
# Good ones that are kept: the newest, and one to fall back to.
KEEP = 2
# Share of free space, beyond a checkpoint's size, that is left to records, weights and logs.
_MARGIN = 0.05
# Seconds after which processes that wait for one whose disk failed give a checkpoint up.
_PATIENCE = 300
# Characters of an error that are logged.
_LONGEST = 500
# Names the barriers of one save: runs of a process, which all have a step 100, must not meet at one barrier.
_saves = itertools.count()


class Skipped(NamedTuple):
    """A checkpoint that was passed over, and what is wrong with it."""

    path: Path
    why: str


class Checkpoints:
    """Checkpoints of one attempt.

    Args:
      run: folder of the run, which holds the folders of its attempts.
      attempt: folder of this attempt.
      every_seconds: least time between two checkpoints; 0 writes one after every dispatch.

    Attributes:
      restored_from: the checkpoint that this attempt began with.
      skipped: those that were newer, but not whole.
    """

    def __init__(self, run: Path, attempt: Path, every_seconds: float) -> None:
        self._run, self._folder, self._every = run, attempt.absolute() / FOLDER, every_seconds
        self._last = time.monotonic()
        self._writing: threading.Thread | None = None
        self._good: list[Path] = []
        self.restored_from: Path | None = None
        self.skipped: list[Skipped] = []

    @property
    def due(self) -> bool:
        """Returns whether it is time for the next one; never while one is being written, unless every dispatch has its own."""
        if self._every and self._writing and self._writing.is_alive():
            return False
        return time.monotonic() - self._last >= self._every

    @property
    def newest(self) -> Path | None:
        """Returns the newest committed one that this attempt knows of."""
        return max(self._good, key=_step, default=None)

    def save(self, state: State, notes: dict[str, Any]) -> None:
        """Begins to write `state` and JSON `notes`; returns when they are copied, so that `state` may be given up.

        Waits for an earlier one first. What goes wrong, now or later, is logged, and what was written is removed.
        """
        import orbax.checkpoint as ocp

        self.wait()
        self._last = time.monotonic()
        folder = self._folder / str(int(state.step))
        if together.everyone(self.newest is not None and self.newest.name == folder.name):
            return
        if not together.everyone(self._fits(state, folder)):
            return
        checkpointer = ocp.AsyncCheckpointer(
            ocp.StandardCheckpointHandler(),
            # Made by threads of Orbax, folders that cannot be made leave its other threads waiting for minutes.
            async_options=ocp.options.AsyncOptions(timeout_secs=_PATIENCE, create_directories_asynchronously=False),
            multiprocessing_options=ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=f"save{next(_saves)}"),
        )
        try:
            checkpointer.save(folder / _STATE, args=ocp.args.StandardSave(state), force=True)
        except Exception as error:
            self._failed(folder, error)
            return
        # No daemon: an interpreter that ends lets it finish.
        self._writing = threading.Thread(target=self._finish, args=(checkpointer, folder, notes), name="checkpoint")
        self._writing.start()

    def wait(self) -> None:
        """Waits until what is being written is committed, or has failed."""
        if self._writing:
            self._writing.join()
            self._writing = None

    close = wait

    def _fits(self, state: State, folder: Path) -> bool:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            needed = int(sum(leaf.nbytes for leaf in jax.tree.leaves(state)) * (1 + _MARGIN))
            if (free := shutil.disk_usage(folder).free) < needed:
                raise OSError(f"{needed:,} bytes are needed and {free:,} are free")
        except OSError as error:
            self._failed(folder, error)
            return False
        return True

    def _finish(self, checkpointer: Any, folder: Path, notes: dict[str, Any]) -> None:
        try:
            checkpointer.wait_until_finished()
            if together.first():
                write_json(folder / _NOTES, notes)
                manifest.commit(folder)
            checkpointer.close()
        except BaseException as error:
            self._failed(folder, error)
        else:
            self._committed(folder)

    def _committed(self, folder: Path) -> None:
        self._good = sorted({*self._good, folder}, key=_step)
        old, self._good = self._good[:-KEEP], self._good[-KEEP:]
        for path in (*old, *(path for path, _ in self.skipped)):
            if together.first() and path not in self._good:
                # The manifest first: half removed, it is none that was ever finished.
                with contextlib.suppress(OSError):
                    (path / manifest.FILE).unlink()
                shutil.rmtree(path, ignore_errors=True)

    def _failed(self, folder: Path, error: BaseException) -> None:
        last = f"the last good one is {self.newest}" if self.newest else "there is no earlier one"
        log.warning(
            "checkpoint %s could not be written (%s: %s); %s; the next one is tried when it is due",
            folder,
            type(error).__name__,
            # TensorStore says where, what, and then its whole configuration.
            str(error)[:_LONGEST].strip(),
            last,
        )
        if together.first() and not manifest.committed(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _found(self) -> list[Path]:
        """Returns all checkpoints of all attempts, newest first, as the first process lists them now."""
        found = [path for path in self._run.glob(f"attempts/*/{FOLDER}/*") if path.name.isdigit()]
        newest = sorted(found, key=lambda path: (_step(path), path), reverse=True)
        return [self._run / name for name in together.told([str(path.relative_to(self._run)) for path in newest])]

    def restore(self, like: State) -> tuple[State, dict[str, Any]] | None:
        """Returns the newest whole checkpoint of any attempt and its notes, None where there is none.

        What is newer, but damaged or unfinished, is logged and listed in `skipped`.

        Args:
          like: a state of the same structure, shapes and dtypes, lying where the restored one shall lie.
        """
        found = self._found()
        for path in found:
            why = manifest.wrong(path, jax.process_index(), jax.process_count())
            if not self._whole(path, why):
                continue
            restored, why = _read(path, like)
            if not self._whole(path, why):
                continue
            assert restored is not None
            self.restored_from = path
            older = found[found.index(path) + 1 :]
            self._good = sorted((p.absolute() for p in (path, *older) if manifest.committed(p)), key=_step)
            return restored
        if self.skipped:
            log.warning("%s: no checkpoint is whole; the run begins again at step 0", self._run)
        return None

    def _whole(self, path: Path, why: str) -> bool:
        if together.everyone(not why):
            return True
        why = why or "another process finds it damaged"
        log.warning("checkpoint %s is passed over for an older one: %s", path, why)
        self.skipped.append(Skipped(path.absolute(), why))
        return False


def _step(path: Path) -> int:
    return int(path.name)


def _read(path: Path, like: State) -> tuple[tuple[State, dict[str, Any]] | None, str]:
    """Returns state and notes, or what is wrong."""
    import orbax.checkpoint as ocp

    try:
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            state = checkpointer.restore(path.absolute() / _STATE, args=ocp.args.StandardRestore(like))
        return (state, read_json(path / _NOTES)), ""
    except Exception as error:  # whatever it is, an older one or a fresh start is right
        return None, f"it does not read back ({str(error).strip().splitlines()[0]})"
