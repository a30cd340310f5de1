"""`synthetic_sprites_*` (structured): white shapes rendered here, with the labels that VTAB takes from dSprites.

Latents as in dSprites (Matthey et al. 2017): 3 shapes, 6 scales in [0.5, 1], 40 orientations in [0, 2 pi] (the first and the
last are one angle), 32 x 32 positions, 64 px, binary. A square looks alike after a quarter turn, an ellipse after half a turn,
so no model gets every orientation right. Labels as in VTAB: 16 classes, floor(raw / (n / 16)), so position is raw // 2 and
orientation's classes hold 3 or 2 of the 40 raw values in turn: they are not balanced. The images are synthetic, and every name
says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.arrays import cut, resize
from bench.data.split import Dataset

SIZES = (800, 200, 500)
SPLIT_SEED = 2017
SIDE = 64
SHAPES, SCALES, ORIENTATIONS, POSITIONS = 3, 6, 40, 32
CLASSES = 16
RADIUS = 11.0  # pixels at scale 1; with the margin below every sprite lies within the image
MARGIN = 16.0


def latents(n: int) -> dict[str, NDArray[np.int64]]:
    """Returns raw latent values, drawn independently and uniformly with a fixed seed."""
    draw = np.random.Generator(np.random.PCG64(SPLIT_SEED))
    sizes = {"shape": SHAPES, "scale": SCALES, "orientation": ORIENTATIONS, "x": POSITIONS, "y": POSITIONS}
    return {name: draw.integers(0, size, n) for name, size in sizes.items()}


def render(raw: dict[str, NDArray[np.int64]]) -> NDArray[np.uint8]:
    """Returns `uint8[N, 64, 64]` images, 0 or 255, of the sprites with the given raw latents."""
    column = {name: value[:, None, None] for name, value in raw.items()}
    angle = column["orientation"] * (2 * np.pi / (ORIENTATIONS - 1))
    radius = RADIUS * (0.5 + 0.5 * column["scale"] / (SCALES - 1))
    centre = {axis: MARGIN + (SIDE - 2 * MARGIN) * column[axis] / (POSITIONS - 1) for axis in ("x", "y")}
    row, col = np.mgrid[:SIDE, :SIDE] + 0.5
    dx, dy = (col - centre["x"]) / radius, (row - centre["y"]) / radius
    u = np.cos(angle) * dx + np.sin(angle) * dy
    v = -np.sin(angle) * dx + np.cos(angle) * dy
    square = np.maximum(np.abs(u), np.abs(v)) < 0.9
    ellipse = u**2 + (v / 0.6) ** 2 < 1
    heart = (1.4 * u**2 + 1.4 * v**2 - 1) ** 3 + (1.4 * u**2) * (1.4 * v**2) * 1.2 * v < 0
    return np.where(np.choose(column["shape"], [square, ellipse, heart]), 255, 0).astype(np.uint8)


def label(raw: NDArray[np.int64], values: int) -> NDArray[np.int64]:
    """Returns VTAB's class of each raw latent that takes `values` values."""
    return np.floor(raw / (values / CLASSES)).astype(np.int64)


def _load(resolution: int, latent: str, values: int) -> Dataset:
    raw = latents(sum(SIZES))
    return cut(resize(render(raw), resolution), label(raw[latent], values), SIZES, SPLIT_SEED)


def load_position(resolution: int) -> Dataset:
    """Returns the task "horizontal position"."""
    return _load(resolution, "x", POSITIONS)


def load_orientation(resolution: int) -> Dataset:
    """Returns the task "orientation"."""
    return _load(resolution, "orientation", ORIENTATIONS)
