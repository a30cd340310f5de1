"""Models as pure functions: `build` a variant, `init` its weights, `train` or `evaluate` it on images."""

from bench.models.noise import Noise
from bench.models.registry import build, count_params, evaluate, init, shapes, train
from bench.models.variables import merge, split

__all__ = ["Noise", "build", "count_params", "evaluate", "init", "merge", "shapes", "split", "train"]
