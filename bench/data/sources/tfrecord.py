"""TFRecord files by record number, local or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.data.sources import crc32c, index
from bench.data.sources.source import Progress
from bench.data.sources.store import Range, store
from bench.errors import UserError


class TFRecords:
    """Random access to the records of TFRecord files; safe from several threads.

    Args:
      paths: of the files, all in one place.
      progress: told the number of files while where their records begin is found, or read from the cache.

    Raises:
      UserError: a file is missing, empty, damaged or cut short.
    """

    def __init__(self, paths: Sequence[str], progress: Progress | None = None) -> None:
        self._paths, self._store = paths, store(paths[0])
        self._offsets = index.offsets(self._store, paths, progress)

    @property
    def counts(self) -> list[int]:
        """Number of records of each file."""
        return [len(offsets) - 1 for offsets in self._offsets]

    def where(self, file: int, record: int) -> str:
        """Returns where a record lies, for errors."""
        return f"{self._paths[file]}, record {record}"

    def read(self, files: NDArray[np.int64], records: NDArray[np.int64], *, verify: bool = False) -> list[bytes]:
        """Returns records.

        Args:
          files: number of the file of each, `[B]`.
          records: number of each within its file, `[B]`.
          verify: whether to compare them with their checksums; that their lengths are right is always looked at.

        Raises:
          UserError: a file cannot be read, was changed since it was opened, or does not agree with a checksum.
        """
        places = list(zip(files.tolist(), records.tolist(), strict=True))
        ranges = [Range(self._paths[f], int(self._offsets[f][r]), int(self._offsets[f][r + 1])) for f, r in places]
        whole = self._store.read(ranges)
        for place, wanted, found in zip(places, ranges, whole, strict=True):
            size = wanted.end - wanted.start - index.HEADER.size - index.FOOTER
            if len(found) != wanted.end - wanted.start or int.from_bytes(found[:8], "little") != size:
                raise UserError(f"{self.where(*place)}: the file was changed since it was opened: start again")
        contents = [found[index.HEADER.size : -index.FOOTER] for found in whole]
        if verify:
            stored = np.frombuffer(b"".join(found[-index.FOOTER :] for found in whole), "<u4")
            wrong = np.flatnonzero(crc32c.masked(crc32c.checksums(contents)) != stored)
            if len(wrong):
                place = places[int(wrong[0])]
                raise UserError(f"{self.where(*place)}: does not agree with its checksum: fetch or prepare the file again")
        return contents
