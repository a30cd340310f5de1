"""The trap of ImageNetV2: its folders are 0 to 999, and where they are sorted as words, folder 10 becomes class 2.

A model then scores a tenth of a percent. Where it is known from which folder an image came (class folders, lists of paths,
the feature `file_name` that TFDS keeps), it is proved that labels and folders agree, and labels in the order of words are
recognised as such. Where it is not (arrays), the number of images of each class is all there is to check, and that is the
same in any order. Neither shows that an image was filed into the right folder: only its picture could.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.disk import Found
from bench.data.sources import tfds
from bench.data.sources.source import Source, chunks
from bench.errors import UserError

# Sets whose folders have the numbers of the classes for names, and equally many images each.
NUMBERED = frozenset({"imagenet_v2"})


def check(found: Found, purpose: str, source: Source, classes: int) -> str:
    """Checks that the label of every image is the number of the folder it came from, as far as that is known.

    Args:
      found: a set of `NUMBERED`.
      purpose: of the split.
      source: of the split.
      classes: number of classes.

    Returns:
      What was checked, for people.

    Raises:
      UserError: labels are wrong, or classes have another number of images.
    """
    each, labels, folders = len(source) // classes, _labels(source), _folders(found, purpose, source)
    sizes = np.bincount(labels, minlength=classes)
    if (sizes != each).any():
        odd = int(np.argmax(sizes != each))
        raise UserError(
            f"{found.name}: class {odd} has {sizes[odd]:,} images, but every class must have {each}: not all of the set, or"
            " wrong labels"
        )
    if folders is None:
        return f"{each} images of every class; which folder each came from was not kept, so their order cannot be checked"
    wrong = np.flatnonzero(labels != folders)
    if not len(wrong):
        return f"{each} images of every class, and every label is the number of its folder"
    as_words = np.argsort(sorted(range(classes), key=str))
    if folders.max() < classes and np.array_equal(labels, as_words[folders]):
        raise UserError(
            f"{found.name}: the labels follow the folder names sorted as words (0, 1, 10, 100, ...), so folder 10 has label"
            f" {as_words[10]}: label images by the number of their folder"
        )
    raise UserError(
        f"{found.name}: {len(wrong):,} of {len(labels):,} labels are not the number of the image's folder, such as label"
        f" {labels[wrong[0]]} in folder {folders[wrong[0]]}: label images by the number of their folder"
    )


def _labels(source: Source) -> NDArray[np.int64]:
    return np.concatenate([source.read(chunk).labels for chunk in chunks(np.arange(len(source)))]).astype(np.int64)


def _folders(found: Found, purpose: str, source: Source) -> NDArray[np.int64] | None:
    """Returns the number of the folder that each image came from, None where that is not known."""
    if found.form == "npz":
        return None
    if found.form == "tfds":
        try:
            return _labels(tfds.open_split(str(found.place), found.files.splits()[purpose], label=_folder_of))
        except UserError:
            # No such feature, or no number in it.
            return None
    places = (source.where(i).partition(" (line ")[0] for i in range(len(source)))
    names = [Path(place).parent.name for place in places]
    return np.array(names, np.int64) if all(name.isdecimal() for name in names) else None


def _folder_of(features: Mapping[str, Any]) -> int:
    return int(features["file_name"].partition(b"/")[0])
