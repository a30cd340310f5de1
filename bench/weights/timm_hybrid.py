"""Where timm's `vit_*_r*` files keep the weights of a hybrid.

Layouts follow from the name and the rank. timm adds 1e-5 to the variance in group normalisation where the released code adds
1e-6, and 1e-8 to a kernel's variance where the released code adds 1e-5 to its standard deviation.
"""

from __future__ import annotations

from bench.points.variants.hybrid import HybridSpec
from bench.weights import timm_vit
from bench.weights.timm_vit import layer


def _convolution(ours: str, theirs: str, which: str) -> dict[str, str]:
    """Returns the names of `conv{which}` without bias and of the norm after it."""
    there = f"{theirs}downsample." if which == "_proj" else theirs
    number = which if which.isdigit() else ""
    norm = layer(f"{ours}gn{which}", f"{there}norm{number}", "scale")
    return {f"{ours}conv{which}/kernel": f"{there}conv{number}.weight", **norm}


def _trunk(units: tuple[int, ...]) -> dict[str, str]:
    backbone = "patch_embed.backbone."
    # A root without stages is a plain sequence in timm.
    found = _convolution("", f"{backbone}stem." if units else backbone, "_root")
    for stage, count in enumerate(units):
        for unit in range(count):
            ours, theirs = f"block{stage + 1}/unit{unit + 1}/", f"{backbone}stages.{stage}.blocks.{unit}."
            for which in ("1", "2", "3") if unit else ("1", "2", "3", "_proj"):
                found |= _convolution(ours, theirs, which)
    return found


def names(spec: HybridSpec) -> dict[str, str]:
    """Returns timm's name of every weight by its '/'-joined name here."""
    return _trunk(spec.units) | timm_vit.names(spec)
