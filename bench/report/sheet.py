"""A contact sheet: images as they are stored beside what training makes of them, pixel for pixel, for a person to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.report.figures import plain

# Dots per inch that `figures.rendered` draws with, so that a dot of the file is a dot of the sheet.
DPI = 150
# Small images are enlarged by a whole number, to at least so many dots a side.
LEAST = 96
# Dots between the images of a pair, around pairs, for a caption, and for the title and what stands beneath it.
GAP, MARGIN, CAPTION, TITLE = 4, 16, 24, 96
# A sheet is at least this wide, so that its title fits.
WIDTH = 1300


class Box(NamedTuple):
    """Where an image lies on a sheet, in dots from the upper left."""

    top: int
    left: int
    side: int


class Layout(NamedTuple):
    """Where everything lies on a sheet.

    Attributes:
      enlarged: dots of a pixel.
      across: pairs side by side.
      height, width: of the sheet, in dots.
      pairs: boxes of each stored image and of the augmented one, to its right.
    """

    enlarged: int
    across: int
    height: int
    width: int
    pairs: tuple[tuple[Box, Box], ...]


def layout(n: int, side: int) -> Layout:
    """Returns where `n` pairs of images of `side` pixels go: on a sheet that is about square, or fills its least width."""
    enlarged = math.ceil(LEAST / side)
    shown = enlarged * side
    cell_width, cell_height = 2 * shown + GAP + MARGIN, shown + CAPTION + MARGIN
    square, fitting = round(math.sqrt(n * cell_height / cell_width)), (WIDTH - MARGIN) // cell_width
    across = max(1, min(n, max(square, fitting)))
    pairs = []
    for row, column in (divmod(i, across) for i in range(n)):
        top, left = TITLE + row * cell_height, MARGIN + column * cell_width
        pairs.append((Box(top, left, shown), Box(top, left + shown + GAP, shown)))
    width = max(WIDTH, MARGIN + across * cell_width)
    return Layout(enlarged, across, TITLE + -(-n // across) * cell_height, width, tuple(pairs))


def draw(
    stored: NDArray[np.uint8], augmented: NDArray[np.uint8], captions: Sequence[tuple[str, str]], title: str, below: str
) -> Figure:
    """Draws the sheet.

    Args:
      stored: `uint8[N, R, R, 3]`, N at least 1.
      augmented: `uint8[N, R, R, 3]`, of the same examples.
      captions: N texts under a stored image and under the augmented one.
      title: of the sheet.
      below: a line beneath the title.

    Returns:
      A figure of its own, unknown to pyplot; saved as PNG it holds every pixel as it is.
    """
    n, side = stored.shape[:2]
    places = layout(n, side)
    canvas = np.full((places.height, places.width, 3), 255, np.uint8)
    figure = Figure(figsize=(places.width / DPI, places.height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for boxes, texts, *images in zip(places.pairs, captions, stored, augmented, strict=True):
        for box, text, image in zip(boxes, texts, images, strict=True):
            large = image.repeat(places.enlarged, axis=0).repeat(places.enlarged, axis=1)
            canvas[box.top : box.top + box.side, box.left : box.left + box.side] = large
            axes.text(box.left + box.side / 2, box.top + box.side + 4, plain(text), ha="center", va="top", fontsize=6)
    axes.imshow(canvas, interpolation="none", aspect="auto")
    axes.text(MARGIN, MARGIN, plain(title), va="top", fontsize=10, fontweight="bold")
    axes.text(MARGIN, MARGIN + 36, plain(below), va="top", fontsize=7)
    return figure
