"""Files of weights: `.npz` and `.safetensors`, flat names to arrays; what could run code on opening is refused, never tried.

What a file is, its content says; its suffix only says what to write.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from bench import remote
from bench.errors import UserError
from bench.records import atomic

Flat = dict[str, np.ndarray[Any, Any]]

SUFFIXES = (".npz", ".safetensors")
# The longest header that the safetensors library reads: bytes.
_LONGEST_HEADER = 100_000_000
# How much of a file's beginning tells what it is: bytes.
_HEAD = 4096
_NFNET_PORT = "https://huggingface.co/timm/dm_nfnet_f{}.dm_in1k/resolve/main/model.safetensors"
_OTHER_KINDS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"\x93NUMPY": "a single array (.npy)",
    b"\x1f\x8b": "compressed with gzip",
    b"version https://git-lfs": "a Git LFS pointer, not the file that it points to",
    b"<": "a web page or an XML answer",
}


def read(location: str | Path) -> Flat:
    """Reads a file of weights.

    Args:
      location: a path, or an address that starts with gs://, https:// or http://.

    Returns:
      Arrays by the names in the file; floats of any width as float32, other types as they are.

    Raises:
      UserError: missing, unreachable, damaged, of another kind, or a pickle.
    """
    name = str(location)
    path = remote.fetch(name, lambda head: _kind(head, name)) if remote.is_remote(location) else Path(location)
    try:
        with path.open("rb") as file:
            kind = _kind(file.read(_HEAD), name)
    except FileNotFoundError:
        raise UserError(f"{name}: no such file of weights") from None
    except IsADirectoryError:
        raise UserError(f"{name}: is a folder; weights are one .npz or .safetensors file") from None
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error})") from None
    found = _read_npz(path, name) if kind == ".npz" else _read_safetensors(path, name)
    if not found:
        raise UserError(f"{name}: holds no arrays")
    return {key: _as_float32(value) for key, value in found.items()}


def write(path: Path, flat: Mapping[str, Any], *, patient: bool | atomic.Waits = False) -> None:
    """Writes arrays atomically, as the path's suffix says; `patient` as of `bench.records.atomic.write`.

    Raises:
      UserError: the suffix is neither `.npz` nor `.safetensors`, or the place cannot be written.
    """
    # Unlike numpy.ascontiguousarray, this leaves arrays without axes as they are.
    arrays = {key: np.asarray(value, order="C") for key, value in flat.items()}
    if path.suffix == ".npz":
        _write(path, lambda file: np.savez(file, allow_pickle=False, **arrays), patient)
    elif path.suffix == ".safetensors":
        _write(path, lambda file: file.write(safetensors.numpy.save(arrays)), patient)
    else:
        raise UserError(f"{path}: a file of weights ends in {' or '.join(SUFFIXES)}")


def identity(flat: Mapping[str, Any]) -> str:
    """Returns 16 hex digits of the SHA-256 of names, shapes and numbers as float32, whatever the file and the order in it."""
    digest = hashlib.sha256()
    for name in sorted(flat):
        value = np.asarray(flat[name], np.float32, order="C")
        digest.update(f"{name} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()[:16]


def _write(path: Path, fill: Any, patient: bool | atomic.Waits) -> None:
    try:
        atomic.write(path, fill, patient=patient)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _kind(head: bytes, name: str) -> str:
    """Returns the suffix that a file should have, by its first bytes.

    Raises:
      UserError: it is of no kind that is read here.
    """
    if not head:
        raise UserError(f"{name}: is empty")
    if head.startswith(b"PK"):
        if b"data.pkl" in head[:256]:
            raise UserError(_pickled(name, head, "is a PyTorch file, which holds a Python pickle"))
        return ".npz"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER:
        return ".safetensors"
    # From protocol 2 on a pickle says so; before, it began with what it holds: a dict, a list, a tuple, a class.
    if re.match(rb"\x80[\x02-\x08]|[(\]}c]", head):
        raise UserError(_pickled(name, head, "is a Python pickle"))
    for magic, what in _OTHER_KINDS.items():
        if head.startswith(magic):
            raise UserError(f"{name}: is {what}; weights are read from .npz and .safetensors files")
    raise UserError(f"{name}: is neither an .npz nor a .safetensors file, or its beginning is damaged")


def _pickled(name: str, head: bytes, what: str) -> str:
    text = f"{name}: {what} and could run any code when opened, so it is never read; "
    haiku = re.search(r"\bF(\d)_haiku", name)
    if haiku or b"NFNet/" in head:
        return f"{text}the same weights as safetensors: {_NFNET_PORT.format(haiku[1] if haiku else '0')}"
    return text + "take its .safetensors version, or save its arrays as .npz where you trust it"


def _read_npz(path: Path, name: str) -> Flat:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{name}: is cut off or damaged ({error}); get it again") from None
    if any(member.endswith("data.pkl") for member in members):
        raise UserError(_pickled(name, b"", "is a PyTorch file, which holds a Python pickle"))
    strange = next((member for member in members if not member.endswith(".npy")), None)
    if strange:
        raise UserError(f"{name}: is a zip archive with {strange!r} in it, not an .npz of arrays")
    found = Flat()
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            try:
                found[key] = file[key]
            except Exception as error:  # zipfile, zlib and NumPy each have their own
                if "allow_pickle" in str(error):
                    raise UserError(_pickled(name, b"", f"holds {key!r} as Python pickle")) from None
                raise UserError(f"{name}: {key!r} is damaged ({error}); get the file again") from None
    return found


def _read_safetensors(path: Path, name: str) -> Flat:
    found, key = Flat(), ""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            for key in file.keys():  # noqa: SIM118 - no mapping
                found[key] = file.get_tensor(key)
    except safetensors.SafetensorError as error:
        raise UserError(f"{name}: is cut off or damaged ({error}); get it again") from None
    except (TypeError, OSError, MemoryError) as error:
        raise UserError(f"{name}: {key!r} cannot be read ({error})") from None
    return found


def _as_float32(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if value.dtype == np.dtype("V2"):
        # NumPy forgets the name of bfloat16 in .npz files; big_vision `utils.recover_dtype` reads it in the same way.
        value = value.view(ml_dtypes.bfloat16)
    floats = (np.float16, np.float64, ml_dtypes.bfloat16)
    return value.astype(np.float32) if value.dtype in floats else value
