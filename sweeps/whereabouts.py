"""Where the weights of a table's checkpoints are, by their names alone: in a sweep's folder, among given files, released."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError
from bench.points import Upstream, parse_upstream
from bench.remote import is_remote
from bench.weights.files import SUFFIXES
from sweeps.given import RELEASED
from sweeps.layout import WEIGHTS, Workdir
from sweeps.released import released

_SWEEP = "sweep.json"


class Whereabouts:
    """Finds weights: where it is told to look, else in the folder of the sweep that the table is of, else among the released.

    Attributes:
      places: where it looks, in words.
    """

    def __init__(self, table: Path, place: str | None = None) -> None:
        """Notes where to look.

        Args:
          table: the file that the names are from.
          place: a folder (of a sweep, or of files NAME.npz or NAME.safetensors), or a gs:// or https:// address of such files;
            None for the table's own folder and the released files.

        Raises:
          UserError: there is no such folder.
        """
        self._address = place.rstrip("/") if place is not None and is_remote(place) else None
        self._folder = None if self._address else Path(place) if place is not None else table.parent
        self._released = place is None
        if place is not None and self._folder is not None and not self._folder.is_dir():
            raise UserError(
                f"{place}: no such folder; weights are in a sweep's folder, a folder of .npz files or at an address"
            )
        self.places = self._address or f"{self._folder}" + (f" or {RELEASED.format('NAME')}" if self._released else "")

    def __call__(self, filename: str) -> str | None:
        """Returns the path or the address of a checkpoint's weights, None where it is not known.

        An address is not asked whether it has the file.
        """
        if self._address:
            return f"{self._address}/{filename}.npz"
        assert self._folder is not None
        run = _run(filename)
        if (found := _in_folder(self._folder, filename, run)) is not None:
            return str(found)
        return RELEASED.format(filename) if self._released and run is not None and released(run) else None


def _run(filename: str) -> Upstream | None:
    try:
        return parse_upstream(filename)
    except UserError:
        return None


def _in_folder(folder: Path, filename: str, run: Upstream | None) -> Path | None:
    if run is not None and (folder / _SWEEP).exists() and (record := Workdir(folder).run(run).record()) is not None:
        path = Workdir(folder).run(run).attempt(record.cost.attempt) / WEIGHTS
        if path.exists():
            return path
    files = (at / f"{filename}{suffix}" for at in (folder, folder / "checkpoints") for suffix in SUFFIXES)
    return next((path for path in files if path.exists()), None)
