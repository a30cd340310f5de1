"""A whole training step against PyTorch's: the same models, eager, on the same cores, in the same run."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import jax
import numpy as np

from bench.errors import UserError
from bench.models import count_params
from bench.perf import setting
from bench.perf.figure import Figure
from bench.perf.timing import interleave
from bench.train import gain
from bench.train.program import Programs

CLIPPING_RATIO = 0.01


@dataclass(frozen=True)
class Pair:
    """One of our cases and the same model out of timm, by name and by what differs from that name."""

    case: setting.Case
    timm: str
    options: dict[str, Any] = field(default_factory=dict)


_MU = {"img_size": 28, "patch_size": 7, "embed_dim": 48, "depth": 2}
QUICK = (Pair(setting.VIT_MU, "vit_tiny_patch16_224", _MU),)
FULL = (Pair(setting.TI16, "vit_tiny_patch16_224"), Pair(setting.NFNET_F0, "dm_nfnet_f0"))


class _Names(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Nothing(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Names(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a torchvision that has every name: timm imports it for transforms and boxes, which no model here uses."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:  # noqa: ARG002
        found = name.split(".")[0] == "torchvision"
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if found else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Nothing(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def libraries() -> tuple[Any, Any]:
    """Returns the modules torch and timm.

    Raises:
      UserError: one of them is not installed.
    """
    if missing := [name for name in ("torch", "timm") if importlib.util.find_spec(name) is None]:
        raise UserError(f"the comparison with PyTorch needs {' and '.join(missing)}: install torch and timm here")
    if importlib.util.find_spec("torchvision") is None:
        # Last, so that a real torchvision comes first where one is installed.
        sys.meta_path.append(_Finder())
    return import_module("torch"), import_module("timm")


def dispatch(pair: Pair) -> Callable[[], float]:
    """Returns a function that makes PyTorch train `chunk` steps on the data of the case and returns the last loss.

    Without Mixup, augmentation and a learning-rate schedule; convolutions with the channels last, fused optimisers and fused
    attention, the fastest that eager mode has on CPU.

    Raises:
      ValueError: the model has another number of parameters than ours.
    """
    torch, timm = libraries()
    case = pair.case
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    model = timm.create_model(pair.timm, pretrained=False, num_classes=setting.CLASSES, drop_rate=0.0, **pair.options).train()
    count, ours = sum(p.numel() for p in model.parameters()), count_params(case.model, setting.CLASSES, case.resolution)
    if count != ours:
        raise ValueError(f"{pair.timm} has {count:,} parameters, {case.model} has {ours:,}")
    adaptive = case.optimizer == "nesterov_agc"
    layout = torch.channels_last if adaptive else torch.contiguous_format
    model = model.to(memory_format=layout)
    params = list(model.parameters())
    if adaptive:
        clip = import_module("timm.utils.agc").adaptive_clip_grad
        clipped = [p for name, p in model.named_parameters() if name != "head.fc.weight"]
        optimizer = torch.optim.SGD(params, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=0.03, fused=True)
    else:
        optimizer = torch.optim.AdamW(params, lr=1e-3, weight_decay=0.03, fused=True)
    data = gain.batches(Programs(case.static))
    steps = [
        (torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels.astype(np.int64)))
        for images, labels in zip(data.images, data.labels, strict=True)
    ]

    def run() -> float:
        for images, labels in steps:
            optimizer.zero_grad()
            pixels = (images.float() / 127.5 - 1).contiguous(memory_format=layout)
            loss = torch.nn.functional.cross_entropy(model(pixels), labels)
            loss.backward()
            if adaptive:
                clip(clipped, CLIPPING_RATIO)
            else:
                torch.nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()
        return float(loss.detach())

    return run


def run(quick: bool) -> list[Figure]:
    """Measures Ti/16 at 224 px and NFNet-F0 at 192 px, on one device and on all; ViT-mu at 28 px if `quick`.

    Raises:
      UserError: PyTorch or timm is not installed.
    """
    figures = []
    for pair in QUICK if quick else FULL:
        case = pair.case
        clip = CLIPPING_RATIO if case.optimizer == "nesterov_agc" else 1.0
        ours = {
            f"{case.name}, {len(devices)} device(s)": setting.dispatch(
                Programs(case.static, devices), case, setting.hyper(clip=clip)
            )
            for devices in (jax.devices()[:1], jax.devices())
        }
        times = interleave({**ours, "theirs": dispatch(pair)}, 3 if quick else 9)
        spent = times.of("theirs").times(1e3 / case.chunk)
        figures.append(Figure("pytorch", f"{case.name}, PyTorch", "ms/step", spent))
        for name in ours:
            ratio = times.ratio(name, "theirs")
            figures.append(Figure("pytorch", name, "ms/step", times.of(name).times(1e3 / case.chunk)))
            figures.append(Figure("pytorch", name, "x", ratio, "step of PyTorch, eager", "1 or less"))
    return figures
