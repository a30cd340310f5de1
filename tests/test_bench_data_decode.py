import io
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import file, jpeg, pixels, places
from PIL import Image
from scipy.stats import binomtest, chisquare, ks_2samp

from bench.data import arrays, decode
from bench.data.decode import Decoder, Undecodable
from bench.data.geometry import Geometry
from bench.errors import UserError

SIZES = [(77, 101), (101, 77), (64, 64), (33, 200), (7, 5), (375, 500)]


@pytest.fixture(scope="module")
def tf():
    return decode.tensorflow()


def seeds(count, seed=0):
    return np.random.default_rng(seed).integers(-(2**63), 2**63, (count, 2))


def reference_box(tf, shape, seed):
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        tf.zeros([0, 0, 4]),
        seed,
        area_range=(0.05, 1.0),
        aspect_ratio_range=(0.75, 1.33),
        min_object_covered=0,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], 0)


def truncated(tf, image, side):
    """The reference's resizing: of whole numbers, clipped, cast."""
    resized = tf.image.resize(image, (side, side), method="bilinear", antialias=False)
    return tf.cast(tf.clip_by_value(resized, 0, 255), tf.uint8).numpy()


def test_inception_crops_of_jpegs_are_tensorflows(tf):
    files = tuple(jpeg(*size, seed) for seed, size in enumerate(SIZES))
    drawn = seeds(len(files))
    ours = Decoder(Geometry("inception_crop", 32))(files, drawn)
    assert (ours.dtype, ours.shape) == (np.uint8, (len(files), 32, 32, 3))
    for image, content, seed, size in zip(ours, files, drawn, SIZES, strict=True):
        box = reference_box(tf, (*size, 3), seed)
        part = tf.image.decode_and_crop_jpeg(content, box, channels=3)
        assert np.array_equal(image, truncated(tf, part, 32))


def test_inception_crops_of_pngs_and_arrays_are_tensorflows_and_equal(tf):
    drawn = seeds(5)
    for size in SIZES[:4]:
        decoded = np.stack([pixels(*size, i) for i in range(5)])
        ours = Decoder(Geometry("inception_crop", 32))(decoded, drawn)
        files = tuple(file(image, "PNG") for image in decoded)
        assert np.array_equal(Decoder(Geometry("inception_crop", 32))(files, drawn), ours)
        for image, whole, seed in zip(ours, decoded, drawn, strict=True):
            top, left, rows, columns = reference_box(tf, (*size, 3), seed).numpy()
            assert np.array_equal(image, truncated(tf, whole[top : top + rows, left : left + columns], 32))


def test_files_are_decoded_as_the_reference_decodes_them(tf):
    content = jpeg(77, 77, quality=80)
    ours = Decoder(Geometry("resize", 77))((content,))[0]
    assert np.array_equal(ours, tf.io.decode_image(content, channels=3, expand_animations=False))
    assert np.array_equal(ours, tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_FAST"))
    accurate = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    # Pillow's; so this test would notice the other method.
    assert np.array_equal(accurate, np.asarray(Image.open(io.BytesIO(content))))
    assert 0 < np.abs(ours.astype(int) - accurate).max() <= 8


@pytest.fixture(scope="module")
def boxes():
    """Top, left, rows, columns of 4,000 crops of 90 x 120 pixels, and whether each was flipped, read off the pixels."""
    drawn = seeds(4000, 1)
    decoder = Decoder(Geometry("inception_crop", 128, flip=True))
    # Enlarged, the corners of a crop keep their pixels.
    out = [
        decoder(np.broadcast_to(places(90, 120), (500, 90, 120, 3)), part)[:, [0, -1]][:, :, [0, -1], :2]
        for part in np.split(drawn, 8)
    ]
    corners = np.concatenate(out).astype(int)
    first, last = corners[:, 0, 0], corners[:, 1, 1]
    flipped = first[:, 1] > last[:, 1]
    left, right = np.minimum(first[:, 1], last[:, 1]), np.maximum(first[:, 1], last[:, 1])
    return np.stack([first[:, 0], left, last[:, 0] - first[:, 0] + 1, right - left + 1], axis=1), flipped


def test_crops_are_distributed_as_the_references(tf, boxes):
    @tf.function
    def draw(i):
        # Operations with a state draw differently in every process, whatever the global seed.
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            (90, 120, 3),
            tf.zeros([0, 0, 4]),
            seed=tf.stack([i, 0]),
            area_range=(0.05, 1.0),
            min_object_covered=0,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], size[:2]], 0)

    theirs = np.stack(list(tf.data.Dataset.range(4000).map(draw).as_numpy_iterator()))
    ours, _ = boxes
    assert (ours[:, 0] + ours[:, 2]).max() <= 90
    assert (ours[:, 1] + ours[:, 3]).max() <= 120
    for statistic in (
        lambda box: box[:, 2] * box[:, 3],  # area
        lambda box: box[:, 3] / box[:, 2],  # aspect
        lambda box: box[:, 0],
        lambda box: box[:, 1],
    ):
        assert ks_2samp(statistic(ours), statistic(theirs)).pvalue > 0.01


