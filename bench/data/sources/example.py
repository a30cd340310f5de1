"""Records as TFDS writes them (`tf.train.Example`): parsed once by protobuf, and only what is asked for is taken out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench.errors import choose_from


class Fields(Mapping[str, Any]):
    """The features of one example; each is converted when it is asked for.

    Integers and floats come as scalars or arrays of the declared shape, text as bytes or lists of bytes, groups such as KITTI's
    `objects` as further `Fields`.

    Args:
      stored: name to `tf.train.Feature`, flat.
      declared: name to `tfds.features.TensorInfo`, nested as the data set declares it.
      group: of names within, such as "objects/".
    """

    def __init__(self, stored: Mapping[str, Any], declared: Mapping[str, Any], group: str = "") -> None:
        self._stored, self._declared, self._group = stored, declared, group

    def __getitem__(self, name: str) -> Any:
        if name not in self._declared:
            raise KeyError(f"the data set has no feature {self._group + name!r}: {choose_from(name, self._declared)}")
        declared, name = self._declared[name], self._group + name
        if isinstance(declared, Mapping):
            return Fields(self._stored, declared, f"{name}/")
        if name not in self._stored:
            raise KeyError(f"feature {name!r} is missing from the record, or holds lists of lists, which are not read")
        feature, shape = self._stored[name], [-1 if side is None else side for side in declared.shape]
        if declared.np_dtype == np.object_:
            texts = feature.bytes_list.value
            return list(texts) if shape else texts[0]
        values = np.array(feature.int64_list.value or feature.float_list.value, declared.np_dtype).reshape(shape)
        return values if shape else values.item()

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)
