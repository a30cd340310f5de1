"""The images of somebody's own, as they were given: which splits there are, the class and the content of every image.

A source is one of
  FOLDER/CLASS/*.jpg                  one folder a class
  FOLDER/{train,val,test}/CLASS/*     the same in every split
  FOLDER/{train,val,test}.txt         lists of "path label", the paths relative to FOLDER (also train800.txt, val200.txt)
  FOLDER/list.txt, or any FILE.txt    one such list
  FILE.npz                            arrays train_x, train_y, ... as `bench.data.sources.arrays.read_npz` reads them
Only the split train must be there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.sources import folder
from bench.data.sources.arrays import read_npz
from bench.data.sources.source import Part, Source, chunks
from bench.errors import UserError

# What splits are called, on disk as elsewhere; `train800` and `val200` are VTAB's.
NAMES = {
    "train": ("train", "training", "train800"),
    "val": ("val", "valid", "validation", "val200"),
    "test": ("test", "testing"),
}
LIST = "list.txt"
_IMAGES = (".jpg", ".jpeg", ".png")
_EXPECTED = (
    "expected one folder a class (FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS/*.jpg with val and test beside it), lists of"
    f" 'path label' (train.txt, val.txt, test.txt, or one {LIST}), or an .npz file"
)


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Attributes:
      source: of the images; its labels may be numbered in another way.
      labels: the class of each, `int32[N]`.
      digests: hexadecimal SHA-256 of each one's content; of an array's shape and pixels.
      paths: of the files; empty where the images are no files.
    """

    source: Source
    labels: NDArray[np.int32]
    digests: tuple[str, ...]
    paths: tuple[Path, ...]

    def part(self, indices: NDArray[np.int64]) -> Images:
        """Returns some of the images, in an order of their own."""
        digests, paths = (
            tuple(each[i] for i in indices) for each in (self.digests, self.paths or [Path()] * len(self.digests))
        )
        return Images(Part(self.source, indices), self.labels[indices], digests, paths if self.paths else ())


@dataclass(frozen=True)
class Given:
    """What somebody gave.

    Attributes:
      splits: images by purpose; `train` is among them.
      classes: their names; numbers, where there are no others.
    """

    splits: Mapping[str, Images]
    classes: tuple[str, ...]


def read(place: Path) -> Given:
    """Reads every image of a source, without decoding it.

    Args:
      place: a folder, a list or an `.npz` file.

    Raises:
      UserError: nothing is there, or nothing that is read here, or several forms at once; a file is missing or empty; a class
        has no image to learn from.
    """
    if place.suffix == ".npz":
        return _numbered(_arrays(place), str(place))
    if place.is_file():
        if place.suffix != ".txt":
            raise UserError(f"{place}: is no folder, list or .npz file; {_EXPECTED}")
        return _numbered({"train": folder.listed(place.parent, place)}, str(place))
    if not place.is_dir():
        raise UserError(f"{place}: no such folder or file; {_EXPECTED}")
    if lists := _lists(place):
        return _numbered({purpose: folder.listed(place, path) for purpose, path in lists.items()}, str(place))
    return _named(_class_folders(place))


def _arrays(place: Path) -> dict[str, Source]:
    train = read_npz(place, "train")  # opens the file with care
    with np.load(place, allow_pickle=False) as file:
        held = {key.removesuffix("_y") for key in file if key.endswith("_y")}
    others = ((purpose, name) for purpose in ("val", "test") for name in NAMES[purpose] if name in held)
    return {"train": train, **{purpose: read_npz(place, name) for purpose, name in others}}


def _lists(place: Path) -> dict[str, Path]:
    found = _by_purpose(place, {path.stem: path for path in place.glob("*.txt")})
    single = place / LIST
    if not single.exists():
        return found
    if found:
        raise UserError(f"{place}: holds both {LIST} and {next(iter(found.values())).name}: remove one of the two")
    return {"train": single}


