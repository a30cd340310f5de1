"""The whole training step of every family lowers for accelerators that this machine does not have."""

import jax
import jax.export
import pytest

from bench.points import Execution, Upstream
from bench.points.variants import FAMILIES
from bench.train.program import Programs
from bench.train.static import Static

SMALLEST = {family.name: family.variants[0].name for family in FAMILIES.values()}


def lowered(model, platform, execution, dtype):
    config = Upstream(model, "mnist5k", 1.0, 0.01, "light1", 0.1, 0.1, 0.1, dtype=dtype)
    made = Programs(Static.of(config, execution))
    step = jax.export.export(jax.jit(made._chunk), platforms=[platform])(*made._arguments())
    assert step.platforms == (platform,)
    return step.mlir_module()


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize("family", sorted(SMALLEST))
def test_the_training_step_lowers(family, platform):
    text = lowered(SMALLEST[family], platform, Execution(), "float32")
    # Accelerators take grouped convolutions as they are; a CPU would see products instead.
    grouped = {line for line in text.splitlines() if "stablehlo.convolution" in line and "feature_group_count = 1 " not in line}
    assert bool(grouped) == (family in ("nfnet", "efficientnetv2", "coatnet"))
    assert "stablehlo.convolution" in text


@pytest.mark.parametrize("family", sorted(SMALLEST))
def test_the_training_step_lowers_in_bfloat16_rematerialised_and_scanned(family):
    text = lowered(SMALLEST[family], "tpu", Execution(remat=True, scan=True), "bfloat16")
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line or "stablehlo.convolution" in line]
    half = [line for line in products if "bf16" in line]
    # Classifier and softmax statistics stay in float32.
    assert len(half) > 0.6 * len(products)
    assert "stablehlo.while" in text
