"""Hybrids against timm's, on random weights and images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm_oracle
from flax.traverse_util import unflatten_dict

from bench import models
from bench.models.variables import flat
from bench.points.variants import VARIANTS, Variant
from bench.points.variants.hybrid import HybridSpec
from bench.weights import timm

timm_oracle.timm()

CLASSES = 7
PAIRS = {
    "R+Ti/16": ("vit_tiny_r_s16_p8_224", HybridSpec(8, 192, 2, 768, 3)),
    "R26+S/32": ("vit_small_r26_s32_224", HybridSpec(1, 384, 1, 1536, 6, units=(2, 2, 2, 2))),
    "R50+L/32": ("vit_large_r50_s32_224", HybridSpec(1, 1024, 1, 4096, 16, units=(3, 4, 6, 3))),
}
SIDE = 96


@pytest.fixture(scope="module", params=PAIRS)
def pair(request):
    import torch
    from timm.layers import GroupNormAct

    name, spec = PAIRS[request.param]
    oracle = timm_oracle.create(name, img_size=SIDE, depth=spec.depth, num_classes=CLASSES, act_layer="gelu_tanh")
    for module in oracle.modules():
        if isinstance(module, GroupNormAct):
            module.eps = 1e-6  # Flax's default, which the released code uses
    with torch.no_grad():
        for key, value in oracle.state_dict().items():
            if value.ndim == 4 and "backbone" in key:
                # Standardisation forgets the scale, except for its epsilons, which the released code and timm add differently.
                value.mul_(4 / value.std())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "parity", Variant("parity", "parity", "hybrid", spec, "here"))
        shapes = {k: leaf.shape for k, leaf in flat(models.shapes("parity", CLASSES, SIDE)).items()}
        state = {k: v.numpy() for k, v in oracle.state_dict().items()}
        found = timm.from_timm(state, "parity", shapes)
        back = timm.to_timm(found, "parity")
        model = models.build("parity", CLASSES)
    weights = unflatten_dict({k: jnp.asarray(v) for k, v in found.items()}, sep="/")
    return oracle, state, shapes, found, back, model, weights


def error(actual, expected):
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


def test_specs_are_short_ones_of_the_variants():
    for name, (_, spec) in PAIRS.items():
        full = VARIANTS[name].spec
        assert spec == full.__class__(**{**full.__dict__, "depth": spec.depth})


def test_every_weight_has_one_place_in_both(pair):
    _, state, shapes, found, back, *_ = pair
    assert {k: v.shape for k, v in found.items()} == shapes
    assert back.keys() == state.keys()
    for key, value in back.items():
        np.testing.assert_array_equal(value, state[key])


def test_forward_pass_equals_timm(pair):
    import torch

    oracle, *_, model, weights = pair
    images = np.random.default_rng(0).uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32)
    logits, features = jax.jit(lambda w, x: models.evaluate(model, w, x))(weights, images)
    with torch.no_grad():
        inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        tokens = oracle.forward_features(inputs)
        expected = oracle.forward_head(tokens).numpy()
    print(f"relative errors {error(logits, expected):.1e} {error(features, tokens[:, 0].numpy()):.1e}")
    assert error(logits, expected) < 1e-4
    assert error(features, tokens[:, 0].numpy()) < 1e-4
