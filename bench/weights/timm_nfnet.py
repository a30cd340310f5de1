"""Where timm's `dm_nfnet_*` files keep the weights of an NFNet.

Layouts follow from the name and the rank: squeeze-and-excite is two 1x1 convolutions (O, I, 1, 1) there and two dense layers
(I, O) here, gains are (C, 1, 1, 1) there, and `skip_gain` is a scalar in both. timm adds 1e-5 to a variance, which
the released code does not, and its GELU is the exact one where the released code has the tanh approximation.
"""

from __future__ import annotations

from bench.points.variants.nfnet import NFNetSpec

_CONVS = {"conv0": "conv1", "conv1": "conv2", "conv1b": "conv2b", "conv2": "conv3"}
_SQUEEZE_EXCITE = {"linear": "fc1", "linear_1": "fc2"}


def _conv(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}/{leaf}": f"{theirs}.{name}" for leaf, name in (("kernel", "weight"), ("gain", "gain"), ("bias", "bias"))}


def _dense(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}/kernel": f"{theirs}.weight", f"{ours}/bias": f"{theirs}.bias"}


def names(spec: NFNetSpec) -> dict[str, str]:
    """Returns timm's name of every weight by its '/'-joined name here."""
    found: dict[str, str] = {}
    for i in range(len(spec.stem)):
        found |= _conv(f"stem_conv{i}", f"stem.conv{i + 1}")
    index, channels = 0, spec.stem[-1][0]
    for stage, (width, depth, stride) in enumerate(zip(spec.widths, spec.depths, spec.strides, strict=True)):
        for position in range(depth):
            ours, theirs = f"nf_block_{index}", f"stages.{stage}.{position}"
            found[f"{ours}/skip_gain"] = f"{theirs}.skipinit_gain"
            for here, there in _CONVS.items():
                found |= _conv(f"{ours}/{here}", f"{theirs}.{there}")
            for here, there in _SQUEEZE_EXCITE.items():
                found |= _dense(f"{ours}/squeeze_excite/{here}", f"{theirs}.attn_last.{there}")
            if position == 0 and (stride > 1 or channels != width):
                found |= _conv(f"{ours}/conv_shortcut", f"{theirs}.downsample.conv")
            index, channels = index + 1, width
    return found | _conv("final_conv", "final_conv") | _dense("head", "head.fc")
