"""Which runs are those whose checkpoints were released with "How to train your ViT?", by what they are."""

from __future__ import annotations

from bench.points import Upstream, parse_upstream
from sweeps.recipes import VIT_DECAYS, VIT_LEVELS, VIT_MODELS, VIT_RATES

# Of B/8 three checkpoints were released, of which these two are known by name; for 300 epochs of ImageNet-21k.
_B8_LEVELS = ("medium1", "medium2")


def released(run: Upstream) -> bool:
    """Returns whether a run is one whose checkpoint was released with "How to train your ViT?"."""
    if run.ds not in ("i1k", "i21k", "i21k_30") or run.lr != 0.001 or run.do != run.sd:
        return False
    if run != parse_upstream(_bare(run)):  # another seed, batch size, ...
        return False
    if run.model == "B/8":
        return run.ds == "i21k" and run.epochs == 300 and run.aug in _B8_LEVELS and (run.wd, run.do) == (0.1, 0.0)
    epochs = (30.0, 300.0) if run.dataset == "i21k" else (300.0,)
    axes = ((run.model, VIT_MODELS), (run.aug, VIT_LEVELS), (run.wd, VIT_DECAYS), (run.do, VIT_RATES), (run.epochs, epochs))
    return all(value in axis for value, axis in axes)


def _bare(run: Upstream) -> str:
    """Returns the name without what it says only where it is not the recipe's."""
    return run.name[: run.name.index("-sd_")] + f"-sd_{run.sd}"
