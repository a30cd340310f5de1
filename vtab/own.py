"""Images of somebody's own as a task: its facts, and a folder of sets in which the usual loader finds it.

ROOT/NAME/
  train.txt val.txt test.txt   the images of every split, where they are files: absolute path, a tab, class number
  own.json                     where they come from, the names of the classes, the facts of the task; written last
ROOT/NAME.npz                  the images themselves, where they came as arrays

Splits that are missing are made, once: see `vtab.own_cut`. The version of the task is a hash of images, labels and splits, so
that results of other images are never taken for these.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import check
from bench.data.sources import folder
from bench.data.sources.arrays import read_npz
from bench.data.sources.source import Source
from bench.errors import UserError
from bench.points import TASKS, UPSTREAM
from bench.points.files import PURPOSES, Files
from bench.points.task import Task
from bench.points.tasks import EXTRAS
from bench.records.atomic import export, read_json, write, write_json
from vtab.own_cut import cut, shares
from vtab.own_images import Given, Images, read

GROUP = "own"
FACTS = "own.json"
# Hexadecimal digits of the hash that a version is: as many as 32 bits with a sign hold.
_VERSION_DIGITS = 7


def _silent(_purpose: str, _what: str, _done: int, _of: int) -> None:
    pass


def prepare(source: Path, root: Path, name: str = "", progress: check.Progress = _silent) -> Task:
    """Makes images a task: reads and decodes all of them, makes missing splits, writes down where they are.

    Where that has been done before, it is only checked that the images are still the same.

    Args:
      source: a folder of class folders, lists or an `.npz` file, see `vtab.own_images`.
      root: folder of sets; `AUGREG_DATA` must begin with it.
      name: of the task: letters, digits and `_`; follows from the source's by default.
      progress: see `bench.data.check.look`.

    Returns:
      The task's facts, for the field `own` of configs.

    Raises:
      UserError: as for `vtab.own_images.read`; an image cannot be decoded, a class has too few images for the splits that must
        be made, the name is taken, or the images have changed.
    """
    source = source.expanduser().resolve()
    name = _name(source, name)
    given = read(source)
    splits = _complete(given)
    task = _task(name, given.classes, splits)
    place = root.absolute() / name
    if not (known := _known(place, source, task)):
        _clear(place)
    opened = _write(place, splits)
    if not known:
        for purpose, images in opened.items():
            check.look(name, purpose, images, task.classes, None, progress)
        about = {"source": str(source), "classes": list(given.classes), "shared": _shared(splits)}
        made = [purpose for purpose in PURPOSES if purpose not in given.splits]
        write_json(place / FACTS, {**about, "made": made, "task": asdict(task)})
    return task


def about(root: Path, name: str) -> dict[str, Any]:
    """Returns what is known of a task that was prepared: `source`, `classes`, `made`, `shared`, `task`.

    Raises:
      UserError: none was, under this name.
    """
    return read_json(root / name / FACTS)


def line(root: Path, name: str) -> str:
    """Returns what a person should know of a task that was prepared, in one line."""
    known = about(root, name)
    task = Task.from_dict(known["task"])
    sizes = ", ".join(f"{purpose} {getattr(task, purpose):,}" for purpose in PURPOSES)
    made = f" ({' and '.join(known['made'])} cut off by content, stratified)" if known["made"] else ""
    shared = "".join(f"; {count:,} images of {where}" for where, count in known["shared"].items())
    return f"{name}: {task.classes} classes, {sizes} images{made}{shared}"


def _name(source: Path, name: str) -> str:
    found = name or re.sub(r"[^A-Za-z0-9]+", "_", source.stem if source.is_file() else source.name).strip("_")
    if not re.fullmatch(r"[A-Za-z0-9_]+", found):
        raise UserError(f"{source}: the name {found!r} must be letters, digits and _; give another one with --name")
    if found in {*TASKS, *UPSTREAM, *EXTRAS}:
        raise UserError(f"{source}: {found!r} is the name of a set that is known here; give another one with --name")
    return found


def _complete(given: Given) -> dict[str, Images]:
    """Returns all three splits; those that are missing are cut off `train`."""
    missing = [purpose for purpose in PURPOSES if purpose not in given.splits]
    if not missing:
        return {purpose: given.splits[purpose] for purpose in PURPOSES}
    whole = given.splits["train"]
    indices = cut(whole.labels, whole.digests, given.classes, shares(missing))
    return {p: whole.part(indices[p]) if p in indices else given.splits[p] for p in PURPOSES}


def _task(name: str, classes: tuple[str, ...], splits: Mapping[str, Images]) -> Task:
    if len(classes) < 2:
        raise UserError(f"{name}: has only the class {classes[0]!r}: there is nothing to tell apart")
    digest = hashlib.sha256()
    for purpose, images in splits.items():
        digest.update(f"{purpose}\n".encode())
        for label, content in zip(images.labels.tolist(), images.digests, strict=True):
            digest.update(f"{label} {content}\n".encode())
    version = int(digest.hexdigest()[:_VERSION_DIGITS], 16)
    train, val, test = (len(splits[purpose].labels) for purpose in PURPOSES)
    return Task(name, GROUP, len(classes), train, val, test, files=Files(f"{name}:1", *PURPOSES), version=version)


def _known(place: Path, source: Path, task: Task) -> bool:
    """Returns whether the very same images were prepared before."""
    if not (place / FACTS).exists():
        return False
    before = Task.from_dict(read_json(place / FACTS)["task"])
    if before != task:
        raise UserError(
            f"{source}: these images, their classes or their splits are not those that {place} was made of"
            f" ({_total(before):,} images then, {_total(task):,} now): results of the two are never mixed; use another --name"
            " or --workdir"
        )
    return True


def _total(task: Task) -> int:
    return task.train + task.val + task.test


def _clear(place: Path) -> None:
    # What another form of images, or a preparation that was broken off, left there would be found first.
    for path in (*(place / f"{purpose}.txt" for purpose in PURPOSES), place.with_name(f"{place.name}.npz")):
        path.unlink(missing_ok=True)


def _write(place: Path, splits: Mapping[str, Images]) -> dict[str, Source]:
    """Writes lists of files, or arrays, and returns the splits as the usual loader reads them."""
    if splits["train"].paths:
        for purpose, images in splits.items():
            rows = zip(images.paths, images.labels.tolist(), strict=True)
            export(place / f"{purpose}.txt", "".join(f"{path}\t{label}\n" for path, label in rows))
        return {purpose: folder.listed(place, place / f"{purpose}.txt") for purpose in splits}
    path = place.with_name(f"{place.name}.npz")
    if not path.exists():
        arrays = {f"{purpose}_{key}": value for purpose, each in splits.items() for key, value in _arrays(each).items()}
        write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
    return {purpose: read_npz(path, purpose) for purpose in splits}


def _arrays(images: Images) -> dict[str, Any]:
    """Returns a split as `bench.data.sources.arrays.read_npz` expects it."""
    content = images.source.read(np.arange(len(images.labels))).images
    if isinstance(content, np.ndarray):
        return {"x": content, "y": images.labels}
    return {"jpg": np.frombuffer(b"".join(content), np.uint8), "off": np.cumsum([0, *map(len, content)]), "y": images.labels}


def _shared(splits: Mapping[str, Images]) -> dict[str, int]:
    """Returns how many images of a split are in an earlier one as well; no zeros."""
    found = {}
    for (first, one), (second, other) in combinations(splits.items(), 2):
        earlier = set(one.digests)
        if same := sum(digest in earlier for digest in other.digests):
            found[f"{second} are in {first} as well"] = same
    return found