def test_crops_cover_what_they_should(boxes):
    box, _ = boxes
    share = box[:, 2] * box[:, 3] / (90 * 120)
    assert 0.05 <= share.min() < 0.06
    assert 0.9 < share.max() <= 1
    # The sides are whole numbers, so the aspect of a crop misses the drawn one by up to half a column.
    assert (box[:, 3] >= 0.75 * box[:, 2] - 0.5).all()
    assert (box[:, 3] <= 1.33 * box[:, 2] + 0.5).all()


def test_half_are_flipped_whatever_the_crop(boxes):
    box, flipped = boxes
    assert binomtest(int(flipped.sum()), len(flipped)).pvalue > 0.01
    large = box[:, 2] > np.median(box[:, 2])
    for half in (large, ~large):
        assert binomtest(int(flipped[half].sum()), int(half.sum())).pvalue > 0.01


def test_flips_mirror_and_change_nothing_else():
    drawn = seeds(200)
    files = tuple(jpeg(40, 50, i) for i in range(200))
    plain = Decoder(Geometry("inception_crop", 16))(files, drawn)
    flipped = Decoder(Geometry("inception_crop", 16, flip=True))(files, drawn)
    mirrored = (plain != flipped).any(axis=(1, 2, 3))
    assert 70 < mirrored.sum() < 130
    assert np.array_equal(np.where(mirrored[:, None, None, None], plain[:, :, ::-1], plain), flipped)


def scaled(tf, image, small):
    """big_vision's resize_small: the factor and the sides in float32, halves to even, by areas, cast."""
    height, width = image.shape[:2]
    factor = np.float32(small) / np.float32(min(height, width))
    sides = [int(np.rint(np.float32(n) * factor)) for n in (height, width)]
    return tf.cast(tf.clip_by_value(tf.image.resize(image, sides, "area", antialias=False), 0, 255), tf.uint8).numpy()


@pytest.mark.parametrize("size", [(77, 101), (101, 77), (75, 50), (333, 500), (31, 31), (5, 7)])
def test_central_crops_are_the_references(tf, size):
    content = jpeg(*size)
    ours = Decoder(Geometry("small_central_crop", 32, 37))((content,))[0]
    whole = scaled(tf, tf.io.decode_jpeg(content, channels=3), 37)
    assert min(whole.shape[:2]) == 37
    top, left = (whole.shape[0] - 32) // 2, (whole.shape[1] - 32) // 2
    assert np.array_equal(ours, whole[top : top + 32, left : left + 32])


