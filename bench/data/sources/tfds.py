"""Splits of prepared TensorFlow Datasets by index, whatever their file format; images stay encoded.

TFDS itself reads at random from ArrayRecord alone, while TFRecord is what nearly everybody has on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.sources import prepared
from bench.data.sources.arrayrecord import ArrayRecords
from bench.data.sources.example import Fields
from bench.data.sources.labels import Several
from bench.data.sources.source import Examples, Progress, Source, within
from bench.data.sources.store import is_address
from bench.data.sources.tfrecord import TFRecords
from bench.errors import UserError, choose_from

_READERS: Mapping[str, Callable[[list[str], Progress | None], TFRecords | ArrayRecords]] = {
    "tfrecord": TFRecords,
    "array_record": ArrayRecords,
}
# Features in which TFDS's builders keep the name of an image's file, or a number of its own; the first that a set has counts.
_NAMES = ("file_name", "image/file_name", "filename", "name", "id")
Label = str | Callable[[Mapping[str, Any]], int] | Several


def open_split(
    directory: str, spec: str, label: Label = "label", image: str = "image", progress: Progress | None = None
) -> PreparedSplit:
    """Returns a split of a data set that TensorFlow Datasets has prepared.

    Args:
      directory: of one version, such as ~/tensorflow_datasets/cifar100/3.0.2, or an address that fsspec reads (`gs://`).
      spec: such as "train[:49000]+validation[:10%]"; slices, their rounding and the order mean what they mean to TFDS.
      label: name of an integer feature; or a function of all features but the image (see `example.Fields`), or `Several` of it.
      image: name of the image feature.
      progress: told the number of files while they are opened, the first time indexed.

    Raises:
      UserError: the folder, a file, the split or a feature is missing; preparing was interrupted; a file is damaged, cut short
        or has another number of records than was promised.
    """
    if not is_address(directory):
        directory = str(Path(directory).expanduser())
    builder = prepared.open_folder(directory)
    runs = prepared.runs(builder, directory, spec)
    kind = builder.info.file_format.value
    if kind not in _READERS:
        raise UserError(f"{directory}: {kind} files are not read: prepare it again as tfrecord or array_record")
    declared = builder.info.features.get_serialized_info()
    _look(directory, builder, declared, label, image)
    paths = list(dict.fromkeys(run.path for run in runs))
    records = _READERS[kind](paths, progress)
    promised = {run.path: run.promised for run in runs}
    for path, count in zip(paths, records.counts, strict=True):
        if count != promised[path]:
            wrong = f"{count:,} records, but dataset_info.json promises {promised[path]:,}"
            raise UserError(f"{path}: {wrong}: fetch the file or prepare the set again")
    split = PreparedSplit(runs, records, paths, {n: d for n, d in declared.items() if n != image}, label, image)
    # So that a label function that does not suit is noticed here.
    split.read(np.zeros(1, np.int64))
    return split


class PreparedSplit(Source):
    """A split of a prepared data set; made by `open_split`.

    Args:
      runs: what it is made of.
      records: the files, one for each path of `paths`.
      paths: different paths of `runs`.
      declared: name to `tfds.features.TensorInfo` of the features for labels, nested.
      label, image: see `open_split`.
    """

    def __init__(
        self,
        runs: list[prepared.Run],
        records: TFRecords | ArrayRecords,
        paths: list[str],
        declared: Mapping[str, Any],
        label: Label,
        image: str,
    ) -> None:
        from tensorflow_datasets.proto import tf_example_pb2

        self._parse = tf_example_pb2.Example.FromString
        self._records, self._declared, self._label, self._image = records, declared, label, image
        self._paths = paths
        number = {path: file for file, path in enumerate(paths)}
        self._files = np.array([number[run.path] for run in runs])
        self._ends = np.cumsum([run.take for run in runs])
        # What to add to an example's index to get the number of its record.
        self._shifts = np.array([run.skip + run.take for run in runs]) - self._ends

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        return self._read(indices, verify=False)

    def names(self, indices: NDArray[np.integer]) -> list[str]:
        """Returns the names of files where the set has kept them, else TFDS's own ids: file and record."""
        indices = within(indices, len(self))
        files, records = self._places(indices)
        feature = next((name for name in _NAMES if name in self._declared), None)
        if feature is None:
            shards = [path.rsplit("/", 1)[-1] for path in self._paths]
            return [f"{shards[f]}__{r}" for f, r in zip(files.tolist(), records.tolist(), strict=True)]
        contents = self._records.read(files, records, verify=False)
        return [self._name(content, feature) for content in contents]

    def _name(self, content: bytes, feature: str) -> str:
        value = Fields(self._parse(content).features.feature, self._declared)[feature]
        return value.decode() if isinstance(value, bytes) else str(value)

    def verify(self, indices: NDArray[np.integer]) -> None:
        """See `Source.verify`."""
        self._read(indices, verify=True)

    def where(self, index: int) -> str:
        """See `Source.where`."""
        [file], [record] = self._places(np.array([index]))
        return self._records.where(int(file), int(record))

    def _places(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the file of each example and the number of its record there."""
        run = np.searchsorted(self._ends, indices, side="right")
        return self._files[run], indices + self._shifts[run]

    def _read(self, indices: NDArray[np.integer], *, verify: bool) -> Examples:
        indices = within(indices, len(self))
        contents = self._records.read(*self._places(indices), verify=verify)
        most = self._label.most if isinstance(self._label, Several) else 1
        labels = np.full((len(indices), most), -1, np.int32)
        images = []
        for row, content in enumerate(contents):
            try:
                stored = self._parse(content).features.feature
                [image] = stored[self._image].bytes_list.value
                right = self._right(stored)
                labels[row, : len(right)] = right
            except Exception as error:  # of protobuf, or of whatever a label function meets
                why = " ".join(" ".join(map(str, error.args)).split())
                raise UserError(
                    f"{self.where(int(indices[row]))}: the record has no {self._image!r} or no label that can be used: "
                    f"{type(error).__name__}: {why}"
                ) from None
            images.append(image)
        return Examples(tuple(images), labels if isinstance(self._label, Several) else labels[:, 0])

    def _right(self, stored: Mapping[str, Any]) -> Sequence[int]:
        """Returns the right labels of an example."""
        if isinstance(self._label, Several):
            right = self._label.function(Fields(stored, self._declared))
            if len(right) > self._label.most:
                raise ValueError(f"{len(right)} labels, but at most {self._label.most} were announced")
            return right
        if isinstance(self._label, str):
            [single] = stored[self._label].int64_list.value
            return [single]
        return [self._label(Fields(stored, self._declared))]


def _look(directory: str, builder: Any, declared: Mapping[str, Any], label: Label, image: str) -> None:
    """Raises UserError where the features asked for are not there, or not what they should be."""
    from tensorflow_datasets import features

    images = [name for name, feature in builder.info.features.items() if isinstance(feature, features.Image)]
    if image not in images:
        raise UserError(f"{directory}: {image!r} is no feature with an image: {choose_from(image, images)}")
    if isinstance(label, str):
        single = [
            n
            for n, d in declared.items()
            if not isinstance(d, Mapping) and d.shape == () and np.issubdtype(d.np_dtype, np.integer)
        ]
        if label not in single:
            raise UserError(f"{directory}: {label!r} is no feature with one label an image: {choose_from(label, single)}")
