"""Where the weights of a table's checkpoints are, by their names alone: in a sweep's folder, among given files, released."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError
from bench.points import Upstream, parse_upstream
from bench.remote import is_remote
from bench.weights.files import SUFFIXES
from sweeps.given import RELEASED
from sweeps.layout import WEIGHTS, Workdir
from sweeps.recipes import VIT_DECAYS, VIT_LEVELS, VIT_MODELS, VIT_RATES

_SWEEP = "sweep.json"
# Of B/8 three checkpoints were released, of which these two are known by name; for 300 epochs of ImageNet-21k.
_B8_LEVELS = ("medium1", "medium2")


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


def released(run: Upstream) -> bool:
    """Returns whether a run is one whose checkpoint was released with "How to train your ViT?"."""
    if run.ds not in ("i1k", "i21k", "i21k_30") or run.lr != 0.001 or run.do != run.sd:
        return False
    if run != parse_upstream(_bare(run)):  # another seed, batch size, ...
        return False
    if run.model == "B/8":
        return run.ds == "i21k" and run.epochs == 300 and run.aug in _B8_LEVELS and (run.wd, run.do) == (0.1, 0.0)
    epochs = (30.0, 300.0) if run.dataset == "i21k" else (300.0,)
    axes = ((run.model, VIT_MODELS), (run.aug, VIT_LEVELS), (run.wd, VIT_DECAYS), (run.do, VIT_RATES), (run.epochs, epochs))
    return all(value in axis for value, axis in axes)


def _bare(run: Upstream) -> str:
    """Returns the name without what it says only where it is not the recipe's."""
    return run.name[: run.name.index("-sd_")] + f"-sd_{run.sd}"


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