def test_random_crops_of_scaled_images_lie_anywhere_with_equal_chances(tf):
    # Scaled by one, so that the pixels tell where they were: 13 x 9 places.
    image = places(20, 24)
    assert np.array_equal(scaled(tf, image, 20), image)
    ours = Decoder(Geometry("small_random_crop", 12, 20))(np.broadcast_to(image, (4000, 20, 24, 3)), seeds(4000))
    rows, columns = ours[:, 0, 0, 0], ours[:, 0, 0, 1]
    assert np.array_equal(ours, np.stack([image[r : r + 12, c : c + 12] for r, c in zip(rows, columns, strict=True)]))
    counts = np.bincount(rows.astype(int) * 13 + columns, minlength=9 * 13)
    assert len(counts) == 9 * 13
    assert chisquare(counts).pvalue > 0.01


def test_random_crops_are_of_the_scaled_image(tf):
    content = jpeg(51, 77)
    whole = scaled(tf, tf.io.decode_jpeg(content, channels=3), 40)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (32, 32, 3))[:, :, 0]
    for image in Decoder(Geometry("small_random_crop", 32, 40))((content,) * 5, seeds(5)):
        assert (windows == image).all(axis=(2, 3, 4)).any()


@pytest.mark.parametrize("size", [(9, 14), (64, 64), (101, 77)])
def test_resizing_is_that_of_arrays_in_memory(tf, size):
    images = np.stack([pixels(*size, i) for i in range(6)])
    ours = Decoder(Geometry("resize", 32))(images)
    exact = tf.image.resize(images, (32, 32)).numpy()
    assert np.array_equal(ours, np.rint(exact))
    # There in float64, here in float32: a tie may fall either way.
    other = np.stack([arrays.resize(images[..., c], 32) for c in range(3)], axis=-1)
    differs = ours != other
    assert np.abs(ours.astype(int) - other).max() <= 1
    assert (np.abs(exact[differs] % 1 - 0.5) < 1e-4).all()


def test_every_form_of_file_becomes_rgb():
    rgb = pixels(20, 24)
    alpha = np.concatenate([rgb, np.full((20, 24, 1), 7, np.uint8)], axis=-1)
    grey, palette = Image.fromarray(rgb).convert("L"), Image.fromarray(rgb).quantize(16)
    deep = Image.fromarray(np.arange(480, dtype=np.uint16).reshape(20, 24) * np.uint16(130))
    cmyk = Image.fromarray(np.full((20, 24, 4), (0, 200, 200, 40), np.uint8), "CMYK")
    keep = Decoder(Geometry("resize", 32))
    whole = Geometry("small_central_crop", 20, 20)
    files = {
        "rgb": (file(rgb, "PNG"), rgb),
        "transparent": (file(Image.fromarray(alpha), "PNG"), rgb),
        "grey PNG": (file(grey, "PNG"), np.repeat(np.asarray(grey)[..., None], 3, -1)),
        "palette": (file(palette, "PNG"), np.asarray(palette.convert("RGB"))),
        "16 bits": (file(deep, "PNG"), np.repeat((np.asarray(deep) >> 8).astype(np.uint8)[..., None], 3, -1)),
    }
    for name, (content, expected) in files.items():
        assert np.array_equal(Decoder(whole)((content,))[0], expected[:, 2:22]), name
    grey_jpeg = keep((file(grey, "JPEG"),))[0]
    assert (grey_jpeg == grey_jpeg[..., :1]).all()
    # Ink of 200 over a fifth of black: red (255 - 40), green and blue (55 * 215 / 255).
    inks = keep((file(cmyk, "JPEG", quality=95),))[0].astype(int)
    assert np.abs(inks - (215, 46, 46)).max() <= 3


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_crops_decoded_alone_are_those_of_the_whole(tf, mode):
    # With fewer pixels for colours than for brightness a crop may differ: what colours are interpolated from ends with it.
    content = file(pixels(64, 80), "JPEG", mode, quality=95, subsampling=0)
    drawn, whole = seeds(6), tf.io.decode_jpeg(content, channels=3).numpy()
    for image, seed in zip(Decoder(Geometry("inception_crop", 32))((content,) * 6, drawn), drawn, strict=True):
        top, left, rows, columns = reference_box(tf, (64, 80, 3), seed).numpy()
        assert np.array_equal(image, truncated(tf, whole[top : top + rows, left : left + columns], 32))


