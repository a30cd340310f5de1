"""Checkpoints from elsewhere: what a person names becomes weights in a sweep's folder, and a config that says what they are.

A checkpoint is named by
  a file or an address      `.npz` or `.safetensors`, in any layout that `bench.weights` reads
  a released name           what is called so in the bucket of AugReg's checkpoints
  the folder of a sweep     the final weights of every finished upstream run in it, or of the best of each model
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench import weights
from bench.errors import UserError, choose_from
from bench.points import VARIANTS, Checkpoint, Upstream, parse_upstream
from bench.points.names import transfer_fields
from bench.records.record import Record
from bench.remote import is_remote
from bench.weights import check
from sweeps.layout import Workdir

# Where the released AugReg checkpoints are ("How to train your ViT?", its code's README).
RELEASED = "gs://vit_models/augreg/{}.npz"
# What says nothing of a file or of the folder that it is in, at Hugging Face among others.
_MUTE = ("model", "weights", "checkpoint", "pytorch_model", "resolve", "main")
_SWEEP = "sweep.json"


@dataclass(frozen=True)
class Given:
    """A checkpoint that was taken in.

    Attributes:
      checkpoint: what it is.
      source: the file, address or run that it came from.
      val: its upstream validation accuracy, where that is known.
    """

    checkpoint: Checkpoint
    source: str
    val: float | None = None


def take(locations: Iterable[str], workdir: Workdir, model: str = "", *, best: bool = False) -> tuple[Given, ...]:
    """Reads checkpoints and writes them, in the layout here, where `Workdir.weights` finds them.

    What is there already is checked and kept. The head is kept where it is one of the model's; weights without one have none.

    Args:
      locations: files, addresses, released names and folders of sweeps.
      workdir: of the sweep that they are for.
      model: that all of them are of; found out by their names, or by the shapes of their weights, by default.
      best: take from the folder of a sweep only the run of each model that is best on validation.

    Returns:
      In the order given; a sweep's runs in the order of their names.

    Raises:
      UserError: a file cannot be read, is of another model (it says which) or of none that is known; a folder has no finished
        run; two different checkpoints have one name.
    """
    if model and model not in VARIANTS:
        raise UserError(f"unknown model {model!r}: {choose_from(model, VARIANTS)}")
    found: dict[str, Given] = {}
    for location in locations:
        folder = Path(location)
        several = _of_sweep(folder, workdir, best) if folder.is_dir() else iter((_of_file(location, workdir, model),))
        found |= {each.checkpoint.name: each for each in several}
    return tuple(found.values())


def _of_file(location: str, workdir: Workdir, model: str) -> Given:
    label = _label(location)
    run = _run(label)
    place = location if is_remote(location) or Path(location).exists() or not run else RELEASED.format(location)
    flat = weights.read(place)
    model = model or (run.model if run else _model_of(flat, place))
    return Given(_store(workdir, flat, place, model, _plain(label), "float32"), place)


def _of_sweep(folder: Path, workdir: Workdir, best: bool) -> Iterator[Given]:
    other = Workdir(folder)
    if not (folder / _SWEEP).exists():
        raise UserError(f"{folder}: holds no sweep; a checkpoint is a file, an address, or the folder of `augreg run`")
    finished = [r for r in other.records() if isinstance(r.config, Upstream) and r.status == "ok"]
    if not finished:
        raise UserError(f"{folder}: has no finished upstream run; `augreg status {folder}` says how far it is")
    for record in _best(finished) if best else finished:
        run = record.config
        assert isinstance(run, Upstream)
        place = other.weights(run)
        made = _store(workdir, weights.read(place), str(place), run.model, run.name, run.dtype)
        yield Given(made, str(place), _val(record))


def _val(record: Record) -> float | None:
    last = record.last("val")
    return last.value if last else None


def _best(records: Iterable[Record]) -> list[Record]:
    """Returns of every model the record that is best on validation; of equal ones the first by name."""
    first: dict[str, Record] = {}
    for record in sorted(records, key=lambda r: (-(_val(r) or 0.0), r.config.name)):
        assert isinstance(record.config, Upstream)
        first.setdefault(record.config.model, record)
    return sorted(first.values(), key=lambda r: r.config.name)


def _label(location: str) -> str:
    """Returns what a file is called, without suffix; what its folder is called, where that says nothing."""
    parts = PurePosixPath(location.split("?")[0]).parts
    if "attempts" in parts[-3:-2]:  # WORKDIR/runs/NAME/attempts/ATTEMPT/weights.npz
        return parts[-4]
    stems = [re.sub(r"\.(npz|safetensors)$", "", part) for part in reversed(parts)]
    return next((stem for stem in stems if stem.lower() not in _MUTE), stems[0])


def _plain(label: str) -> str:
    """Returns a label that a `Checkpoint` may have."""
    words = re.findall(r"[A-Za-z0-9_.]+", label)
    return "-".join(words).lstrip(".") or "weights"


def _run(label: str) -> Upstream | None:
    """Returns the upstream run of a released name, also of that of a transfer; None where it is none."""
    try:
        return parse_upstream(transfer_fields(label)[0] if "--" in label else label)
    except UserError:
        return None


def _model_of(flat: weights.Flat, place: str) -> str:
    models = check.alike(flat)
    if len(models) == 1:
        return models[0]
    what = f"fits {' and '.join(models)}" if models else "fits no model known here, or is not complete"
    raise UserError(f"{place}: {what}; say what it is with --model (`augreg models` lists them)")


def _store(workdir: Workdir, flat: weights.Flat, place: str, model: str, label: str, dtype: str) -> Checkpoint:
    ours = weights.standard(flat, place, model)
    checkpoint = Checkpoint(model, label, weights.identity(ours), dtype)
    path = workdir.given(checkpoint)
    if not path.exists():
        weights.write(path, ours)
    elif (there := weights.identity(weights.read(path))) != checkpoint.weights:
        raise UserError(
            f"{place} ({checkpoint.weights}) and {path} ({there}) are different weights of one name: rename the new one, or use"
            " another --workdir"
        )
    return checkpoint
