"""What shapes the compiled programs of a run, as data; runs with an equal `Static` share their programs. Imports no jax."""

from __future__ import annotations

from dataclasses import dataclass

from bench.points import Config, Execution, Transfer, Upstream

# Transfer heads are padded to a multiple of this, so that tasks of similar size share one compiled program.
HEAD_MULTIPLE = 16
# Steps per dispatch, unless their images are more than so many bytes.
CHUNK, CHUNK_BYTES = 25, 2**28


@dataclass(frozen=True)
class Static:
    """What shapes the programs of a run.

    Attributes:
      model: a name of `VARIANTS`.
      classes: outputs of the head, padding included.
      head_bias: its initial bias.
      resolution: pixels.
      batch_size: images per training step.
      optimizer, loss: names.
      crop: whether the step Inception-crops and flips its images; it does not where that happens while they are read.
      fixed: whether RandAugment does without the reference's bugs.
      mix_first: whether RandAugment comes after Mixup and CutMix.
      per_image: whether every image draws its own coefficient and box.
      shards: parts of the batch within which they mix.
      chunk: steps per dispatch; more amortise the dispatch, fewer react sooner to a signal and hold fewer images.
      eval_batch: images per evaluation step.
      dtype: of the model's computation.
      execution: how the programs are compiled and placed.
    """

    model: str
    classes: int
    head_bias: float
    resolution: int
    batch_size: int
    optimizer: str
    loss: str
    crop: bool = False
    fixed: bool = False
    mix_first: bool = False
    per_image: bool = False
    shards: int = 1
    chunk: int = CHUNK
    eval_batch: int = 128
    dtype: str = "float32"
    execution: Execution = Execution()

    @property
    def draws(self) -> int | None:
        """Returns the number of draws a step for mixing, see `bench.augment.mixing.draw`."""
        return self.batch_size if self.per_image else None

    @classmethod
    def of(cls, config: Config, execution: Execution = Execution()) -> Static:
        """Returns what shapes the programs of a run.

        A transfer trains a padded head with SGD and softmax on plainly resized images (the paper's section 3.5, VTAB's
        preprocessing).
        """
        if isinstance(config, Transfer):
            return cls(
                model=config.upstream.model,
                classes=-(-config.facts.classes // HEAD_MULTIPLE) * HEAD_MULTIPLE,
                head_bias=0.0,
                resolution=config.resolution,
                batch_size=config.batch_size,
                optimizer="momentum",
                loss="softmax",
                chunk=_chunk(config),
                dtype=config.upstream.dtype,
                execution=execution,
            )
        assert isinstance(config, Upstream)
        return cls(
            model=config.model,
            classes=config.data.classes,
            head_bias=config.data.head_bias,
            resolution=config.resolution,
            batch_size=config.batch_size,
            optimizer=config.optimizer,
            loss=config.loss,
            crop=config.data.cropped_on_device(config.resolution),
            fixed=config.randaug == "fixed",
            mix_first=config.level.mix_first,
            per_image=config.level.per_image,
            shards=config.shards,
            chunk=_chunk(config),
            dtype=config.dtype,
            execution=execution,
        )


def _chunk(config: Upstream | Transfer) -> int:
    return max(1, min(CHUNK, CHUNK_BYTES // (config.batch_size * config.resolution**2 * 3)))
