"""Bytes of weights and checkpoints, in closed form."""

from __future__ import annotations

from bench.cost.flops import weights
from bench.points import Transfer, Upstream

WEIGHT_BYTES = 4
# What an optimiser keeps for a weight (bench/train/optimizers.py): Adam its second moment in float32 and its first in bfloat16,
# momentum one bfloat16, Nesterov momentum one float32, RMSProp mean square and momentum in float32.
STATE_BYTES = {"adam": 6, "momentum": 2, "nesterov_agc": 4, "rmsprop": 8, "nesterov_agc_l2": 4, "rmsprop_l2": 8}


def weight_bytes(config: Upstream | Transfer) -> int:
    """Returns bytes of a run's final weights in float32, one to two percent too few (see `weights`)."""
    upstream = config.upstream if isinstance(config, Transfer) else config
    classes = config.facts.classes if isinstance(config, Transfer) else config.data.classes
    return WEIGHT_BYTES * weights(upstream.model, config.resolution, classes)


def checkpoint_bytes(config: Upstream | Transfer) -> int:
    """Returns bytes of one checkpoint of a run under way: weights, their average where one is kept, the optimiser's state."""
    kept = WEIGHT_BYTES * (2 if config.ema else 1) + STATE_BYTES[config.optimizer]
    return weight_bytes(config) * kept // WEIGHT_BYTES
