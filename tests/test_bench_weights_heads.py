"""A checkpoint taken apart: its features and its head together say what the whole model says."""

from dataclasses import replace

import families
import jax
import numpy as np
import pytest
import tiny
from flax.traverse_util import unflatten_dict

from bench import models, weights
from bench.errors import UserError
from bench.models import variables
from bench.points.variants import BY_PREFIX, FAMILIES, VARIANTS
from bench.weights.heads import BIAS, KERNEL, Head, take_apart
from bench.weights.timm import to_timm


def spec(monkeypatch, **changes):
    """Makes a variant of the tiny model known; returns its name."""
    variant = replace(tiny.TINY, name="here", prefix="here", spec=replace(tiny.TINY.spec, **changes))
    monkeypatch.setitem(VARIANTS, "here", variant)
    monkeypatch.setitem(BY_PREFIX, "here", variant)
    return "here"


def drawn(model, resolution=8):
    """Returns fresh weights by name, of which none is zero."""
    rng, shapes = np.random.default_rng(0), variables.flat(models.shapes(model, tiny.CLASSES, resolution))
    return {name: rng.normal(0, 0.3, leaf.shape).astype(np.float32) for name, leaf in shapes.items()}


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "hidden layer"])
def test_features_through_the_head_are_the_models_logits(monkeypatch, hidden):
    """The hidden layer that some classifiers have belongs to the features."""
    name = spec(monkeypatch, pre_logits=hidden)
    flat, model = drawn(name), models.build(name, tiny.CLASSES)
    tree, head = take_apart(flat, "w", name, 8)
    assert tree["head"]["kernel"].shape == (8, 1)
    images = np.random.default_rng(1).uniform(-1, 1, (5, 8, 8, 3)).astype(np.float32)
    logits, expected = jax.jit(models.evaluate, static_argnums=0)(model, unflatten_dict(flat, sep="/"), images)
    _, features = jax.jit(models.evaluate, static_argnums=0)(models.build(name, 1), tree, images)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(features) @ head.kernel + head.bias[None], logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_its_head_where_it_is_looked_for(family):
    name = families.smallest(family).name
    shapes = variables.flat(models.shapes(name, 3, families.SIDE))
    flat = {key: np.full(leaf.shape, 0.5, np.float32) for key, leaf in shapes.items()}
    tree, head = take_apart(flat, "w", name, families.SIDE)
    assert (head.kernel.shape, head.bias.shape) == (shapes[KERNEL].shape, (3,))
    assert {key for key, value in variables.flat(tree).items() if not np.all(value == 0.5)} == {KERNEL, BIAS}


def test_layouts_of_others_give_the_same(monkeypatch):
    name = spec(monkeypatch)
    flat = drawn(name)
    ours, theirs = take_apart(flat, "w", name, 8), take_apart(to_timm(flat, name), "w", name, 8)
    np.testing.assert_array_equal(ours[1].kernel, theirs[1].kernel)
    assert weights.identity(variables.flat(ours[0])) == weights.identity(variables.flat(theirs[0]))


def test_a_file_without_a_head_has_features_all_the_same(monkeypatch):
    name = spec(monkeypatch)
    flat = drawn(name)
    whole, _ = take_apart(flat, "w", name, 8)
    tree, head = take_apart({key: value for key, value in flat.items() if key not in (KERNEL, BIAS)}, "w", name, 8)
    assert head is None
    assert weights.identity(variables.flat(tree)) == weights.identity(variables.flat(whole))


def test_positions_are_resampled(monkeypatch):
    tree, _ = take_apart(drawn(spec(monkeypatch)), "w", "here", 16)
    assert tree["Transformer"]["posembed_input"]["pos_embedding"].shape == (1, 17, 8)


def test_what_does_not_fit_is_refused(monkeypatch):
    name = spec(monkeypatch, pre_logits=True)
    flat = drawn(name)
    with pytest.raises(UserError, match=r"'cls' has shape"):
        take_apart({**flat, "cls": np.zeros((1, 1, 3), np.float32)}, "w", name, 8)
    with pytest.raises(UserError, match=r"w: 'head/kernel' has shape .* \(8, classes\)"):
        take_apart({**flat, BIAS: np.zeros(7, np.float32)}, "w", name, 8)
    with pytest.raises(UserError, match="pre_logits"):
        take_apart({key: value for key, value in flat.items() if not key.startswith("pre_logits")}, "w", name, 8)


HEAD = Head(np.asarray([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], np.float32), np.asarray([0.1, 0.2, -5.0], np.float32))


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_probabilities_are_the_closed_form(loss):
    features = np.random.default_rng(0).normal(0, 3, (7, 2)).astype(np.float32)
    logits = features.astype(np.float64) @ HEAD.kernel.astype(np.float64) + HEAD.bias.astype(np.float64)
    odds = np.exp(logits)
    whole = odds / (1 + odds) if loss == "sigmoid" else odds
    found = HEAD.probabilities(features, loss)
    np.testing.assert_allclose(found, whole / whole.sum(1, keepdims=True), rtol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("scale", [-1e4, 1e4])
def test_probabilities_of_extreme_logits_are_a_distribution(loss, scale):
    found = HEAD.probabilities(np.full((1, 2), scale, np.float32), loss)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
