"""Images of two values that are stored as 0 and 1: black and white only once they are stretched."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.data.decode import Decoder, Undecodable
from bench.data.geometry import Geometry
from bench.data.sources.source import Examples, Source
from bench.errors import UserError

# Sets in TFDS whose images are so, and the side of their images in pixels. VTAB multiplies them by 255, too
# (task_adaptation, data/dsprites.py).
BINARY = {"dsprites": 64}

# Compiling one takes longer than decoding a small split.
_decoder = cache(Decoder)


class Binary(Source):
    """A source of encoded images of zeros and ones, as decoded images `uint8[B, side, side, 1]` of 0 and 255.

    Args:
      source: what to read.
      side: of its images in pixels.
    """

    def __init__(self, source: Source, side: int) -> None:
        self._source, self._decode = source, _decoder(Geometry("resize", side))

    def __len__(self) -> int:
        return len(self._source)

    def read(self, indices: NDArray[np.integer]) -> Examples:
        """See `Source.read`."""
        images, labels = self._source.read(indices)
        try:
            pixels = self._decode(images)[..., :1]
        except Undecodable as bad:
            raise UserError(f"{self.where(int(indices[bad.index]))}: {bad.reason}; prepare the set again") from None
        high = pixels.max(axis=(1, 2, 3), initial=0) > 1
        if high.any():
            raise UserError(f"{self.where(int(indices[np.argmax(high)]))}: holds other values than 0 and 1: another version")
        return Examples(pixels * np.uint8(255), labels)

    def where(self, index: int) -> str:
        """See `Source.where`."""
        return self._source.where(index)

    def names(self, indices: NDArray[np.integer]) -> list[str]:
        """See `Source.names`."""
        return self._source.names(indices)

    def verify(self, indices: NDArray[np.integer]) -> None:
        """See `Source.verify`."""
        self._source.verify(indices)
