"""Where timm's `resnet50*` files keep the weights and running statistics of a ResNet; layouts follow from the rank.

timm normalises images by the mean and the standard deviation of ImageNet's channels, not to [-1, 1].
"""

from __future__ import annotations

from bench.points.variants.resnet import ResNetSpec

_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def _norm(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}/{leaf}": f"{theirs}.{name}" for leaf, name in _NORM.items()}


def _unit(ours: str, theirs: str, first: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for i in ("1", "2", "3"):
        found |= {f"{ours}/conv{i}/kernel": f"{theirs}.conv{i}.weight", **_norm(f"{ours}/bn{i}", f"{theirs}.bn{i}")}
    if first:
        found |= {f"{ours}/conv_proj/kernel": f"{theirs}.downsample.0.weight"}
        found |= _norm(f"{ours}/bn_proj", f"{theirs}.downsample.1")
    return found


def names(spec: ResNetSpec) -> dict[str, str]:
    """Returns timm's name of every weight by its '/'-joined name here."""
    found = {"conv_root/kernel": "conv1.weight", **_norm("bn_root", "bn1")}
    for stage, count in enumerate(spec.units):
        for unit in range(count):
            found |= _unit(f"block{stage + 1}/unit{unit + 1}", f"layer{stage + 1}.{unit}", unit == 0)
    return found | {"head/kernel": "fc.weight", "head/bias": "fc.bias"}
