"""From facts to the three splits of a set on disk: found, counted, and looked at in the right geometry."""

from __future__ import annotations

from collections.abc import Mapping

from bench.data.disk import open_set
from bench.data.geometry import Geometry
from bench.data.split import Dataset
from bench.data.stream import Streamed, kept
from bench.points.files import Files


def geometries(resolution: int, *, crop: bool, side: int = 0) -> tuple[Geometry, Geometry]:
    """Returns the geometries of training and of evaluation.

    With `crop` those of "How to train your ViT?" and its code: Inception crops with flips, and for evaluation the shorter side
    resized to 8/7 of the resolution (256 for 224) and the centre cut out. Images that are `side` pixels already are left whole,
    to be cropped by the training step. Without `crop`, VTAB's plain resize for both.
    """
    if not crop or side == resolution:
        plain = Geometry("resize", resolution)
        return plain, plain
    evaluation = Geometry("small_central_crop", resolution, small=round(resolution * 8 / 7))
    return Geometry("inception_crop", resolution, flip=True), evaluation


def load(
    name: str,
    files: Files,
    sizes: Mapping[str, int | None],
    classes: int,
    resolution: int,
    *,
    crop: bool,
    side: int = 0,
    joined: bool = False,
) -> Dataset:
    """Returns a set that lies on disk.

    Args:
      name: of the set.
      files: where it comes from and how it is cut.
      sizes: number of examples of each split, None where unknown.
      classes: number of classes.
      resolution: pixels.
      crop: whether training images are Inception-cropped and flipped; they are plainly resized otherwise.
      side: of images that are all of one size, see `geometries`.
      joined: whether train is learnt from together with val, in this order; val stays what it is.

    Raises:
      UserError: see `bench.data.disk.open_set`.
    """
    training, evaluation = geometries(resolution, crop=crop, side=side)
    sources = open_set(name, files, sizes, classes, joined=joined)
    return Dataset(
        kept(Streamed(sources["train"], training, evaluation)),
        *(kept(Streamed(sources[purpose], evaluation, evaluation)) for purpose in ("val", "test")),
    )
