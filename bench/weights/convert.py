"""From one layout to another, checked on the way."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError, choose_from
from bench.models import variables
from bench.points import VARIANTS
from bench.weights import files
from bench.weights.load import load
from bench.weights.released import to_released
from bench.weights.timm import to_timm

LAYOUTS = ("ours", "released", "timm")
_RELEASED_FAMILIES = ("vit", "hybrid")


def convert(source: str | Path, target: Path, model: str, layout: str = "ours") -> int:
    """Reads weights in any layout and writes them in one; resolution and head stay as they are.

    Args:
      source: as for `files.read`.
      target: an `.npz` or `.safetensors` file.
      model: name of the variant.
      layout: one of `LAYOUTS`.

    Returns:
      The number of arrays written.

    Raises:
      UserError: as for `load`, or this layout does not know this family, or the target cannot be written.
    """
    if target.suffix not in files.SUFFIXES:
        raise UserError(f"{target}: a file of weights ends in {' or '.join(files.SUFFIXES)}")
    if layout not in LAYOUTS:
        raise UserError(f"unknown layout {layout!r}: {choose_from(layout, LAYOUTS)}")
    if layout == "released" and model in VARIANTS and VARIANTS[model].family not in _RELEASED_FAMILIES:
        raise UserError(f"the released layout is that of Vision Transformers and their hybrids, not of {model}")
    flat = variables.flat(load(source, model, head="keep"))
    if layout == "released":
        flat = to_released(flat)
    elif layout == "timm":
        flat = to_timm(flat, model)
    files.write(target, flat)
    return len(flat)
