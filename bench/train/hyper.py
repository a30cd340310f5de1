"""Hyper-parameters that ride along: every one is an argument of the compiled step, so a whole grid shares one program."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np

from bench.points import Transfer, Upstream
from bench.points.progressive import Stage, stages

# Epochs of a stair of the decay `exponential` (EfficientNetV2, section 5.1).
STAIR = 2.4
# NumPy scalars outside a program, tracers inside.
F32 = Annotated[Any, np.float32]
I32 = Annotated[Any, np.int32]
U32 = Annotated[Any, np.uint32]


class Hyper(NamedTuple):
    """Traced hyper-parameters of a run; scalars of float32, `layers`, `warmup`, `steps` of int32, `seed` of uint32.

    Attributes:
      lr: peak learning rate.
      wd: weight decay.
      clip: global gradient norm, or the ratio of adaptive gradient clipping.
      dropout, stochastic_depth: rates.
      layers, magnitude: RandAugment.
      warmup, steps: length of the warm-up and of the whole schedule, in steps.
      seed: of augmentation and masks.
      stair: steps after which the learning rate falls in the decay `exponential`.
      smoothing: of labels.
      sam: radius of sharpness-aware minimisation, where the program does it.
      ema: limit of the moving average's decay, where the program keeps one.
    """

    lr: F32
    wd: F32
    clip: F32
    dropout: F32
    stochastic_depth: F32
    layers: I32
    magnitude: F32
    warmup: I32
    steps: I32
    seed: U32
    stair: F32
    smoothing: F32
    sam: F32
    ema: F32

    @classmethod
    def cast(cls, **values: float) -> Hyper:
        """Returns the given values in the dtypes that programs are compiled for; what is not given is 0."""
        dtypes = {name: hint.__metadata__[0] for name, hint in get_type_hints(cls, include_extras=True).items()}
        return cls(**{name: dtype(values.get(name, 0)) for name, dtype in dtypes.items()})

    @classmethod
    def of_upstream(cls, config: Upstream, steps: int, stage: Stage | None = None) -> Hyper:
        """Returns the hyper-parameters of an upstream run of `steps` steps, in one of its stages where it has several."""
        stage = stage or stages(config)[-1]
        return cls.cast(
            lr=config.lr,
            wd=config.wd,
            clip=config.clip,
            dropout=stage.dropout,
            stochastic_depth=config.sd,
            layers=stage.layers,
            magnitude=stage.magnitude,
            warmup=config.warmup_steps,
            steps=steps,
            seed=config.seed,
            stair=STAIR * steps / config.epochs,
            smoothing=config.smoothing,
            sam=config.sam,
            ema=config.ema,
        )

    @classmethod
    def of_transfer(cls, config: Transfer) -> Hyper:
        """Returns the hyper-parameters of a transfer."""
        return cls.cast(
            lr=config.lr,
            wd=config.wd,
            clip=config.clip,
            dropout=config.do,
            stochastic_depth=config.sd,
            layers=config.level.layers,
            magnitude=config.level.magnitude,
            warmup=config.warmup_steps,
            steps=config.steps,
            seed=config.seed,
            stair=STAIR * config.facts.train / config.batch_size,
            smoothing=config.smoothing,
            sam=config.sam,
            ema=config.ema,
        )
