"""Folders that TensorFlow Datasets has prepared: opened offline, without the code that made them.

The facts (splits, features) lie in small files beside the data. Where the data is elsewhere, they are copied first, since TFDS
reads them from disk.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from bench.data.sources.store import file_system, is_address, unreachable
from bench.errors import UserError

_FACTS, _FEATURES = "dataset_info.json", "features.json"
_PREPARE = "prepare it with TFDS (builder.download_and_prepare)"
_VERSION = "[0-9]*.[0-9]*.[0-9]*"


class Run(NamedTuple):
    """Records of one file that follow one another in a split: `take` of them from `skip` on; the file has `promised`."""

    path: str
    skip: int
    take: int
    promised: int


def open_folder(directory: str) -> Any:
    """Returns the TFDS builder of a version folder.

    Raises:
      UserError: the folder is missing, or preparing it was not finished, or TFDS cannot read it.
    """
    if "incomplete" in directory.rstrip("/").rsplit("/", 1)[-1]:
        raise UserError(f"{directory}: preparing it was interrupted: remove it and {_PREPARE} again")
    if not is_address(directory):
        _look(Path(directory))
        return _builder(directory, directory)
    with tempfile.TemporaryDirectory() as copy:
        _copy_facts(directory, copy)
        return _builder(copy, directory)


def runs(builder: Any, directory: str, spec: str) -> list[Run]:
    """Returns what a split is made of, in order; slices mean what they mean to TFDS.

    Args:
      builder: of `open_folder`.
      directory: that it was opened from.
      spec: such as "train[:49000]+validation[:10%]".

    Raises:
      UserError: no such split, no such slice, or nothing in it.
    """
    import tensorflow_datasets as tfds

    splits, found = builder.info.splits, []
    for part in map(str.strip, spec.split("+")):
        try:
            slices = tfds.core.ReadInstruction.from_spec(part).to_absolute(splits)
            pieces = splits[part].file_instructions
        except Exception as error:  # TFDS raises ValueError, KeyError, NotImplementedError
            why = " ".join(str(error).split())
            known = ", ".join(f"{name} ({split.num_examples:,})" for name, split in splits.items())
            raise UserError(f"{directory}: split {spec!r} cannot be had: {why}; it holds {known}") from None
        # Of a slice that ends before it begins, TFDS makes nothing, a negative number of examples, or the rest of a file.
        for cut in slices:
            stop = splits[cut.splitname].num_examples if cut.to is None else cut.to
            if (cut.from_ or 0) >= stop:
                raise UserError(f"{directory}: split {spec!r}: there is no example in {part!r}")
        for piece in pieces:
            path = _joined(directory, os.path.relpath(piece.filename, builder.data_dir))
            found.append(Run(path, piece.skip, piece.take, piece.examples_in_shard))
    return found


def _look(folder: Path) -> None:
    """Raises UserError where there is no prepared data set in a folder of this machine."""
    if not folder.is_dir():
        # TFDS prepares in a folder beside, named incomplete.ABC_1.0.0 or, in older versions, 1.0.0.incompleteABC.
        begun = sorted(folder.parent.glob(f"incomplete.*_{folder.name}")) + sorted(
            folder.parent.glob(f"{folder.name}.incomplete*")
        )
        if begun:
            raise UserError(f"{folder}: preparing it was interrupted: remove {begun[0]} and {_PREPARE} again")
        raise UserError(f"{folder}: no such folder: {_PREPARE}, or give the folder that holds {_FACTS}")
    if not (folder / _FACTS).exists():
        below = [path for levels in ("", "*/", "*/*/") for path in folder.glob(f"{levels}{_VERSION}/{_FACTS}")]
        versions = sorted(str(path.parent.relative_to(folder)) for path in below)
        if versions:
            raise UserError(
                f"{folder}: not the folder of a version: give {folder}/{versions[-1]} (there: {', '.join(versions)})"
            )
        raise UserError(
            f"{folder}: no {_FACTS} in it: not a prepared data set, or preparing it was interrupted: {_PREPARE} again"
        )
    if not (folder / _FEATURES).exists():
        raise UserError(
            f"{folder}: no {_FEATURES} in it: prepared by TFDS 3.2 or older, or incompletely copied: {_PREPARE} again"
        )


def _copy_facts(address: str, folder: str) -> None:
    """Copies the small files beside the data."""
    system = file_system(address)
    try:
        names = {path.rstrip("/").rsplit("/", 1)[-1]: path for path in system.ls(address, detail=False)}
        missing = [name for name in (_FACTS, _FEATURES) if name not in names]
        if not missing:
            for name, path in names.items():
                if name.endswith((".json", ".txt")):
                    Path(folder, name).write_bytes(system.cat_file(path))
    except Exception as error:
        raise unreachable(address, error) from None
    if missing:
        raise UserError(f"{address}: no {missing[0]} there: not the folder of a prepared version, or not copied whole")


def _builder(folder: str, directory: str) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise UserError(f"{directory}: reading it needs another package: pip install tensorflow-datasets") from None
    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:  # of whatever reads JSON or restores features
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{directory}: TFDS cannot read {_FACTS} or {_FEATURES}: {why[:300]}; {_PREPARE} again") from None


def _joined(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"
