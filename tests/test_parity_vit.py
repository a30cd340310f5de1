"""Vision Transformers against timm's, on random weights and images, through every way of pooling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm_oracle
from flax.traverse_util import unflatten_dict

from bench import models
from bench.models.variables import flat
from bench.points.variants import VARIANTS, Variant
from bench.points.variants.vit import ViTSpec
from bench.weights import timm

timm_oracle.timm()

CLASSES, SIDE = 7, 64
SHORT = {"img_size": SIDE, "depth": 2, "num_classes": CLASSES, "act_layer": "gelu_tanh"}
SO400M = {"img_size": 56, "depth": 1}
PAIRS = {
    "Ti/16": ("vit_tiny_patch16_224", ViTSpec(16, 192, 2, 768, 3), {}),
    "S/32": ("vit_small_patch32_224", ViTSpec(32, 384, 2, 1536, 6), {}),
    "B/16:gap": ("vit_base_patch16_siglip_gap_224", ViTSpec(16, 768, 2, 3072, 12, pool="gap"), {}),
    "B/16:map": ("vit_base_patch16_siglip_224", ViTSpec(16, 768, 2, 3072, 12, pool="map"), {}),
    "SoViT-400m/14": ("vit_so400m_patch14_siglip_224", ViTSpec(14, 1152, 1, 4304, 16, pool="map"), SO400M),
    "SoViT-400m/14:gap": ("vit_so400m_patch14_siglip_gap_224", ViTSpec(14, 1152, 1, 4304, 16, pool="gap"), SO400M),
}


@pytest.fixture(scope="module", params=PAIRS)
def pair(request):
    name, spec, changes = PAIRS[request.param]
    options = {**SHORT, **changes}
    oracle = timm_oracle.create(name, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "parity", Variant("parity", "parity", "vit", spec, "here"))
        shapes = {k: leaf.shape for k, leaf in flat(models.shapes("parity", CLASSES, options["img_size"])).items()}
        mapping = timm.names("parity")
        state = {k: v.numpy() for k, v in oracle.state_dict().items()}
        found = timm.from_timm(state, "parity", shapes)
        back = timm.to_timm(found, "parity")
        model = models.build("parity", CLASSES)
    weights = unflatten_dict({k: jnp.asarray(v) for k, v in found.items()}, sep="/")
    return oracle, state, shapes, mapping, found, back, model, weights, options["img_size"]


def error(actual, expected):
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


def test_specs_are_short_ones_of_the_variants():
    for name, (_, spec, _) in PAIRS.items():
        full = VARIANTS[name].spec
        assert spec == full.__class__(**{**full.__dict__, "depth": spec.depth})


def test_every_weight_has_one_place_in_both(pair):
    _, state, shapes, mapping, found, back, *_ = pair
    assert mapping.keys() == shapes.keys() == found.keys()
    assert set(mapping.values()) == set(state)
    assert {k: v.shape for k, v in found.items()} == shapes
    assert back.keys() == state.keys()
    for key, value in back.items():
        np.testing.assert_array_equal(value, state[key])


def test_forward_pass_equals_timm(pair):
    import torch

    oracle, *_, model, weights, side = pair
    images = np.random.default_rng(0).uniform(-1, 1, (3, side, side, 3)).astype(np.float32)
    logits, features = jax.jit(lambda w, x: models.evaluate(model, w, x))(weights, images)
    with torch.no_grad():
        inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        expected = oracle.forward_head(oracle.forward_features(inputs), pre_logits=True).numpy()
        expected_logits = oracle(inputs).numpy()
    print(f"relative errors {error(logits, expected_logits):.1e} {error(features, expected):.1e}")
    assert error(logits, expected_logits) < 1e-4
    assert error(features, expected) < 1e-4
