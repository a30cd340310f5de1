"""Files of weights: exact, portable, whole or not there, and never a pickle."""

import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import weightless

from bench import weights
from bench.errors import UserError
from bench.records import atomic

FLAT = {
    "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "b/c/bias": np.float32([1 / 3]),
    "gain": np.asarray(0.1, np.float32),
}
SUFFIXES = [".npz", ".safetensors"]


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / f"w{request.param}"


@pytest.fixture
def bomb(tmp_path):
    """An object whose unpickling makes a file, and whether it did."""
    marker = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (open, (str(marker), "w"))

        def went_off(self):
            return marker.exists()

    return Bomb()


def test_arrays_read_back_bit_for_bit_under_their_names(path):
    weights.write(path, FLAT)
    assert weightless.same(weights.read(path), FLAT)


def test_other_programs_read_what_is_written(tmp_path):
    weights.write(tmp_path / "w.npz", FLAT)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert weightless.same(dict(file), FLAT)
    weights.write(tmp_path / "w.safetensors", FLAT)
    assert weightless.same(safetensors.numpy.load_file(tmp_path / "w.safetensors"), FLAT)


def test_the_order_of_axes_in_memory_does_not_matter(path):
    turned = FLAT["a/kernel"].T
    weights.write(path, {"t": turned})
    np.testing.assert_array_equal(weights.read(path)["t"], turned)


def test_the_content_decides_what_a_file_is(tmp_path, path):
    weights.write(path, FLAT)
    path.rename(tmp_path / "w.bin")
    assert weightless.same(weights.read(str(tmp_path / "w.bin")), FLAT)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_floats_of_any_width_become_float32(tmp_path, dtype):
    values = np.asarray([1.5, -2.0, 0.25], dtype)
    np.savez(tmp_path / "w.npz", x=values)
    safetensors.numpy.save_file({"x": values}, tmp_path / "w.safetensors")
    for suffix in SUFFIXES:
        found = weights.read(tmp_path / f"w{suffix}")["x"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.float32([1.5, -2.0, 0.25]))


def test_integers_stay_integers(path):
    weights.write(path, {"n": np.asarray(3)})
    assert weights.read(path)["n"].dtype == np.int64


def test_a_failed_write_leaves_the_file_that_was_there(path, monkeypatch):
    weights.write(path, FLAT)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*No space left"):
        weights.write(path, {"other": np.zeros(1000, np.float32)})
    assert weightless.same(weights.read(path), FLAT)
    assert list(path.parent.iterdir()) == [path]


def test_the_suffix_must_be_known_and_the_place_writable(tmp_path):
    with pytest.raises(UserError, match=r"w\.pt: a file of weights ends in \.npz or \.safetensors"):
        weights.write(tmp_path / "w.pt", FLAT)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        weights.write(tmp_path / "file" / "w.npz", FLAT)


# What is refused


def refused(path, match):
    with pytest.raises(UserError, match=match) as caught:
        weights.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_file(path):
    refused(path, "no such file of weights")


def test_folder(tmp_path):
    refused(tmp_path, "is a folder")


def test_empty_file(path):
    path.touch()
    refused(path, "is empty")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_file_that_is_cut_off(path, kept):
    weights.write(path, {"x": np.random.default_rng(0).random(3000, np.float32)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    refused(path, "is cut off or damaged .*get it again")


def test_npz_with_a_flipped_bit(tmp_path):
    path = tmp_path / "w.npz"
    weights.write(path, {"x": np.ones(3000, np.float32)})
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    refused(path, "'x' is damaged .*get the file again")


def test_file_without_arrays(path):
    weights.write(path, {})
    refused(path, "holds no arrays")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_never_executed(tmp_path, bomb, protocol):
    path = tmp_path / "w.npz"
    path.write_bytes(pickle.dumps({"a": bomb}, protocol))
    refused(path, r"is a Python pickle .*never read; take its \.safetensors version")
    assert not bomb.went_off()
    # It would have gone off.
    pickle.loads(path.read_bytes())["a"].close()
    assert bomb.went_off()


@pytest.mark.parametrize(
    ("name", "content", "port"),
    [("F3_haiku.npz", "anything", "dm_nfnet_f3"), ("renamed.npz", "NFNet/~/stem_conv0", "dm_nfnet_f0")],
)
def test_pickled_nfnet_names_its_safe_port(tmp_path, name, content, port):
    (tmp_path / name).write_bytes(pickle.dumps({content: {"w": np.zeros(3)}}))
    refused(
        tmp_path / name, rf"never read; the same weights as safetensors: https://.*/timm/{port}\.dm_in1k/.*model\.safetensors"
    )


def test_npz_of_objects_is_never_executed(tmp_path, bomb):
    path = tmp_path / "w.npz"
    np.savez(path, fine=np.zeros(2), a=np.array([bomb], dtype=object))
    refused(path, "holds 'a' as Python pickle")
    assert not bomb.went_off()


@pytest.mark.parametrize("first", ["archive/data.pkl", "archive/version"])
def test_pytorch_file_is_never_executed(tmp_path, bomb, first):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(["archive/data.pkl", "archive/version"], key=lambda n: n != first):
            archive.writestr(name, pickle.dumps(bomb) if name.endswith("pkl") else "3")
    refused(path, "is a PyTorch file, which holds a Python pickle")
    assert not bomb.went_off()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file"),
        (b"\x93NUMPY\x01\x00", r"is a single array \(\.npy\)"),
        (b"\x1f\x8b\x08\x00", "is compressed with gzip"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"<!doctype html><html>", "is a web page"),
        (bytes(100), "is neither"),
        (b"\x80", "is neither"),
    ],
)
def test_other_kind_of_file(tmp_path, content, what):
    (tmp_path / "w.npz").write_bytes(content)
    refused(tmp_path / "w.npz", what)


def test_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("config.json", "{}")
    refused(tmp_path / "w.npz", r"is a zip archive with 'config\.json' in it")


def test_safetensors_of_an_unknown_type(tmp_path):
    data = safetensors.numpy.save({"x": np.zeros(4, np.int8)}).replace(b'"I8"', b'"X8"')
    (tmp_path / "w.safetensors").write_bytes(data)
    refused(tmp_path / "w.safetensors", "damaged|cannot be read")
