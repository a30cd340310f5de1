"""Models as pure functions: `build` a variant, `init` its parameters, apply it with or without `Noise`."""

from bench.models.noise import Noise
from bench.models.registry import build, count_params, init

__all__ = ["Noise", "build", "count_params", "init"]