def test_grey_arrays_are_rgb_of_equal_channels():
    images, drawn = np.stack([pixels(64, 64, i) for i in range(4)])[..., :1], seeds(4)
    decoder = Decoder(Geometry("inception_crop", 32, flip=True))
    assert np.array_equal(decoder(images, drawn), decoder(np.repeat(images, 3, -1), drawn))


def test_pixels_of_the_right_size_come_through_without_tensorflow(monkeypatch):
    monkeypatch.setattr(decode, "tensorflow", lambda: pytest.fail("not needed"))
    images, drawn = np.stack([pixels(32, 32, i) for i in range(40)]), seeds(40)
    assert np.array_equal(Decoder(Geometry("resize", 32))(images), images)
    flipped = Decoder(Geometry("resize", 32, flip=True))(images, drawn)
    mirrored = (flipped != images).any(axis=(1, 2, 3))
    assert 8 < mirrored.sum() < 32
    assert np.array_equal(flipped[mirrored], images[mirrored][:, :, ::-1])
    grey = Decoder(Geometry("small_central_crop", 32, 32))(images[..., :1])
    assert np.array_equal(grey, np.repeat(images[..., :1], 3, -1))
    assert Decoder(Geometry("inception_crop", 32))((), np.empty((0, 2), np.int64)).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("constant", [0, 1])
def test_both_seeds_take_part_in_a_flip(constant):
    images, drawn = np.broadcast_to(pixels(32, 32), (400, 32, 32, 3)), seeds(400)
    drawn[:, constant] = 5
    flipped = (Decoder(Geometry("resize", 32, flip=True))(images, drawn) != images).any(axis=(1, 2, 3))
    assert binomtest(int(flipped.sum()), 400).pvalue > 0.01


def test_flips_are_the_same_with_and_without_tensorflow():
    images, drawn = np.stack([pixels(32, 32, i) for i in range(40)]), seeds(40)
    files = tuple(file(image, "PNG") for image in images)
    decoder = Decoder(Geometry("resize", 32, flip=True))
    assert np.array_equal(decoder(files, drawn), decoder(images, drawn))


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(12)), st.integers(1, 12), st.sampled_from([1, 2, 5]))
def test_a_result_depends_on_neither_batch_nor_threads(order, first, threads):
    geometry = Geometry("inception_crop", 24, flip=True)
    files = tuple(jpeg(30 + i, 50 - i, i) if i % 3 else file(pixels(30, 40, i), "PNG") for i in range(12))
    drawn = seeds(12)
    whole = _one_thread(geometry)(files, drawn)
    decoder = _decoders.setdefault((geometry, threads), Decoder(geometry, threads))
    chosen = order[:first]
    assert np.array_equal(decoder(tuple(files[i] for i in chosen), drawn[chosen]), whole[chosen])


_decoders = {}


def _one_thread(geometry):
    return _decoders.setdefault((geometry, 1), Decoder(geometry, 1))


def test_seeds_are_needed_where_something_is_random():
    for geometry in (Geometry("inception_crop", 32), Geometry("resize", 32, flip=True)):
        with pytest.raises(ValueError, match="needs seeds"):
            Decoder(geometry)((jpeg(40, 40),))


