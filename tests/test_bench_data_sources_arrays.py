"""Images in memory and in `.npz` files, and what is said of files that do not fit."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_data import real_data

from bench.data.sources.arrays import Arrays, Encoded, read_npz
from bench.data.sources.source import fingerprint
from bench.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9])
CONTENTS = [f"file {i}".encode() * (i + 1) for i in range(6)]
JPG = np.frombuffer(b"".join(CONTENTS), np.uint8)
OFF = np.cumsum([0, *map(len, CONTENTS)])


def test_arrays_give_images_by_index():
    source = Arrays(PIXELS, LABELS, "mine")
    images, labels = source.read(np.array([5, 0, 5]))
    assert np.array_equal(images, PIXELS[[5, 0, 5]])
    assert labels.tolist() == [9, 3, 9]
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    assert source.where(4) == "mine, image 4"


def test_grey_is_repeated_over_three_channels():
    images, _ = Arrays(PIXELS[..., :1], LABELS).read(np.arange(6))
    assert images.shape == (6, 4, 5, 3)
    assert (images == PIXELS[..., :1]).all()


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_encoded_images_are_cut_at_their_offsets(tmp_path, kind):
    np.savez(tmp_path / "a.npz", val_jpg=JPG, val_off=OFF, val_y=LABELS.astype(kind))
    source = read_npz(tmp_path / "a.npz", "val")
    assert source.read(np.array([2, 5, 2])).images == (CONTENTS[2], CONTENTS[5], CONTENTS[2])
    assert source.read(np.arange(6)).labels.tolist() == LABELS.tolist()
    assert source.where(3) == f"{tmp_path / 'a.npz'}, split 'val', image 3"


def test_both_layouts_may_lie_in_one_file(tmp_path):
    np.savez(tmp_path / "a.npz", train_x=PIXELS, train_y=LABELS, val_jpg=JPG, val_off=OFF, val_y=LABELS)
    assert isinstance(read_npz(tmp_path / "a.npz", "train"), Arrays)
    assert isinstance(read_npz(str(tmp_path / "a.npz"), "val"), Encoded)


SOUND = {"x": {"val_x": PIXELS, "val_y": LABELS}, "jpg": {"val_jpg": JPG, "val_off": OFF, "val_y": LABELS}}


@pytest.mark.parametrize(
    ("layout", "change", "said"),
    [
        ("x", {"val_x": PIXELS.astype(np.float32)}, r"images must be uint8.* not float32\[6, 4, 5, 3\]"),
        ("x", {"val_x": PIXELS[..., :2]}, r"not uint8\[6, 4, 5, 2\]"),
        ("x", {"val_x": PIXELS[..., 0]}, r"not uint8\[6, 4, 5\]"),
        ("x", {"val_y": LABELS[:5]}, "6 images but 5 labels"),
        ("x", {"val_y": LABELS.astype(float)}, r"labels must be one integer an image, not float64\[6\]"),
        ("x", {"val_y": LABELS[:, None]}, r"not int64\[6, 1\]"),
        ("x", {"val_y": LABELS + 2**32}, "labels up to 4294967305 do not fit into 32 bits"),
        ("x", {"val_x": None}, "holds val_y; expected <split>_x with <split>_y, or <split>_jpg"),
        ("x", {"val_y": None}, "no labels val_y of split 'val': the file must hold <split>_x"),
        ("jpg", {"val_off": None}, "holds val_jpg, val_y; expected"),
        ("jpg", {"val_jpg": JPG.astype(np.int16)}, r"encoded images must be uint8\[N\], not int16\["),
        ("jpg", {"val_off": OFF[:-1]}, r"offsets must be 7 integers for 6 labels, not int64\[6\]"),
        ("jpg", {"val_off": OFF.astype(float)}, r"not float64\[7\]"),
        ("jpg", {"val_off": OFF + 1}, "offsets run from 1 to 127, not from 0 to the 126 bytes"),
        ("jpg", {"val_off": np.maximum(OFF, 1)}, "offsets run from 1 to 126, not from 0"),
        ("jpg", {"val_jpg": JPG[:-1]}, "offsets run from 0 to 126, not from 0 to the 125 bytes"),
        ("jpg", {"val_off": OFF[[0, 1, 3, 2, 4, 5, 6]]}, "offsets do not ascend at image 2"),
        ("jpg", {"val_off": OFF[[0, 1, 1, 3, 4, 5, 6]]}, "offsets do not ascend at image 1"),
        ("jpg", {"val_y": LABELS[:5]}, r"offsets must be 6 integers for 5 labels, not int64\[7\]"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, layout, change, said):
    held = {key: value for key, value in {**SOUND[layout], **change}.items() if value is not None}
    np.savez(tmp_path / "a.npz", **held)
    with pytest.raises(UserError, match=said) as caught:
        read_npz(tmp_path / "a.npz", "val")
    assert str(caught.value).startswith(f"{tmp_path / 'a.npz'}")
    assert "\n" not in str(caught.value)


def test_the_unchanged_files_of_the_test_above_are_read(tmp_path):
    for name, held in SOUND.items():
        np.savez(tmp_path / f"{name}.npz", **held)
        assert len(read_npz(tmp_path / f"{name}.npz", "val")) == 6


def test_an_unknown_split_is_refused_with_those_there_are(tmp_path):
    np.savez(tmp_path / "a.npz", train_x=PIXELS, train_y=LABELS, test_x=PIXELS, test_y=LABELS)
    with pytest.raises(UserError, match=r"of split 'tests': did you mean 'test'\? valid: test, train"):
        read_npz(tmp_path / "a.npz", "tests")


def unreadable(path):
    with pytest.raises(UserError) as caught:
        read_npz(path, "val")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_and_damaged_files(tmp_path):
    path = tmp_path / "a.npz"
    assert unreadable(path).endswith("no such file")
    np.savez(path, **SOUND["x"])
    whole = path.read_bytes()
    for content in (b"", whole[:4], whole[: len(whole) // 2], whole[:-30], b"PK" + bytes(100)):
        path.write_bytes(content)
        assert "cannot be read as an .npz file" in unreadable(path)
    damaged = bytearray(whole)
    damaged[200] ^= 1  # among the pixels
    path.write_bytes(damaged)
    assert "CRC" in unreadable(path)
    assert "cannot be read" in unreadable(tmp_path)
    np.save(tmp_path / "b.npy", PIXELS)
    assert "one bare array" in unreadable(tmp_path / "b.npy")


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", val_x=PIXELS, val_y=np.array([Trap()] * 6, object))
    assert "plain arrays" in unreadable(Path("a.npz"))
    Path("b.npz").write_bytes(pickle.dumps(Trap()))
    assert "plain arrays" in unreadable(Path("b.npz"))
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("name", "split", "size", "side"),
    [
        ("cifar10", "train", 800, 32),
        ("gtsrb", "val", 200, 32),
        ("coil20_azimuth", "test", 440, 32),
        ("neu_surface", "test", 800, 64),
    ],
)
def test_real_arrays(name, split, size, side):
    source = read_npz(real_data(name), split)
    images, labels = source.read(np.arange(len(source)))
    with np.load(real_data(name)) as file:
        assert np.array_equal(images, np.broadcast_to(file[f"{split}_x"], (size, side, side, 3)))
        assert np.array_equal(labels, file[f"{split}_y"])
    assert len(fingerprint(source)) == 16


@pytest.mark.parametrize(
    ("name", "split", "size", "side"),
    [("clothing10", "val", 200, 160), ("rsscn7", "val", 200, 160), ("tinyimagenet_upstream", "val", 1000, 64)],
)
def test_real_encoded_images(name, split, size, side):
    source = read_npz(real_data(name), split)
    images, labels = source.read(np.arange(len(source)))
    assert len(images) == len(labels) == size
    with np.load(real_data(name)) as file:
        assert b"".join(images) == file[f"{split}_jpg"].tobytes()
        assert np.array_equal(labels, file[f"{split}_y"])
    for image in images[::50]:
        with Image.open(io.BytesIO(image)) as opened:
            assert opened.format == "JPEG"
            assert max(opened.size) == side
            opened.load()
