"""timm, the reference that models and weights are compared with, imported without torchvision, which has no CPU build."""

import importlib.abc
import importlib.machinery
import sys
import types

import pytest


class _Names(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Nothing(types.ModuleType):
    """Has every name; timm asks torchvision for image transforms and boxes alone, which no model here uses."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Names(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):  # noqa: ARG002
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Nothing(spec.name)

    def exec_module(self, module):
        pass


def timm():
    """Returns the module; the test that asks is skipped where PyTorch or timm is not installed."""
    pytest.importorskip("torch", reason="PyTorch is the oracle of `tox -e parity` alone")
    if not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    return pytest.importorskip("timm", reason="timm is the oracle of `tox -e parity` alone")


def create(name, seed=0, **options):
    """Returns a timm model in evaluation mode whose every weight, bias and running statistic is random."""
    timm()
    import timm as library
    import torch

    torch.manual_seed(seed)
    model = library.create_model(name, pretrained=False, **options).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point():
                # Around what it was: ones of norms stay about one, small kernels stay small.
                scale = value.std() if value.numel() > 1 and value.std() > 0 else torch.tensor(0.2)
                value.add_(torch.randn(value.shape, generator=generator) * scale * 0.5)
    return model
