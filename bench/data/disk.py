"""Finds sets on disk. A set may lie there in any of four forms; which one says nothing about the numbers it gives.

In every folder of `roots`, in this order:
  NAME/[CONFIG/]VERSION/        prepared by TensorFlow Datasets, as TFRecord or ArrayRecord files
  NAME/train.txt val.txt ...    lists of "path label", the paths relative to NAME/ (also train800.txt, val200.txt,
                                train800val200.txt)
  NAME/train/CLASS/*.jpg ...    class folders; a set with one split may do without the folder `test`
  NAME.npz                      arrays train_x, train_y, ... or concatenated files train_jpg, train_off, train_y, ...
From an address, such as gs://bucket/folder, only the first is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.data.binary import BINARY, Binary
from bench.data.sources import folder, labels, tfds
from bench.data.sources.arrays import read_npz
from bench.data.sources.source import Checked, Joined, Progress, Source
from bench.data.sources.store import file_system, is_address, unreachable
from bench.errors import UserError
from bench.points.files import DATA, ORIGINS, Files

# Written last, when a set is whole.
_FACTS = "dataset_info.json"
_LISTS = {"train": ("train.txt", "train800.txt"), "val": ("val.txt", "val200.txt"), "test": ("test.txt",)}
_JOINED = ("trainval.txt", "train800val200.txt")


def roots() -> list[str]:
    """Returns the folders that sets are looked for in, local or `gs://`, most important first.

    They are those of the environment variable AUGREG_DATA, separated as in PATH (a `://` does not separate), else TFDS's own:
    TFDS_DATA_DIR or ~/tensorflow_datasets.
    """
    own = os.environ.get(DATA) or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    parts = own.replace("://", "\0").split(os.pathsep)
    return [os.path.expanduser(part.replace("\0", "://")) for part in parts if part]  # noqa: PTH111 - may be an address


@dataclass(frozen=True)
class Found:
    """A set on disk.

    Attributes:
      name: of the set.
      form: `tfds`, `lists`, `folders` or `npz`.
      place: the folder, file or address.
      files: its facts.
    """

    name: str
    form: str
    place: str
    files: Files

    def open(self, purpose: str, progress: Progress | None = None) -> Source:
        """Returns the source of one split; `progress` is told of files that are indexed the first time.

        Raises:
          UserError: the split is missing, damaged or not what was promised.
        """
        if self.form == "tfds":
            label = getattr(labels, self.files.label, self.files.label)
            split = tfds.open_split(self.place, self.files.splits()[purpose], label=label, progress=progress)
            return Binary(split, BINARY[self.files.name]) if self.files.name in BINARY else split
        place = Path(self.place)
        if self.form == "npz":
            return read_npz(place, purpose)
        if self.form == "lists":
            return folder.listed(place, _list(place, purpose))
        whole = list(self.files.splits()) == [purpose] and not (place / purpose).exists()
        return folder.class_folders(place if whole else place / purpose)

    def joined(self, train: Source, val: Source) -> Source:
        """Returns train and val as one source: train first, as VTAB has it, or in the order of the list that says it.

        Raises:
          UserError: that list names other images, or gives them other labels.
        """
        lists = [path for name in _JOINED if (path := Path(self.place, name)).exists()] if self.form == "lists" else []
        if not lists:
            return Joined([train, val])
        parts = [_list(Path(self.place), purpose) for purpose in ("train", "val")]
        if _lines(lists[0]) != sorted(line for part in parts for line in _lines(part)):
            raise UserError(
                f"{lists[0]}: does not name the images of {parts[0].name} and {parts[1].name}: remove or correct it"
            )
        return folder.listed(self.place, lists[0])


def _lines(path: Path) -> list[str]:
    return sorted(" ".join(line.split()) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())


def _list(place: Path, purpose: str) -> Path:
    paths = [place / name for name in _LISTS[purpose]]
    return next((path for path in paths if path.exists()), paths[0])


def _newest_first(names: list[str], files: Files) -> list[str]:
    """Returns those names that are versions which the facts hold for."""
    versions = [name for name in names if re.fullmatch(rf"{files.major}\.[0-9]+\.[0-9]+", name)]
    return sorted(versions, key=lambda name: [int(number) for number in name.split(".")], reverse=True)


def _names(folder: str) -> list[str]:
    """Returns the names in a folder or at an address; none where there is no such folder.

    Raises:
      UserError: it cannot be read.
    """
    if not is_address(folder):
        try:
            return sorted(path.name for path in Path(folder).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"{folder}: cannot be read: {error.strerror or error}; give another folder with --data") from None
    system = file_system(folder)
    try:
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in system.ls(folder, detail=False))
    except FileNotFoundError:
        return []
    except Exception as error:  # of whatever file system
        raise unreachable(folder, error) from None


def _in_root(name: str, files: Files, root: str) -> Found | None:
    root = root.rstrip("/")
    present = _names(root)
    if files.name in present:
        versions = f"{root}/{files.folder}"
        for version in _newest_first(_names(versions), files):
            if _FACTS in _names(f"{versions}/{version}"):
                return Found(name, "tfds", f"{versions}/{version}", files)
    if is_address(root):
        return None
    place, first = Path(root, name), next(iter(files.splits()))
    if name in present and _list(place, first).exists():
        return Found(name, "lists", str(place), files)
    # An ImageNetV2 folder holds its classes and nothing else.
    if name in present and ((place / first).is_dir() or (len(files.splits()) == 1 and (place / "0").is_dir())):
        return Found(name, "folders", str(place), files)
    if f"{name}.npz" in present:
        return Found(name, "npz", str(Path(root, f"{name}.npz")), files)
    return None


def find(name: str, files: Files) -> Found | None:
    """Returns where a set lies, None where it is nowhere.

    Raises:
      UserError: a folder cannot be read.
    """
    for root in roots():
        if found := _in_root(name, files, root):
            return found
    return None


def missing(name: str, files: Files) -> UserError:
    """Returns the error that says that a set is nowhere, where it was looked for, and how one gets it."""
    begun = _interrupted(files)
    unfinished = f" ({begun} was begun and never finished: remove it)" if begun else ""
    get = f"; to get it: {ORIGINS[files.name].get}" if files.name in ORIGINS else ""
    return UserError(
        f"{name} is not on disk: there is no {files.folder}/{files.major}.*, folder {name} or {name}.npz in"
        f" {', '.join(roots())}{unfinished}{get}; if it lies elsewhere, give --data FOLDER or set {DATA}"
    )


def _interrupted(files: Files) -> str:
    for root in roots():
        versions = f"{root.rstrip('/')}/{files.folder}"
        for begun in _names(versions):
            if "incomplete" in begun:
                return f"{versions}/{begun}"
    return ""


def open_set(
    name: str, files: Files, sizes: Mapping[str, int | None], classes: int, *, joined: bool = False
) -> dict[str, Checked]:
    """Returns the sources of a set's splits by purpose; labels are checked as they are read.

    Args:
      name: of the set, for finding it and for errors.
      files: its facts.
      sizes: number of examples that every split must have; None where no number was ever published.
      classes: number of classes.
      joined: whether train is train and val together, see `Found.joined`.

    Raises:
      UserError: the set is nowhere, or a split has another number of examples, or whatever the source refuses.
    """
    found = find(name, files)
    if found is None:
        raise missing(name, files)
    sources = {purpose: Checked(found.open(purpose), classes) for purpose in files.splits()}
    for purpose, source in sources.items():
        expected = sizes.get(purpose)
        if expected is not None and len(source) != expected:
            raise UserError(
                f"{name}: the {purpose} split at {found.place} has {len(source):,} images, but must have {expected:,}:"
                f" another version, or not all of it; `augreg data check {name}` looks closer"
            )
    if joined:
        sources["train"] = Checked(found.joined(sources["train"], sources["val"]), classes)
    return sources
