"""How fast files become training images: beside bare JPEG decoding, the ceiling, and Pillow; and how much memory it takes."""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import reader
from bench.data.decode import Decoder, cores, tensorflow
from bench.data.geometry import AREAS, ASPECTS, ATTEMPTS, Geometry
from bench.data.order import Chunk, Order
from bench.data.sources.arrays import Encoded
from bench.perf.figure import Figure, once
from bench.perf.timing import interleave

# Like ImageNet's, whose commonest size this is, and whose training files have 115 KB on average (a tar of 147,897,477,120 bytes
# with 1,281,167 images); with this noise it is about 100 KB.
WIDTH, HEIGHT, QUALITY, NOISE = 500, 375, 90, 18.0
GEOMETRY = Geometry("inception_crop", 224, flip=True)
# Of the memory benchmark: small images, so that many steps take seconds.
SMALL = Geometry("inception_crop", 32, flip=True)
BATCH, STEPS, CHUNK = 8, 10_000, 25


def photographs(count: int, width: int = WIDTH, height: int = HEIGHT) -> tuple[bytes, ...]:
    """Returns JPEG files of smooth random colours with noise."""
    from PIL import Image

    generator = np.random.default_rng(0)

    def one() -> bytes:
        coarse = Image.fromarray(generator.integers(0, 256, (8, 10, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)
        pixels = np.clip(smooth + generator.normal(0, NOISE, smooth.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
        return file.getvalue()

    return tuple(one() for _ in range(count))


def source(files: tuple[bytes, ...]) -> Encoded:
    """Returns the files as a source in memory, all of class 0."""
    ends = np.cumsum([0, *map(len, files)])
    return Encoded(np.frombuffer(b"".join(files), np.uint8), ends, np.zeros(len(files), np.int32))


def bare(files: tuple[bytes, ...], threads: int) -> Callable[[], Any]:
    """Returns a function that decodes whole JPEG files in TensorFlow's threads and drops the pixels."""
    tf = tensorflow()
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1

    def batch(files: Any) -> Any:
        shapes = tf.data.Dataset.from_tensor_slices(files).map(
            lambda file: tf.shape(tf.io.decode_jpeg(file, channels=3)), num_parallel_calls=threads
        )
        return shapes.with_options(options).batch(tf.shape(files, "int64")[0]).get_single_element()

    signature = [tf.TensorSpec([None], "string")]
    program = tf.function(batch, input_signature=signature, autograph=False).get_concrete_function()
    return lambda: program(tf.constant(np.array(files, object)))


def pillow(files: tuple[bytes, ...], draft: bool) -> Callable[[], list[NDArray[np.uint8]]]:
    """Returns a function that does with Pillow in one thread what timm's training does, with the crop of our geometry.

    Args:
      files: the JPEG files.
      draft: whether Pillow may decode at half the resolution or less where the crop stays larger than the result;
        timm does not.
    """
    from PIL import Image

    side = GEOMETRY.resolution
    generator = np.random.default_rng(0)

    def box(width: int, height: int) -> tuple[int, int, int, int]:
        for _ in range(ATTEMPTS):
            area, aspect = generator.uniform(*AREAS) * width * height, np.exp(generator.uniform(*np.log(ASPECTS)))
            columns, rows = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if columns <= width and rows <= height:
                left, top = generator.integers(width - columns + 1), generator.integers(height - rows + 1)
                return int(left), int(top), int(left) + columns, int(top) + rows
        return 0, 0, width, height

    def one(file: bytes) -> NDArray[np.uint8]:
        image: Any = Image.open(io.BytesIO(file))
        full = image.size
        left, top, right, bottom = box(*full)
        if draft:
            least = side / min(right - left, bottom - top)
            image.draft("RGB", (int(full[0] * least), int(full[1] * least)))
        by = [n / m for n, m in zip(image.size, full, strict=True)]
        part = (left * by[0], top * by[1], right * by[0], bottom * by[1])
        square = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box=part)
        if generator.random() < 0.5:
            square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(square)

    return lambda: [one(file) for file in files]


def memory(steps: int) -> tuple[float, float]:
    """Streams small JPEG files through the reader.

    Returns:
      the peak of the process's memory after a tenth of the steps, and how much it grew until the end, both in MB.
    """
    files = source(photographs(64, 64, 48))
    order = Order(len(files), BATCH, 0)
    chunks = (order.chunk(step, CHUNK) for step in range(0, steps, CHUNK))
    early, done = 0.0, 0
    for images, _ in reader.batches(files, SMALL, 0, chunks):
        done += len(images)
        if done <= steps // 10:
            early = _peak()
    return early, _peak() - early


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _drain(source: Encoded, chunks: list[Chunk], threads: int) -> None:
    for _ in reader.batches(source, GEOMETRY, 0, chunks, threads=threads):
        pass


def run(quick: bool) -> list[Figure]:
    """Measures Inception crops at 224 px out of photographs of 500 x 375 pixels, and memory over many steps.

    Raises:
      UserError: TensorFlow is not installed.
    """
    count, rounds = (32, 3) if quick else (128, 9)
    files = photographs(count)
    held, seeds = source(files), reader.draw(0, np.zeros(count, np.int32), np.arange(count))
    chunk = Chunk(np.arange(count)[None], np.zeros((1, count), np.int32))
    several = sorted({1, cores()})
    contenders: dict[str, Callable[[], Any]] = {}
    for threads in several:
        decoder = Decoder(GEOMETRY, threads)
        contenders[f"bare {threads}"] = bare(files, threads)
        contenders[f"crop {threads}"] = partial(decoder, files, seeds)
        contenders[f"reader {threads}"] = partial(_drain, held, [chunk] * 4, threads)
    contenders["Pillow"], contenders["Pillow, draft"] = pillow(files, False), pillow(files, True)
    times = interleave(contenders, rounds)

    figures = []
    for threads in several:
        on = f"{threads} thread(s)"
        for name, what, images in (
            ("bare", "bare JPEG decoding", count),
            ("crop", "decoding, Inception crop 224, flip", count),
            ("reader", "the same out of the reader", 4 * count),
        ):
            figures.append(Figure("decode", f"{what}, {on}", "images/s", times.of(f"{name} {threads}").per(images)))
        ratio = times.ratio(f"bare {threads}", f"crop {threads}")
        figures.append(
            Figure("decode", f"decoding, Inception crop 224, flip, {on}", "x", ratio, "bare decoding", "at least 0.85")
        )
        ratio = times.ratio(f"bare {threads}", f"reader {threads}").times(4)
        figures.append(Figure("decode", f"the same out of the reader, {on}", "x", ratio, "bare decoding"))
    for name in ("Pillow", "Pillow, draft"):
        ratio = times.ratio(name, "crop 1")
        figures.append(Figure("decode", f"{name}: decoding, crop, resize, flip", "images/s", times.of(name).per(count)))
        figures.append(Figure("decode", "decoding, Inception crop 224, flip, 1 thread(s)", "x", ratio, name, "above 1"))
    steps = STEPS // 10 if quick else STEPS
    peak, growth = memory(steps)
    figures.append(Figure("decode", f"peak memory of the process after {steps // 10} steps", "MB", once(peak)))
    figures.append(Figure("decode", f"its growth from there to {steps} steps", "MB", once(growth), "", "0 or little"))
    return figures
