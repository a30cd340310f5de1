"""What `augreg data show` draws: the first batch of a run, as it is stored and as the training step sees it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bench.augment import mixing
from bench.augment.batch import Augmentation, augment_and_mix
from bench.data.arrays import InMemory
from bench.data.decode import Decoder
from bench.data.geometry import Geometry
from bench.data.load import geometries
from bench.data.order import Chunk, Order
from bench.data.split import Split
from bench.data.stream import Streamed
from bench.errors import UserError, choose_from
from bench.points import LEVELS, TASKS, UPSTREAM
from bench.points.levels import Level
from bench.report import figures, sheet
from sweeps.data import Known, known

# Of a task, unless it is embedded: the smaller of the two that the paper fine-tunes at.
RESOLUTION = 224
# Less of a label is shown as 0.00.
_LEAST = 0.005


class _Batch(NamedTuple):
    """Stored and augmented images `uint8[N, R, R, 3]`, and a text for both of each pair."""

    stored: NDArray[np.uint8]
    augmented: NDArray[np.uint8]
    captions: list[tuple[str, str]]


def show(name: str, aug: str, purpose: str | None, number: int, seed: int, resolution: int | None, output: Path) -> None:
    """Writes a contact sheet.

    Args:
      name: of the set.
      aug: name of the augmentation level.
      purpose: of the split; None for the first that it has.
      number: images.
      seed: of the run.
      resolution: pixels; None for the set's own.
      output: file to write.

    Raises:
      UserError: there is no such set, level or split, the set is not on disk, or the file cannot be written.
    """
    each = known(name)
    if aug not in LEVELS:
        raise UserError(f"no augmentation level {aug!r}; {choose_from(aug, LEVELS)}")
    purpose = purpose or each.purposes[0]
    if purpose not in each.purposes:
        raise UserError(f"{name} has no split {purpose!r}; {choose_from(purpose, each.purposes)}")
    resolution = _own(each) if resolution is None else resolution
    split, level = _split(each, purpose, resolution), LEVELS[aug]
    number = min(number, len(split))
    facts = UPSTREAM.get(name)
    crop = facts is not None and facts.cropped_on_device(resolution)
    batch = _batch(split, Order(len(split), number, seed).chunk(0, 1), seed, level, crop, resolution)
    title = f"{name}, {purpose}: as stored, and as training with {aug} sees it"
    done = ["Inception crop and flip"] if _cropped(each.name) else []
    distorted = [f"RandAugment: {level.layers} layers of magnitude {level.magnitude}"] if level.layers else []
    strengths = {"Mixup": level.mixup, "CutMix": level.cutmix}
    names = " and ".join(f"{what} {alpha:g}" for what, alpha in strengths.items() if alpha)
    mixed = [f"{names} with the image before it"] if names else []
    done += mixed + distorted if level.mix_first else distorted + mixed
    below = f"{'; '.join(done) or 'nothing is done'}. Seed {seed}, first step, {resolution} px"
    figures.save(sheet.draw(batch.stored, batch.augmented, batch.captions, title, below), output)


def _cropped(name: str) -> bool:
    """Returns whether training crops and flips a set's images; as upstream training does, where it serves that, too."""
    facts = UPSTREAM.get(name) or TASKS.get(name)
    return facts is not None and facts.crop


def _own(each: Known) -> int:
    if each.name in UPSTREAM:
        return UPSTREAM[each.name].resolution
    return each.side if each.loader else RESOLUTION


def _split(each: Known, purpose: str, resolution: int) -> Split:
    """Returns a split as training would read it, were it the training split."""
    if each.loader:
        split: Split = getattr(each.loader(resolution), purpose)
        return split
    facts = UPSTREAM.get(each.name)
    training, evaluation = geometries(resolution, crop=_cropped(each.name), side=facts.side if facts else 0)
    return Streamed(each.require().open(purpose), training, evaluation)


def _batch(split: Split, chunk: Chunk, seed: int, level: Level, crop: bool, resolution: int) -> _Batch:
    [examples], [passes] = chunk
    [[images], [labels]] = next(iter(split.batches([chunk], seed)))
    static = Augmentation.at(resolution, flip=crop, crop=crop, mix_first=level.mix_first)
    mixed = mixing.draw(seed, [0], level.mixup, level.cutmix, resolution, len(examples) if level.per_image else None)
    strength = np.int32(level.layers), np.float32(level.magnitude)
    seen, weights = _step(
        images, examples.astype(np.int32), passes, *strength, jax.tree.map(lambda x: x[0], mixed), np.uint32(seed), static
    )
    augmented = np.round(np.asarray(seen) * 127.5 + 127.5).astype(np.uint8)
    texts = [" or ".join(str(label) for label in np.ravel(row) if label >= 0) or "no label" for row in labels]
    mixes = [_mix(i, row, texts) for i, row in enumerate(np.asarray(weights))]
    captions = list(zip(texts, mixes, strict=True))
    return _Batch(_stored(split, examples, resolution), augmented, captions)


def _mix(own: int, weights: NDArray[np.float32], texts: list[str]) -> str:
    """Returns what an image's target is made of, its own label first; what would be shown as nothing is left out."""
    parts = [i for i in (own, *np.delete(np.arange(len(texts)), own)) if weights[i] >= _LEAST]
    return texts[own] if parts == [own] else " + ".join(f"{weights[i]:.2f} x {texts[i]}" for i in parts)


@partial(jax.jit, static_argnames="static")
def _step(
    images: Any, examples: Any, passes: Any, layers: Any, magnitude: Any, mixed: Any, seed: Any, static: Augmentation
) -> tuple[jax.Array, jax.Array]:
    """Returns what `bench.train.program` makes of a batch, and the share f32[N, N] of every image's label in each target."""
    _, augmentation = jax.random.split(jax.random.key(seed))
    own = jnp.eye(len(images), dtype=jnp.float32)
    return augment_and_mix(images, own, augmentation, passes, examples, layers, magnitude, mixed, static)


def _stored(split: Split, examples: NDArray[np.int64], resolution: int) -> NDArray[np.uint8]:
    """Returns whole images, stretched to squares, `uint8[N, R, R, 3]`."""
    if isinstance(split, InMemory):
        return split.images[examples]
    assert isinstance(split, Streamed)
    return Decoder(Geometry("resize", resolution))(split.source.read(examples).images)
