"""From a file to a model's weights: the head, other resolutions, and one clear error for whatever does not fit."""

import jax
import numpy as np
import pytest
import weightless
from flax.traverse_util import unflatten_dict

from bench import models, weights
from bench.errors import UserError
from bench.models import variables
from bench.models.position import resample
from bench.models.relative_attention import resize_bias
from bench.weights import timm

POSITIONS = "Transformer/posembed_input/pos_embedding"


@pytest.fixture
def flat():
    return weightless.flat("ViT-mu")


@pytest.fixture
def path(tmp_path, flat):
    weights.write(tmp_path / "w.npz", flat)
    return tmp_path / "w.npz"


def body(tree):
    return {name: value for name, value in variables.flat(tree).items() if not name.startswith("head/")}


def refused(path, match, model="ViT-mu", **options):
    with pytest.raises(UserError, match=match) as caught:
        weights.load(path, model, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_weights_that_were_saved_are_loaded(tmp_path, flat):
    tree = unflatten_dict(flat, sep="/")
    weights.save(tmp_path / "w.npz", tree)
    found = weights.load(tmp_path / "w.npz", "ViT-mu", 10, 28)
    assert jax.tree.structure(found) == jax.tree.structure(tree)
    assert weightless.same(variables.flat(found), flat)


@pytest.mark.parametrize("model", ["ViT-mu", "EfficientNetV2-mu", "CoAtNet-mu"])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_of_timm_is_told_by_its_names(tmp_path, model, suffix):
    ours = weightless.flat(model)
    weights.write(tmp_path / f"w{suffix}", timm.to_timm(ours, model))
    assert weightless.same(variables.flat(weights.load(tmp_path / f"w{suffix}", model, 10, 28)), ours)


# The head


def test_without_a_word_the_head_of_the_file_is_kept(path, flat):
    assert weightless.same(variables.flat(weights.load(path, "ViT-mu")), flat)
    assert weightless.same(variables.flat(weights.load(path, "ViT-mu", 10)), flat)


def test_another_number_of_classes_gets_a_new_head(path, flat):
    found = weights.load(path, "ViT-mu", 7)
    assert found["head"]["kernel"].shape == (48, 7)
    assert weightless.same(body(found), body(flat))


def test_a_new_head_is_the_one_of_a_fresh_model(tmp_path):
    weights.write(tmp_path / "w.npz", weightless.flat("NFNet-mu"))
    fresh = models.init(models.build("NFNet-mu", 10), 5, 28)["head"]
    found = weights.load(tmp_path / "w.npz", "NFNet-mu", 10, 28, head="new", seed=5)["head"]
    np.testing.assert_array_equal(found["kernel"], fresh["kernel"])
    other = weights.load(tmp_path / "w.npz", "NFNet-mu", 10, 28, head="new", seed=6)["head"]
    assert not np.array_equal(other["kernel"], fresh["kernel"])


def test_a_head_that_shall_be_kept_must_fit(path):
    refused(
        path,
        r"'head/bias' has shape \(10,\), but ViT-mu needs \(7,\); the rest fits: ask for a new head",
        classes=7,
        head="keep",
    )


def test_a_file_without_a_head_needs_the_number_of_classes(tmp_path, flat):
    weights.write(tmp_path / "w.npz", body(flat))
    refused(tmp_path / "w.npz", "has no head that could be kept: say how many classes")
    assert weights.load(tmp_path / "w.npz", "ViT-mu", 3)["head"]["bias"].shape == (3,)


def test_a_hidden_layer_goes_with_the_head(tmp_path):
    ours = weightless.flat("ViT-mu:rep")
    weights.write(tmp_path / "w.npz", ours)
    assert weightless.same(variables.flat(weights.load(tmp_path / "w.npz", "ViT-mu:rep")), ours)
    assert "pre_logits" not in weights.load(tmp_path / "w.npz", "ViT-mu", 10, head="new")
    refused(
        tmp_path / "w.npz", "has 'pre_logits/bias', which ViT-mu does not have; the rest fits: ask for a new head", head="keep"
    )


# Other resolutions


@pytest.mark.parametrize(("model", "token"), [("ViT-mu", True), ("ViT-mu:gap", False)])
def test_position_embeddings_are_resampled(tmp_path, model, token):
    ours = weightless.flat(model)
    weights.write(tmp_path / "w.npz", ours)
    found = variables.flat(weights.load(tmp_path / "w.npz", model, 10, 42))
    np.testing.assert_array_equal(found.pop(POSITIONS), resample(ours.pop(POSITIONS), (6, 6), token))
    assert weightless.same(found, ours)


def test_tables_of_relative_biases_are_resampled(tmp_path):
    ours = weightless.flat("CoAtNet-mu")
    weights.write(tmp_path / "w.npz", timm.to_timm(ours, "CoAtNet-mu"))
    found = variables.flat(weights.load(tmp_path / "w.npz", "CoAtNet-mu", 10, 48))
    tables = [name for name in ours if name.endswith("relative_bias")]
    assert tables
    for name in tables:
        np.testing.assert_array_equal(found[name], resize_bias(ours[name], (6, 6)))


def test_without_a_resolution_positions_stay_as_they_are(tmp_path):
    for model in ("ViT-mu", "CoAtNet-mu"):
        ours = weightless.flat(model, resolution=56)
        weights.write(tmp_path / "w.npz", ours)
        assert weightless.same(variables.flat(weights.load(tmp_path / "w.npz", model)), ours)


def test_positions_that_are_no_square_are_refused(tmp_path, flat):
    flat[POSITIONS] = flat[POSITIONS][:, :-2]
    weights.write(tmp_path / "w.npz", flat)
    refused(tmp_path / "w.npz", "has 15 positions: no square grid", resolution=28)


# What does not fit


def test_a_missing_parameter(tmp_path, flat):
    del flat["cls"]
    weights.write(tmp_path / "w.npz", flat)
    refused(tmp_path / "w.npz", r"has no 'cls', which ViT-mu needs with shape \(1, 1, 48\); the file is of no model known here")


def test_an_unknown_parameter(tmp_path, flat):
    weights.write(tmp_path / "w.npz", {**flat, "extra/kernel": flat["cls"]})
    refused(tmp_path / "w.npz", "has 'extra/kernel', which ViT-mu does not have")


def test_a_wrong_shape(tmp_path, flat):
    flat["embedding/kernel"] = flat["embedding/kernel"][:6]
    weights.write(tmp_path / "w.npz", flat)
    refused(tmp_path / "w.npz", r"'embedding/kernel' has shape \(6, 7, 3, 48\), but ViT-mu needs \(7, 7, 3, 48\)")


def test_positions_of_another_width(tmp_path, flat):
    flat[POSITIONS] = flat[POSITIONS][:, :, :40]
    weights.write(tmp_path / "w.npz", flat)
    for resolution in (None, 28):
        refused(tmp_path / "w.npz", rf"'{POSITIONS}' has shape \(1, 17, 40\)", resolution=resolution)


@pytest.mark.parametrize("layout", ["ours", "timm"])
@pytest.mark.parametrize(
    ("asked", "given"), [("ViT-mu", "Ti/16"), ("Ti/16", "S/16"), ("ResNet-mu", "NFNet-mu"), ("S/32", "S/16")]
)
def test_another_architecture_is_called_by_its_name(tmp_path, layout, asked, given):
    ours = weightless.flat(given, resolution=28 if "mu" in given else 64)
    weights.write(tmp_path / "w.npz", timm.to_timm(ours, given) if layout == "timm" else ours)
    refused(tmp_path / "w.npz", f"{asked} (needs|does not have).*; the file is of {given}$", asked, classes=10)


def test_names_of_nobody(tmp_path):
    weights.write(tmp_path / "w.safetensors", {"vit.encoder.layer.0.weight": np.zeros((2, 2), np.float32)})
    refused(tmp_path / "w.safetensors", "no model known here", classes=10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(tmp_path, flat, bad):
    flat["cls"][0, 0, 3] = bad
    weights.write(tmp_path / "w.npz", flat)
    refused(tmp_path / "w.npz", "1 of 48 numbers of 'cls' are not finite: that training diverged")


@pytest.mark.parametrize("dtype", [np.int32, bool, np.complex64, "U3"])
def test_other_types_than_floats(tmp_path, flat, dtype):
    np.savez(tmp_path / "w.npz", **{**flat, "cls": flat["cls"].astype(dtype)})
    refused(tmp_path / "w.npz", f"'cls' is of type {np.dtype(dtype).str if dtype == 'U3' else np.dtype(dtype)}, but")


def test_an_unknown_model(path):
    with pytest.raises(UserError, match=r"unknown model 'ViT-mi': did you mean 'ViT-mu'\?"):
        weights.load(path, "ViT-mi")
