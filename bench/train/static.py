"""What shapes the compiled programs of a run, as data; runs with an equal `Static` share their programs. Imports no jax."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.points import Config, Execution, Probe, Transfer, Upstream

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
      decay: of the learning rate, a name.
      accumulate: micro-batches a step.
      sam: whether a step's gradient is taken uphill.
      ema: whether a moving average of the weights is kept.
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
    decay: str = "cosine"
    accumulate: int = 1
    sam: bool = False
    ema: bool = False
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
    def of(cls, config: Config, execution: Execution = Execution(), resolution: int = 0) -> Static:
        """Returns what shapes the programs of a run.

        A transfer trains a padded head with softmax (the paper's section 3.5); what crops its images does so while they are
        read. A probe only asks for features: its head, of one output, is never computed.

        Args:
          config: of the run.
          execution: how its programs are compiled and placed.
          resolution: pixels of a stage that has not the config's own.
        """
        if isinstance(config, Probe):
            return cls(
                model=config.upstream.model,
                classes=1,
                head_bias=0.0,
                resolution=config.resolution,
                batch_size=0,
                optimizer="",
                loss="",
                dtype=config.upstream.dtype,
                execution=execution,
            )
        assert isinstance(config, Upstream | Transfer)
        pixels = resolution or config.resolution
        upstream = config if isinstance(config, Upstream) else config.upstream
        shared = cls(
            model=upstream.model,
            classes=0,
            head_bias=0.0,
            resolution=pixels,
            batch_size=config.batch_size,
            optimizer=config.optimizer,
            loss="softmax",
            decay=config.decay,
            sam=config.sam > 0,
            ema=config.ema > 0,
            fixed=upstream.randaug == "fixed",
            mix_first=config.level.mix_first,
            per_image=config.level.per_image,
            chunk=_chunk(config.batch_size, pixels),
            dtype=upstream.dtype,
            execution=execution,
        )
        if isinstance(config, Transfer):
            return replace(shared, classes=-(-config.facts.classes // HEAD_MULTIPLE) * HEAD_MULTIPLE)
        return replace(
            shared,
            classes=config.data.classes,
            head_bias=config.data.head_bias,
            loss=config.loss,
            accumulate=config.accumulate,
            crop=config.data.cropped_on_device(pixels),
            shards=config.shards,
        )


def _chunk(batch_size: int, resolution: int) -> int:
    return max(1, min(CHUNK, CHUNK_BYTES // (batch_size * resolution**2 * 3)))
