"""Where timm's `tf_efficientnetv2_*` files keep the weights of an EfficientNetV2.

Layouts follow from the name and the rank, with two particulars: timm's squeeze-and-excite is two 1x1 convolutions (O, I, 1, 1)
where there are two dense kernels (I, O) here, and a depthwise kernel is (C, 1, k, k) there and (k, k, 1, C) here, which is the
same transposition as any other convolution's.
"""

from __future__ import annotations

from bench.points.variants.efficientnetv2 import EfficientNetV2Spec, Stage

_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def _conv_norm(ours: str, conv: str, norm: str) -> dict[str, str]:
    return {f"{ours}/kernel": f"{conv}.weight"} | {f"{ours}/norm/{leaf}": f"{norm}.{name}" for leaf, name in _NORM.items()}


def _dense(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}/kernel": f"{theirs}.weight", f"{ours}/bias": f"{theirs}.bias"}


def _convs(block: Stage) -> dict[str, str]:
    """Returns timm's names of a block's convolutions, in their order; timm has another class of block for each case."""
    if block.fused:
        return {"expand": "conv_exp", "project": "conv_pwl"} if block.expansion > 1 else {"project": "conv"}
    if block.expansion > 1:
        return {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
    return {"depthwise": "conv_dw", "project": "conv_pw"}


def names(spec: EfficientNetV2Spec) -> dict[str, str]:
    """Returns timm's name of every weight and running statistic by its '/'-joined name here."""
    found, index = _conv_norm("stem", "conv_stem", "bn1"), 0
    for stage, blocks in enumerate(spec.stages):
        for position, block in enumerate(blocks.blocks()):
            ours, theirs = f"block_{index}", f"blocks.{stage}.{position}"
            for norm, (here, there) in enumerate(_convs(block).items(), 1):
                found |= _conv_norm(f"{ours}/{here}", f"{theirs}.{there}", f"{theirs}.bn{norm}")
            if block.hidden:
                found |= _dense(f"{ours}/squeeze_excite/reduce", f"{theirs}.se.conv_reduce")
                found |= _dense(f"{ours}/squeeze_excite/expand", f"{theirs}.se.conv_expand")
            index += 1
    return found | _conv_norm("final", "conv_head", "bn2") | _dense("head", "classifier")
