"""From encoded or decoded images of any size to squares of one size: decoding, crop, resizing and flip in one pass.

The only module that imports TensorFlow, on first use: its JPEG decoder reads no more of a file than a crop needs, it works in
threads of its own without holding Python's interpreter lock, and its operations are those of big_vision, to the bit. Files are
decoded as TensorFlow does by default, with the fast integer DCT, which differs from Pillow's by a few grey values; CMYK becomes
RGB, grey is repeated, transparency is dropped, and of 16 bits the upper eight count.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import cache, cached_property
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.geometry import AREAS, ASPECTS, ATTEMPTS, Geometry
from bench.data.order import mix
from bench.errors import UserError

Images = tuple[bytes, ...] | NDArray[np.uint8]
JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG\r\n\x1a\n"
# How a JPEG ends, but for a few bytes that some programs add.
_END, _NEAR = b"\xff\xd9", 64
# Sets the flips' stream apart from that of the boxes, which has the same seeds.
_FLIP = np.uint64(0xF11F)


class Undecodable(Exception):  # noqa: N818 - says it of an image
    """An image that cannot be decoded.

    Attributes:
      index: its place in the batch.
      reason: what is wrong with it, for a sentence of somebody who knows where it comes from.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"image {index} of the batch: {reason}")
        self.index = index
        self.reason = reason


def cores() -> int:
    """Returns the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def tensorflow() -> Any:
    """Returns the module tensorflow, imported without its greetings and kept away from GPUs, which JAX needs whole.

    Raises:
      UserError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Serves no operation used here, and says so on every import.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # Memory is kept for the next image: asking the system for it every time is a tenth of the decoding.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    try:
        tf = import_module("tensorflow")
    except ModuleNotFoundError as error:
        raise UserError(f"decoding images needs {error.name}, which is not installed: pip install tensorflow-cpu") from None
    # Too late where TensorFlow was in use before, by somebody who wanted it so.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")
    return tf


