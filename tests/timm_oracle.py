"""timm, the reference that models and weights are compared with."""

import pytest

from bench.errors import UserError
from bench.perf.pytorch import libraries


def timm():
    """Returns the module; the test that asks is skipped where PyTorch or timm is not installed."""
    try:
        return libraries()[1]
    except UserError as error:
        pytest.skip(f"{error} (tox -e parity does)", allow_module_level=True)


def create(name, seed=0, **options):
    """Returns a timm model in evaluation mode whose every weight, bias and running statistic is random."""
    library = timm()
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
