"""Hyper-parameters that ride along: every one is an argument of the compiled step, so a whole grid shares one program."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np

from bench.points import Transfer, Upstream

# NumPy scalars outside a program, tracers inside.
F32 = Annotated[Any, np.float32]
I32 = Annotated[Any, np.int32]
U32 = Annotated[Any, np.uint32]


class Hyper(NamedTuple):
    """Traced hyper-parameters of a run; scalars of float32, `layers`, `warmup`, `steps` of int32, `seed` of uint32.

    Attributes:
      lr: peak learning rate.
      wd: weight decay, decoupled, multiplied by the learning rate.
      clip: global gradient norm, or the ratio of adaptive gradient clipping.
      dropout, stochastic_depth: rates.
      layers, magnitude: RandAugment.
      warmup, steps: length of the warm-up and of the whole schedule, in steps.
      seed: of augmentation and masks.
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

    @classmethod
    def cast(cls, **values: float) -> Hyper:
        """Returns the given values in the dtypes that programs are compiled for; what is not given is 0."""
        dtypes = {name: hint.__metadata__[0] for name, hint in get_type_hints(cls, include_extras=True).items()}
        return cls(**{name: dtype(values.get(name, 0)) for name, dtype in dtypes.items()})

    @classmethod
    def of_upstream(cls, config: Upstream, steps: int) -> Hyper:
        """Returns the hyper-parameters of an upstream run of `steps` steps."""
        return cls.cast(
            lr=config.lr,
            wd=config.wd,
            clip=config.clip,
            dropout=config.do,
            stochastic_depth=config.sd,
            layers=config.level.layers,
            magnitude=config.level.magnitude,
            warmup=config.warmup_steps,
            steps=steps,
            seed=config.seed,
        )

    @classmethod
    def of_transfer(cls, config: Transfer) -> Hyper:
        """Returns the hyper-parameters of a transfer: no decay, no dropout, no RandAugment (the paper's section 3.5)."""
        return cls.cast(lr=config.lr, clip=config.clip, warmup=config.warmup_steps, steps=config.steps, seed=config.seed)