class Decoder:
    """Makes images of any size into squares; may be called from several threads at once.

    An image's result depends on the image, its seeds and the geometry alone, not on the batch or the number of threads.
    """

    def __init__(self, geometry: Geometry, threads: int | None = None) -> None:
        """Imports nothing yet.

        Args:
          geometry: what to do.
          threads: number of threads of a call; None for as many as there are cores.
        """
        self.geometry = geometry
        self.threads = cores() if threads is None else threads

    def __call__(self, images: Images, seeds: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """Decodes a batch, in its order.

        Args:
          images: B files, each a JPEG or PNG whatever it is called, or decoded images `uint8[B, H, W, 1 or 3]`.
          seeds: `int64[B, 2]`, for a geometry that is random; not looked at otherwise.

        Returns:
          `uint8[B, resolution, resolution, 3]`, not always writable.

        Raises:
          Undecodable: an image is broken, or of another format.
          ValueError: the geometry is random, but there are no seeds.
          UserError: TensorFlow is needed, but not installed.
        """
        if self.geometry.random and seeds is None:
            raise ValueError(f"the geometry {self.geometry} needs seeds")
        if seeds is None or not self.geometry.random:
            seeds = np.zeros((len(images), 2), np.int64)
        side = self.geometry.resolution
        if not len(images):
            return np.empty((0, side, side, 3), np.uint8)
        if isinstance(images, tuple):
            return self._files(images, seeds)
        if images.shape[-1] == 1:
            images = np.repeat(images, 3, axis=-1)
        if self.geometry.keeps(*images.shape[1:3]):
            mirrored = self._mirrored(seeds)[:, None, None, None]
            return np.where(mirrored, images[:, :, ::-1], images) if self.geometry.flip else images
        return self._run(self._arrays, images, seeds)

    def _files(self, images: tuple[bytes, ...], seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        other = [i for i, image in enumerate(images) if not image.startswith(JPEG)]
        for i in other:
            if not images[i].startswith(PNG):
                raise Undecodable(i, f"neither a JPEG nor a PNG file, but {_format(images[i])}")
        tf = tensorflow()
        if self.geometry.kind == "inception_crop":
            for i, image in enumerate(images):
                if _END not in image[-_NEAR:] and image.startswith(JPEG):
                    # A crop may end before a file that is cut short does: it would fail in one epoch and not in another.
                    self._try(tf.io.decode_jpeg, image, i, image)
        program = self._mixed if other else self._jpegs
        # From an array of objects the copy is four times faster than from a list.
        files = np.fromiter(images, object, len(images))
        try:
            return self._run(program, files, seeds)
        except tf.errors.InvalidArgumentError:
            for i, image in enumerate(images):
                self._try(self._run, image, i, program, files[i : i + 1], seeds[i : i + 1])
            raise

    def _try(self, do: Callable[..., Any], file: bytes, index: int, *arguments: Any) -> None:
        try:
            do(*arguments)
        except tensorflow().errors.InvalidArgumentError:
            raise Undecodable(index, f"a {_format(file)} file of {len(file):,} bytes, damaged or cut short") from None

    def _run(self, program: Callable[..., Any], images: Any, seeds: NDArray[np.int64]) -> NDArray[np.uint8]:
        tf = tensorflow()
        # The view saves a copy that costs a tenth of the decoding.
        return np.asarray(memoryview(program(tf.constant(images), tf.constant(seeds), tf.constant(self._mirrored(seeds)))))

    def _mirrored(self, seeds: NDArray[np.int64]) -> NDArray[np.bool_]:
        first, second = (np.ascontiguousarray(seeds[:, i]).view(np.uint64) for i in (0, 1))
        drawn = mix(mix(first ^ _FLIP) ^ second)
        return np.asarray(drawn >= np.uint64(2**63))

    @cached_property
    def _jpegs(self) -> Callable[..., Any]:
        return self._compiled(self._jpeg, tensorflow().TensorSpec([None], "string"))

    @cached_property
    def _mixed(self) -> Callable[..., Any]:
        tf = tensorflow()

        def one(file: Any, seed: Any) -> Any:
            return tf.cond(tf.io.is_jpeg(file), lambda: self._jpeg(file, seed), lambda: self._png(file, seed))

        return self._compiled(one, tf.TensorSpec([None], "string"))

    @cached_property
    def _arrays(self) -> Callable[..., Any]:
        return self._compiled(self._cut, tensorflow().TensorSpec([None, None, None, 3], "uint8"))

    def _compiled(self, start: Callable[[Any, Any], Any], images: Any) -> Callable[..., Any]:
        """Returns the program for a batch: `start` makes pixels out of an image and its seeds, the rest is the same for all."""
        tf = tensorflow()
        options = tf.data.Options()
        options.autotune.enabled = False
        options.deterministic = True
        options.threading.private_threadpool_size = self.threads
        options.threading.max_intra_op_parallelism = 1

        def one(image: Any, seed: Any, mirrored: Any) -> Any:
            pixels = self._finish(start(image, seed), seed)
            return tf.cond(mirrored, lambda: tf.reverse(pixels, [1]), lambda: pixels) if self.geometry.flip else pixels

        def batch(images: Any, seeds: Any, mirrored: Any) -> Any:
            examples = tf.data.Dataset.from_tensor_slices((images, seeds, mirrored))
            decoded = examples.map(one, num_parallel_calls=self.threads).with_options(options)
            return decoded.batch(tf.shape(images, "int64")[0]).get_single_element()

        specs = [images, tf.TensorSpec([None, 2], "int64"), tf.TensorSpec([None], "bool")]
        compiled: Callable[..., Any] = tf.function(batch, input_signature=specs, autograph=False).get_concrete_function()
        return compiled

    def _jpeg(self, file: Any, seed: Any) -> Any:
        io = tensorflow().io
        if self.geometry.kind == "inception_crop":
            return io.decode_and_crop_jpeg(file, self._box(io.extract_jpeg_shape(file), seed), channels=3)
        return io.decode_jpeg(file, channels=3)

    def _png(self, file: Any, seed: Any) -> Any:
        return self._cut(tensorflow().io.decode_png(file, channels=3), seed)

    def _cut(self, pixels: Any, seed: Any) -> Any:
        tf = tensorflow()
        if self.geometry.kind != "inception_crop":
            return pixels
        top, left, rows, columns = tf.unstack(self._box(tf.shape(pixels), seed))
        return tf.image.crop_to_bounding_box(pixels, top, left, rows, columns)

    def _box(self, shape: Any, seed: Any) -> Any:
        """Returns top, left, rows and columns of a random part of an image of `shape` int32[3]."""
        tf = tensorflow()
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            shape,
            tf.zeros([0, 0, 4]),
            seed,
            min_object_covered=0.0,
            aspect_ratio_range=ASPECTS,
            area_range=AREAS,
            max_attempts=ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], size[:2]], 0)

    def _finish(self, pixels: Any, seed: Any) -> Any:
        """Returns the square out of `pixels` uint8[h, w, 3], what the file or `_cut` left of it."""
        tf, side, small = tensorflow(), self.geometry.resolution, self.geometry.small
        if not self.geometry.scales:
            # The resizing itself takes half the time on floats, and the same operation computes the same.
            square = tf.image.resize(tf.cast(pixels, "float32"), (side, side))
            # A training crop is truncated as the published models' were; VTAB's never are whole numbers: the nearest it is.
            return tf.cast(square if self.geometry.kind == "inception_crop" else tf.round(square), "uint8")
        height, width = (tf.cast(n, "float32") for n in tf.unstack(tf.shape(pixels)[:2]))
        factor = float(small) / tf.minimum(height, width)
        sides = [tf.cast(tf.round(n * factor), "int32") for n in (height, width)]
        scaled = tf.cast(tf.image.resize(pixels, sides, "area"), "uint8")
        if self.geometry.kind == "small_random_crop":
            return tf.image.stateless_random_crop(scaled, (side, side, 3), seed)
        return tf.image.crop_to_bounding_box(scaled, (sides[0] - side) // 2, (sides[1] - side) // 2, side, side)


def _format(file: bytes) -> str:
    known = {JPEG: "JPEG", PNG: "PNG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    return next((name for start, name in known.items() if file.startswith(start)), f"beginning with {file[:8]!r}")
