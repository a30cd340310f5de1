"""RandAugment out of TensorFlow's own operations, composed as the reference composes them: what ours is compared with.

The reference is big_vision's pp/archive/autoaugment.py as the released runs used it. It needs tensorflow_addons, which is dead:
its rotate, translate and transform are here what they were there, ImageProjectiveTransform with a matrix. Two arguments that
older versions of TensorFlow let wrap around, Solarize's threshold and Posterize's shift, wrap around explicitly.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.augment import levels
from bench.augment.ops import FILL, NAMES
from bench.augment.randaugment import CUTOUT, TRANSLATE
from bench.errors import UserError

ADD_BELOW = 128


def tensorflow() -> Any:
    """Returns the module tensorflow.

    Raises:
      UserError: it is not installed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError("the comparison with TensorFlow needs it: install tensorflow-cpu here")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return import_module("tensorflow")


class TensorFlowRandAugment:
    """The sixteen operations at fixed pixel constants, on uint8[H, W, 3]; magnitudes are Python numbers."""

    def __init__(self, translate: int = TRANSLATE, cutout: int = CUTOUT) -> None:
        self.tf = tensorflow()
        self.translate, self.cutout = translate, cutout

    def __call__(self, image: Any, layers: int, magnitude: float) -> Any:
        """Returns `image` after `layers` operations drawn by TensorFlow."""
        for _ in range(layers):
            image = self._layer(image, magnitude)
        return image

    def _layer(self, image: Any, magnitude: float) -> Any:
        tf = self.tf
        drawn = tf.random.uniform([], maxval=len(NAMES), dtype=tf.int32)
        negate = tf.random.uniform([]) < 0.5
        centre = [tf.random.uniform([], maxval=tf.shape(image)[axis], dtype=tf.int32) for axis in range(2)]
        for index, name in enumerate(NAMES):
            image = tf.cond(
                tf.equal(index, drawn),
                functools.partial(self.apply, image, name, magnitude, negate, centre),
                functools.partial(tf.identity, image),
            )
        return image

    def apply(self, image: Any, name: str, magnitude: float, negate: Any, centre: Any) -> Any:
        """Returns `image` after the operation `name`; `negate` (bool) and `centre` (two int32) are tensors or Python's."""
        tf, level = self.tf, float(magnitude) / levels.FULL
        factor = level * 1.8 + 0.1
        one, zero = tf.constant(1.0), tf.constant(0.0)

        def signed(value: float) -> Any:
            positive = tf.constant(value, tf.float32)
            return tf.cond(tf.convert_to_tensor(negate), lambda: -positive, lambda: positive)

        operations: dict[str, Callable[[], Any]] = {
            "AutoContrast": lambda: self._by_channel(image, self._autocontrast),
            "Equalize": lambda: self._by_channel(image, self._equalize),
            "Invert": lambda: 255 - image,
            "Rotate": lambda: self._rotate(image, signed(level * 30.0)),
            "Posterize": lambda: self._posterize(image, int(level * 4)),
            "Solarize": lambda: tf.where(image < tf.constant(int(level * 256) % 256, tf.uint8), image, 255 - image),
            "Color": lambda: self._blend(tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image)), image, factor),
            "Contrast": lambda: self._contrast(image, factor),
            "Brightness": lambda: self._blend(tf.zeros_like(image), image, factor),
            "Sharpness": lambda: self._sharpness(image, factor),
            "ShearX": lambda: self._move(image, [one, signed(level * 0.3), zero, zero, one, zero]),
            "ShearY": lambda: self._move(image, [one, zero, zero, signed(level * 0.3), one, zero]),
            "TranslateX": lambda: self._move(image, [one, zero, signed(level * float(self.translate)), zero, one, zero]),
            "TranslateY": lambda: self._move(image, [one, zero, zero, zero, one, signed(level * float(self.translate))]),
            "Cutout": lambda: self._cut(image, int(level * self.cutout), centre),
            "SolarizeAdd": lambda: self._solarize_add(image, int(level * 110)),
        }
        return operations[name]()

    def _blend(self, degenerate: Any, image: Any, factor: float) -> Any:
        tf = self.tf
        if factor == 1.0:
            return image
        base = tf.cast(degenerate, tf.float32)
        mixed = base + factor * (tf.cast(image, tf.float32) - base)
        return tf.cast(mixed if 0 < factor < 1 else tf.clip_by_value(mixed, 0.0, 255.0), tf.uint8)

    def _by_channel(self, image: Any, function: Callable[[Any], Any]) -> Any:
        return self.tf.stack([function(image[..., channel]) for channel in range(3)], axis=2)

    def _autocontrast(self, channel: Any) -> Any:
        tf = self.tf
        values = tf.cast(channel, tf.float32)
        low, high = tf.reduce_min(values), tf.reduce_max(values)

        def stretched() -> Any:
            scale = 255.0 / (high - low)
            return tf.cast(tf.clip_by_value(values * scale + -low * scale, 0.0, 255.0), tf.uint8)

        return tf.cond(high > low, stretched, lambda: channel)

    def _equalize(self, channel: Any) -> Any:
        tf = self.tf
        values = tf.cast(channel, tf.int32)
        histogram = tf.histogram_fixed_width(values, [0, 255], nbins=256)
        present = tf.boolean_mask(histogram, histogram != 0)
        step = (tf.reduce_sum(present) - present[-1]) // 255

        def equalized() -> Any:
            table = (tf.cumsum(histogram) + step // 2) // step
            return tf.gather(tf.clip_by_value(tf.concat([[0], table[:-1]], 0), 0, 255), values)

        return tf.cast(tf.cond(step == 0, lambda: values, equalized), tf.uint8)

    def _posterize(self, image: Any, bits: int) -> Any:
        shift = self.tf.constant((8 - bits) % 256, self.tf.uint8)
        return self.tf.bitwise.left_shift(self.tf.bitwise.right_shift(image, shift), shift)

    def _solarize_add(self, image: Any, addition: int) -> Any:
        tf = self.tf
        added = tf.cast(tf.clip_by_value(tf.cast(image, tf.int64) + addition, 0, 255), tf.uint8)
        return tf.where(image < ADD_BELOW, added, image)

    def _contrast(self, image: Any, factor: float) -> Any:
        tf = self.tf
        grey = tf.cast(tf.image.rgb_to_grayscale(image), tf.int32)
        histogram = tf.histogram_fixed_width(grey, [0, 255], nbins=256)
        mean = tf.reduce_sum(tf.cast(histogram, tf.float32)) / 256.0
        constant = tf.clip_by_value(tf.ones_like(grey, tf.float32) * mean, 0.0, 255.0)
        return self._blend(tf.image.grayscale_to_rgb(tf.cast(constant, tf.uint8)), image, factor)

    def _sharpness(self, image: Any, factor: float) -> Any:
        tf = self.tf
        kernel = tf.reshape(tf.constant([1, 1, 1, 1, 5, 1, 1, 1, 1], tf.float32), [3, 3, 1, 1]) / 13.0
        convolved = tf.nn.depthwise_conv2d(
            tf.cast(image, tf.float32)[None], tf.tile(kernel, [1, 1, 3, 1]), [1, 1, 1, 1], padding="VALID"
        )
        inner = tf.cast(tf.clip_by_value(convolved, 0.0, 255.0), tf.uint8)[0]
        border = [[1, 1], [1, 1], [0, 0]]
        return self._blend(tf.where(tf.pad(tf.ones_like(inner), border) == 1, tf.pad(inner, border), image), image, factor)

    def _move(self, image: Any, matrix: list[Any]) -> Any:
        tf = self.tf
        size = tf.shape(image)[:2]
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.concat([image, tf.ones([size[0], size[1], 1], image.dtype)], 2)[None],
            transforms=tf.concat([tf.stack(matrix), tf.zeros([2])], 0)[None],
            output_shape=size,
            interpolation="NEAREST",
            fill_mode="CONSTANT",
            fill_value=0.0,
        )[0]
        return tf.where(moved[..., 3:] == 0, tf.constant(FILL, tf.uint8), moved[..., :3])

    def _rotate(self, image: Any, degrees: Any) -> Any:
        tf = self.tf
        radians = tf.reshape(degrees * (math.pi / 180.0), [1])
        cosine, sine = tf.cos(radians)[0], tf.sin(radians)[0]
        bottom, right = (tf.cast(tf.shape(image)[axis], tf.float32) - 1 for axis in range(2))
        x_offset = (right - (cosine * right - sine * bottom)) / 2.0
        y_offset = (bottom - (sine * right + cosine * bottom)) / 2.0
        return self._move(image, [cosine, -sine, x_offset, sine, cosine, y_offset])

    def _cut(self, image: Any, pad: int, centre: Any) -> Any:
        tf = self.tf
        before = [tf.maximum(0, at - pad) for at in centre]
        after = [tf.maximum(0, tf.shape(image)[axis] - at - pad) for axis, at in enumerate(centre)]
        sides = [tf.shape(image)[axis] - (before[axis] + after[axis]) for axis in range(2)]
        mask = tf.pad(tf.zeros(sides, image.dtype), [[before[axis], after[axis]] for axis in range(2)], constant_values=1)
        return tf.where(tf.tile(mask[..., None], [1, 1, 3]) == 0, tf.ones_like(image) * FILL, image)
