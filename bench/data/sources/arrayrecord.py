"""ArrayRecord files by record number; of this machine only, as the format's own reader has it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.sources.source import Progress
from bench.data.sources.store import is_address, store
from bench.errors import UserError

# Without reading ahead, and in small steps: records are wanted one at a time, in random order (as Grain opens them).
_OPTIONS = "readahead_buffer_size:0"
_BUFFER = 1 << 15
# Files held open at once; a process may have 1,024 on most machines, and a set may have more.
_OPEN = 256


class ArrayRecords:
    """Random access to the records of ArrayRecord files; safe from several threads.

    Args:
      paths: of the files.
      progress: told the number of files while they are opened.

    Raises:
      UserError: a file is missing, empty, damaged or elsewhere, or the package that reads them is not installed.
    """

    def __init__(self, paths: Sequence[str], progress: Progress | None = None) -> None:
        self._paths = paths
        self._readers: dict[int, Any] = {}
        self._lock = Lock()
        self.counts: list[int] = []
        for file, path in enumerate(paths):
            if is_address(path):
                raise UserError(f"{path}: ArrayRecord files are read from this machine only: copy them, or mount the bucket")
            self.counts.append(self._reader(file).num_records())
            if progress:
                progress(file + 1, len(paths))

    def where(self, file: int, record: int) -> str:
        """Returns where a record lies, for errors."""
        return f"{self._paths[file]}, record {record}"

    def read(self, files: NDArray[np.int64], records: NDArray[np.int64], *, verify: bool = False) -> list[bytes]:  # noqa: ARG002
        """Returns records.

        Args:
          files: number of the file of each, `[B]`.
          records: number of each within its file, `[B]`.
          verify: accepted for symmetry: the format compares with its checksums whatever is read.

        Raises:
          UserError: a record cannot be read or does not agree with its checksum.
        """
        found: list[bytes] = [b""] * len(files)
        for file in np.unique(files).tolist():
            at = np.flatnonzero(files == file).tolist()
            try:
                contents = self._reader(file).read(records[at].tolist())
            except RuntimeError as error:
                why = " ".join(str(error).split())
                raise UserError(
                    f"{self.where(file, int(records[at[0]]))} or near: {why}: fetch or prepare the file again"
                ) from None
            for place, content in zip(at, contents, strict=True):
                found[place] = content
        return found

    def _reader(self, file: int) -> Any:
        """Returns the open file; where too many are open, the one opened first is let go of."""
        with self._lock:
            if file in self._readers:
                return self._readers[file]
            path = self._paths[file]
            if not store(path).version(path).size:
                raise UserError(f"{path}: the file is empty: fetch or prepare it again")
            try:
                from array_record.python.array_record_module import ArrayRecordReader
            except ImportError:
                raise UserError(f"{path}: reading ArrayRecord files needs another package: pip install array_record") from None
            reader = ArrayRecordReader(path, options=_OPTIONS, file_reader_buffer_size=_BUFFER)
            if not reader.ok():
                raise UserError(f"{path}: not an ArrayRecord file, or damaged or cut short: fetch or prepare it again")
            self._readers[file] = reader
            if len(self._readers) > _OPEN:
                self._readers.pop(next(iter(self._readers)))
            return reader
