"""From facts to the three splits of a set on disk: found, counted, and looked at in the right geometry."""

from __future__ import annotations

from collections.abc import Mapping

from bench.data.disk import open_set
from bench.data.geometry import Geometry
from bench.data.split import Dataset, Split
from bench.data.stream import Streamed, kept
from bench.points.files import Files

# Shorter side before an evaluation's crop: at 224 px as big_vision's pre-training has it, at 384 px as its transfer.py; at
# other resolutions, of which nothing was published, as at 224.
_SMALL = {224: 256, 384: 448}


def geometries(resolution: int, *, crop: bool, side: int = 0) -> tuple[Geometry, Geometry]:
    """Returns the geometries of training and of evaluation.

    With `crop` those of "How to train your ViT?" and its code: Inception crops with flips, and for evaluation the shorter side
    resized (`_SMALL`) and the centre cut out. Images that are `side` pixels already are left whole,
    to be cropped by the training step. Without `crop`, VTAB's plain resize for both.
    """
    if not crop or side == resolution:
        plain = Geometry("resize", resolution)
        return plain, plain
    small = _SMALL.get(resolution, round(resolution * _SMALL[224] / 224))
    evaluation = Geometry("small_central_crop", resolution, small=small)
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
    train = kept(Streamed(sources["train"], training, evaluation))
    val, test = (kept(Streamed(sources[purpose], evaluation, evaluation)) for purpose in ("val", "test"))
    return Dataset(train, val, test)


def load_extra(name: str, files: Files, images: int, classes: int, resolution: int, *, crop: bool) -> Split:
    """Returns the one split of a set that only evaluates, arguments and errors as of `load`."""
    _, evaluation = geometries(resolution, crop=crop)
    [purpose] = files.splits()
    source = open_set(name, files, {purpose: images}, classes)[purpose]
    return kept(Streamed(source, evaluation, evaluation))
