"""A checkpoint's weights taken apart: what makes features of images, and the head that it was trained with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.models import variables
from bench.weights import check
from bench.weights.files import Flat
from bench.weights.layouts import layout_of, shapes_of, to_ours
from bench.weights.load import adopt

KERNEL, BIAS = "head/kernel", "head/bias"


class Head(NamedTuple):
    """A linear classifier of Z classes over D features: `float32[D, Z]` and `float32[Z]`."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, features: NDArray[np.float32], loss: str) -> NDArray[np.float32]:
        """Returns the distributions over the Z classes that the head gives to `features[N, D]`, `float32[N, Z]`.

        The classes of a head that was trained with a `sigmoid` do not exclude each other: their probabilities are divided by
        their sum. Rows are scaled by their largest number first, so that those of tiny probabilities do not vanish.
        """
        logits = features @ self.kernel + self.bias
        top = logits.max(1, keepdims=True)
        if loss == "sigmoid":
            # sigmoid(x) = exp(min(x, 0)) / (1 + exp(-|x|)), which never overflows.
            scaled = np.exp(np.minimum(logits, 0) - np.minimum(top, 0)) / (1 + np.exp(-np.abs(logits)))
        else:
            scaled = np.exp(logits - top)
        found: NDArray[np.float32] = scaled / scaled.sum(1, keepdims=True)
        return found


def take_apart(flat: Flat, source: str, model: str, resolution: int) -> tuple[variables.Tree, Head | None]:
    """Returns all weights, with a head of one output that is zero, and the head of the file, None where it has none.

    The hidden layer that some classifiers have belongs to the features here, which are what the last layer sees. Numbers that
    are not finite stay what they are.

    Args:
      flat: the arrays by name, in any layout.
      source: what errors call the file.
      model: name of the variant.
      resolution: in pixels, to which positions are resampled.

    Raises:
      UserError: a weight is missing, unknown or has another shape: the checkpoint is of another architecture.
    """
    check.refuse_types(flat, source)
    found = to_ours(flat, layout_of(flat), model, shapes_of(model, 1, resolution))
    width = shapes_of(model, 1, resolution)[KERNEL][0]
    kernel, bias = found.pop(KERNEL, None), found.pop(BIAS, None)
    head = None if kernel is None or bias is None else Head(kernel, bias)
    blank = {KERNEL: np.zeros((width, 1), np.float32), BIAS: np.zeros(1, np.float32)}
    tree = adopt({**found, **blank}, source, model, 1, resolution, "keep", finite=False)
    if head and head.kernel.shape != (width, head.bias.size):
        raise UserError(
            f"{source}: {KERNEL!r} has shape {head.kernel.shape} and {BIAS!r} {head.bias.shape}, but a head of {model} has"
            f" ({width}, classes) and (classes,): the file is damaged or of another model"
        )
    return tree, head