def moving():
    frames = [Image.fromarray(pixels(20, 20, i)).convert("P") for i in range(3)]
    return file(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"", "neither a JPEG nor a PNG file, but beginning with b''"),
        (b"<html>not found</html>", "neither a JPEG nor a PNG file, but beginning with b'<html>no'"),
        (moving(), "neither a JPEG nor a PNG file, but GIF"),
        (file(pixels(20, 20), "BMP"), "neither a JPEG nor a PNG file, but BMP"),
        (jpeg(77, 101)[:500], "a JPEG file of 500 bytes, damaged or cut short"),
        (b"\xff\xd8\xff" + bytes(97), "a JPEG file of 100 bytes, damaged or cut short"),
        (file(pixels(77, 101), "PNG")[:700], "a PNG file of 700 bytes, damaged or cut short"),
    ],
)
@pytest.mark.parametrize("geometry", [Geometry("inception_crop", 32), Geometry("small_central_crop", 32, 40)], ids=str)
def test_a_broken_file_is_named_and_the_others_are_not_blamed(geometry, broken, reason):
    decoder = _one_thread(geometry)
    good = (jpeg(40, 50), jpeg(50, 40), file(pixels(40, 40), "PNG"))
    for index in (0, 2):
        with pytest.raises(Undecodable) as caught:
            decoder((*good[:index], broken, *good[index:]), seeds(4))
        assert (caught.value.index, caught.value.reason) == (index, reason)
        assert str(caught.value) == f"image {index} of the batch: {reason}"
    assert decoder(good, seeds(3)).shape == (3, 32, 32, 3)


def test_a_file_cut_short_is_noticed_whatever_the_crop():
    decoder, content = _one_thread(Geometry("inception_crop", 32)), jpeg(77, 101)
    for end in (-1, -20, -200):
        for seed in seeds(20)[:, None]:
            with pytest.raises(Undecodable, match="cut short"):
                decoder((content[:end],), seed)
    # Some cameras add to their files.
    drawn = seeds(1)
    for more in (b"\n", bytes(1000)):
        assert np.array_equal(decoder((content + more,), drawn), decoder((content,), drawn))


def test_a_png_by_another_name_is_a_png():
    image = pixels(32, 32)
    mixed = (jpeg(32, 32), file(image, "PNG"), jpeg(32, 32, 1))
    out = Decoder(Geometry("resize", 32))(mixed)
    assert np.array_equal(out[1], image)
    assert np.array_equal(out[[0, 2]], Decoder(Geometry("resize", 32))((mixed[0], mixed[2])))


def test_other_threads_of_python_run_while_it_decodes():
    decoder = Decoder(Geometry("inception_crop", 224), 1)
    files, drawn = (jpeg(375, 500),) * 150, seeds(150)
    decoder(files[:2], drawn[:2])
    ticks, done = [], threading.Event()

    def count():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    started = time.perf_counter()
    decoder(files, drawn)
    ended = time.perf_counter()
    done.set()
    thread.join()
    within = [started, *(tick for tick in ticks if started < tick < ended), ended]
    assert len(within) > 10
    # Held throughout, the lock would leave one gap as long as the call.
    assert np.diff(within).max() < (ended - started) / 2


def test_threads_may_share_a_decoder():
    geometry = Geometry("inception_crop", 32, flip=True)
    decoder, files, drawn = Decoder(geometry, 2), tuple(jpeg(60, 60, i) for i in range(30)), seeds(30)
    expected, found = _one_thread(geometry)(files, drawn), {}
    workers = [threading.Thread(target=lambda i=i: found.setdefault(i, decoder(files, drawn))) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == [0, 1, 2, 3]
    assert all(np.array_equal(out, expected) for out in found.values())


def test_without_tensorflow_one_line_says_so(monkeypatch):
    decode.tensorflow.cache_clear()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "tensorflow", None)
        with pytest.raises(UserError) as caught:
            Decoder(Geometry("resize", 32))((jpeg(40, 40),))
    assert str(caught.value) == "decoding images needs tensorflow, which is not installed: pip install tensorflow-cpu"
    assert Decoder(Geometry("resize", 32))((jpeg(40, 40),)).shape == (1, 32, 32, 3)


def test_tensorflow_is_not_imported_before_it_is_used():
    code = "import sys, bench.data.reader; sys.exit('tensorflow' in sys.modules or 'jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
