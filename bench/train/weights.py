"""Final weights as one flat `.npz`: '/'-joined parameter names, float32, readable by anything, never a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from bench.errors import UserError
from bench.records.atomic import write


def save(path: Path, params: Any) -> None:
    """Writes parameters atomically."""
    flat = {"/".join(k): np.asarray(v) for k, v in traverse_util.flatten_dict(params).items()}
    write(path, lambda file: np.savez(file, allow_pickle=False, **flat))


def load(path: Path) -> dict[str, Any]:
    """Reads parameters as nested dicts of arrays.

    Raises:
      UserError: missing, truncated or pickled file.
    """
    try:
        with path.open("rb") as source, np.load(source, allow_pickle=False) as file:
            flat = {tuple(name.split("/")): file[name] for name in file.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except Exception as error:  # zipfile, zlib and NumPy each have their own
        raise UserError(f"{path}: not a readable .npz checkpoint ({error})") from None
    return dict(traverse_util.unflatten_dict(flat))