def _by_purpose(place: Path, there: Mapping[str, Path]) -> dict[str, Path]:
    """Returns those of the files or folders by name that are splits."""
    found = {}
    for purpose, names in NAMES.items():
        paths = [there[name] for name in names if name in there]
        if len(paths) > 1:
            raise UserError(f"{place}: holds both {paths[0].name} and {paths[1].name}: which one is the split {purpose}?")
        if paths:
            found[purpose] = paths[0]
    if found and "train" not in found:
        raise UserError(f"{place}: holds {', '.join(p.name for p in found.values())} but no images to learn from (train)")
    return found


def _class_folders(place: Path) -> dict[str, Path]:
    """Returns the folders of classes by purpose; all is `train` where classes lie in the folder itself."""
    inside = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    if loose := next((path for path in inside if path.suffix.lower() in _IMAGES), None):
        raise UserError(f"{loose}: lies in no class's folder; {_EXPECTED}")
    folders = {path.name: path for path in inside if path.is_dir()}
    if not folders:
        raise UserError(f"{place}: holds no images that are found; {_EXPECTED}")
    # A class may be called "train", but has images in it, where a split has folders.
    splits = {name: path for name, path in folders.items() if any(name in names for names in NAMES.values()) and _outer(path)}
    if not splits:
        return {"train": place}
    if strange := next((path for name, path in folders.items() if name not in splits), None):
        raise UserError(
            f"{place}: mixes splits ({', '.join(splits)}) with other folders ({strange.name}): put all classes into"
            " splits, or none"
        )
    return _by_purpose(place, splits)


def _outer(path: Path) -> bool:
    found = [each for each in path.iterdir() if not each.name.startswith(".")]
    return any(each.is_dir() for each in found) and not any(each.suffix.lower() in _IMAGES for each in found)


def _named(folders: Mapping[str, Path]) -> Given:
    """Reads class folders; the classes of all splits are numbered as those of train."""
    splits, classes = {}, {}
    for purpose, root in folders.items():
        files = folder.class_folders(root)
        names = [files.path(i).relative_to(root).parts[0] for i in range(len(files))]
        if purpose == "train":
            classes = {name: number for number, name in enumerate(dict.fromkeys(names))}
        if strange := next((name for name in names if name not in classes), None):
            raise UserError(f"{root / strange}: there are no images of this class to learn from, in {folders['train']}")
        splits[purpose] = _images(files, np.array([classes[name] for name in names], np.int32))
    return Given(splits, tuple(classes))


def _numbered(sources: Mapping[str, Source], place: str) -> Given:
    """Reads sources that have class numbers, of which train has all from 0 on."""
    splits = {purpose: _images(source) for purpose, source in sources.items()}
    if empty := next((purpose for purpose, images in splits.items() if not len(images.labels)), None):
        raise UserError(f"{place}: the split {empty} has no images: add some, or leave the split out to have it made")
    known = np.unique(splits["train"].labels)
    highest = max(int(images.labels.max(initial=-1)) for images in splits.values())
    if missing := sorted(set(range(highest + 1)).difference(known.tolist())):
        raise UserError(
            f"{place}: class {missing[0]} has no image to learn from, but labels go up to {highest}: number the classes from 0"
            " without gaps"
        )
    if (lowest := min(int(images.labels.min(initial=0)) for images in splits.values())) < 0:
        raise UserError(f"{place}: holds the label {lowest}: number the classes from 0")
    return Given(splits, tuple(map(str, known.tolist())))


def _images(source: Source, numbered: NDArray[np.int32] | None = None) -> Images:
    """Reads the images of a source; their classes are its labels unless `numbered` has them."""
    digests: list[str] = []
    labels = [np.empty(0, np.int32)]
    for chunk in chunks(np.arange(len(source))):
        examples = source.read(chunk)
        for image in examples.images:
            head = f"{image.shape}\n".encode() if isinstance(image, np.ndarray) else b""
            digests.append(hashlib.sha256(head + bytes(image)).hexdigest())
        labels.append(examples.labels)
    paths = tuple(source.path(i) for i in range(len(source))) if isinstance(source, folder.Files) else ()
    if strange := next((path for path in paths if not str(path).isprintable()), None):
        raise UserError(f"{str(strange)!r}: a list of images cannot hold this name: rename the file")
    return Images(source, np.concatenate(labels) if numbered is None else numbered, tuple(digests), paths)
