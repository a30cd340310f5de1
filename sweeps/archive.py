"""The records of a sweep in one small file, from which its tables and figures are drawn again, or checked.

`records.jsonl.gz` is gzip of JSON lines without any time stamp: the first says which sweep and what is known of given
checkpoints, each other one is a record as `Record.to_dict` has it, in the order of the runs' names.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.points.fields import typed
from bench.records.atomic import export
from bench.records.record import Record, from_dict
from sweeps.layout import Workdir
from sweeps.named import find
from sweeps.results import FILES, PAGE, draw, expected
from sweeps.upstream_scores import known

FILE = "records.jsonl.gz"
VERSION = 1


@dataclass(frozen=True)
class Archive:
    """What a sweep measured.

    Attributes:
      sweep: its name, one of `sweeps.named`.
      records: of its runs, sorted by name.
      accuracies: upstream validation accuracies of given checkpoints, by name, where they are known.
    """

    sweep: str
    records: tuple[Record, ...]
    accuracies: Mapping[str, float]

    @property
    def files(self) -> list[str]:
        """The names of the files that are drawn from it: not the page, which tells of time that no record keeps."""
        return [file for file in expected(find(self.sweep)) if file != PAGE]

    def draw(self, folder: Path) -> None:
        """Writes these files into a folder."""
        draw(find(self.sweep), self.records, self.accuracies, folder)

    def to_bytes(self) -> bytes:
        """Returns the file; equal archives are equal bytes, where zlib is the same."""
        head = {"version": VERSION, "sweep": self.sweep, "accuracies": dict(self.accuracies)}
        lines = [head, *(record.to_dict() for record in self.records)]
        text = "".join(json.dumps(line, sort_keys=True, allow_nan=False) + "\n" for line in lines)
        return gzip.compress(text.encode(), mtime=0)


def of_workdir(workdir: Workdir) -> Archive:
    """Returns the archive of a sweep's folder, complete or not.

    Raises:
      UserError: the folder is no sweep's, or of one without a name, or no run is finished.
    """
    name = workdir.sweep()
    find(name)
    records = tuple(sorted(workdir.records(), key=lambda record: record.config.name))
    if not records:
        raise UserError(f"{workdir.path}: no run of {name} is finished, so there is nothing to archive")
    return Archive(name, records, known(workdir))


def read(folder: Path) -> Archive:
    """Reads the archive of a folder.

    Raises:
      UserError: there is none, it is damaged or of another version, or a record is no longer this code's.
    """
    path = folder / FILE
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `augreg archive WORKDIR -o {folder}` makes it") from None
    except (EOFError, zlib.error, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: damaged ({error}); make it again with `augreg archive`") from None
    head, *records = [_object(line, f"{path}, line {i}") for i, line in enumerate(lines or [""], 1)]
    if head.get("version") != VERSION:
        raise UserError(f"{path}: no archive of version {VERSION}; make it again with `augreg archive`")
    if not records:
        raise UserError(f"{path}: holds no record; make it again with `augreg archive`")
    sweep, accuracies = (typed(f"{path}", key, head.get(key), kind) for key, kind in (("sweep", str), ("accuracies", dict)))
    find(sweep)
    found = tuple(from_dict(record, f"{path}, line {i}") for i, record in enumerate(records, 2))
    return Archive(sweep, found, {name: typed(f"{path}", f"accuracies.{name}", a, float) for name, a in accuracies.items()})


def pack(source: Path, folder: Path) -> Archive:
    """Writes an archive into a folder, and beside it all that is drawn from it.

    Args:
      source: the folder of a sweep, or an archive that is drawn anew; one that is both is the former.
      folder: where the files go; may be `source`.

    Raises:
      UserError: as `of_workdir` or `read`.
    """
    workdir = Workdir(source)
    archive = read(source) if not workdir.claimed and (source / FILE).exists() else of_workdir(workdir)
    export(folder / FILE, archive.to_bytes())
    archive.draw(folder)
    return archive


def differences(folder: Path) -> list[str]:
    """Draws everything again and says what is different in a folder, one line a file.

    Tables and text must be equal in every byte, pictures in every pixel: the bytes of a PNG file depend on the machine's zlib.
    The page, and what no sweep leaves, are not looked at.

    Raises:
      UserError: as `read`.
    """
    archive = read(folder)
    found = {}
    with tempfile.TemporaryDirectory() as place:
        archive.draw(Path(place))
        for file in dict.fromkeys([*(file for file in FILES if file != PAGE), *archive.files]):
            kept, drawn = folder / file, Path(place) / file
            if kept.exists() and drawn.exists():
                found[kept] = difference(kept.read_bytes(), drawn.read_bytes(), kept.suffix)
            elif drawn.exists():
                found[kept] = f"missing; {FILE} gives it"
            elif kept.exists():
                found[kept] = f"not drawn from {FILE}, which gives {', '.join(archive.files)}"
    return [f"{kept}: {why}" for kept, why in found.items() if why]


def difference(kept: bytes, drawn: bytes, suffix: str) -> str:
    """Says how a file differs from the one that was drawn again, "" where it does not."""
    if kept == drawn:
        return ""
    if suffix == ".png":
        return _of_pictures(kept, drawn)
    ours, theirs = (content.splitlines(keepends=True) for content in (kept, drawn))
    line = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"differs from line {line + 1} on; {len(ours)} lines, drawn again {len(theirs)}"


def _of_pictures(kept: bytes, drawn: bytes) -> str:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        ours, theirs = (np.asarray(Image.open(BytesIO(content)).convert("RGBA")) for content in (kept, drawn))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # Pillow's word for a broken PNG is a SyntaxError
        return f"no picture ({error})"
    if ours.shape != theirs.shape:
        size, other = (f"{image.shape[1]} x {image.shape[0]}" for image in (ours, theirs))
        return f"is {size} pixels, drawn again {other}"
    different = int((ours != theirs).any(axis=2).sum())
    return f"{different} of {ours.shape[0] * ours.shape[1]} pixels differ" if different else ""


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UserError(f"{place}: not readable as JSON ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{place}: holds {type(value).__name__}, not a JSON object")
    return value
