"""The whole training step of every buildable family lowers for accelerators that this machine does not have."""

import jax
import jax.export
import pytest

from bench.points import VARIANTS, Upstream
from bench.train.program import Programs
from bench.train.static import Static

SMALLEST = {"vit": "ViT-mu", "nfnet": "NFNet-mu"}


def test_every_buildable_family_is_here():
    assert set(SMALLEST) == {v.family for v in VARIANTS.values() if v.spec is not None}


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize("family", sorted(SMALLEST))
def test_the_training_step_lowers(family, platform):
    config = Upstream(SMALLEST[family], "mnist5k", 1.0, 0.01, "light1", 0.1, 0.1, 0.1)
    made = Programs(Static.of(config))
    step = jax.export.export(jax.jit(made._chunk), platforms=[platform])(*made._arguments())
    assert step.platforms == (platform,)
    text = step.mlir_module()
    # Accelerators take the grouped convolution as it is; ViT has no groups.
    assert ("feature_group_count = 2" in text) == (family == "nfnet")
