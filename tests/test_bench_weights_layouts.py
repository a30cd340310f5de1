"""Layouts of other people's files: there and back bit for bit, and each transposition looked at by hand."""

import jax
import numpy as np
import pytest
import weightless

from bench import models, weights
from bench.errors import UserError
from bench.models import variables
from bench.points import VARIANTS
from bench.weights import layouts, released, timm

MU = [name for name in VARIANTS if name.endswith("-mu")]
REAL = ["Ti/16", "R+Ti/16", "ResNet-50", "NFNet-F0", "EfficientNetV2-B0", "CoAtNet-0"]
POOLED = ["ViT-mu:gap", "ViT-mu:map", "ViT-mu:gap:sincos"]
RELEASED = [m for m in (*MU, *REAL, *POOLED, "ViT-mu:rep", "R26+S/32") if VARIANTS[m].family in ("vit", "hybrid")]


def random(model):
    return weightless.flat(model, resolution=28 if "-mu" in model else 224)


def back(theirs, model):
    return timm.from_timm(theirs, model, layouts.shapes_of(model, 10, 28 if "-mu" in model else 224))


def test_every_family_has_a_small_model_to_test():
    assert {VARIANTS[m].family for m in MU} == {VARIANTS[m].family for m in VARIANTS}


@pytest.mark.parametrize("model", [*MU, *REAL, *POOLED])
def test_to_timm_and_back_is_the_same_to_the_bit(model):
    ours = random(model)
    theirs = timm.to_timm(ours, model)
    assert layouts.layout_of(theirs) == "timm"
    assert weightless.same(back(theirs, model), ours)


@pytest.mark.parametrize("model", RELEASED)
def test_to_released_and_back_is_the_same_to_the_bit(model):
    ours = random(model)
    theirs = released.to_released(ours)
    assert theirs.keys() == ours.keys()
    assert layouts.layout_of(theirs) == "released"
    assert weightless.same(released.from_released(theirs), ours)


# Each transposition, by hand


def test_the_transformer_in_timm():
    ours = random("ViT-mu")
    theirs = timm.to_timm(ours, "ViT-mu")
    block, attention = "Transformer/encoderblock_1", "Transformer/encoderblock_1/MultiHeadDotProductAttention_1"
    qkv, bias = theirs["blocks.1.attn.qkv.weight"], theirs["blocks.1.attn.qkv.bias"]
    assert qkv.shape == (144, 48)
    for i, part in enumerate(("query", "key", "value")):
        # Output 16 * head + j of each third is channel j of that head.
        assert qkv[48 * i + 16 * 2 + 5, 7] == ours[f"{attention}/{part}/kernel"][7, 2, 5]
        assert bias[48 * i + 16 * 2 + 5] == ours[f"{attention}/{part}/bias"][2, 5]
    assert theirs["blocks.1.attn.proj.weight"][7, 16 * 2 + 5] == ours[f"{attention}/out/kernel"][2, 5, 7]
    assert theirs["blocks.1.mlp.fc1.weight"][150, 7] == ours[f"{block}/MlpBlock_3/Dense_0/kernel"][7, 150]
    assert theirs["patch_embed.proj.weight"][40, 2, 6, 0] == ours["embedding/kernel"][6, 0, 2, 40]
    np.testing.assert_array_equal(theirs["pos_embed"], ours["Transformer/posembed_input/pos_embedding"])
    np.testing.assert_array_equal(theirs["norm.weight"], ours["Transformer/encoder_norm/scale"])


def test_the_normaliser_free_network_in_timm():
    ours = random("NFNet-mu")
    theirs = timm.to_timm(ours, "NFNet-mu")
    gain = ours["nf_block_0/conv1/gain"]
    np.testing.assert_array_equal(theirs["stages.0.0.conv2.gain"], gain.reshape(-1, 1, 1, 1))
    np.testing.assert_array_equal(
        theirs["stages.0.0.attn_last.fc1.weight"][:, :, 0, 0], ours["nf_block_0/squeeze_excite/linear/kernel"].T
    )
    assert theirs["stages.0.0.attn_last.fc1.weight"].shape[2:] == (1, 1)
    assert theirs["stages.0.0.skipinit_gain"].shape == ()
    assert theirs["head.fc.weight"].ndim == 2


def test_batch_statistics_in_timm_come_with_the_counter_that_pytorch_asks_for():
    ours = random("ResNet-mu")
    theirs = timm.to_timm(ours, "ResNet-mu")
    np.testing.assert_array_equal(theirs["bn1.running_var"], ours["bn_root/var"])
    counters = {name: value for name, value in theirs.items() if name.endswith("num_batches_tracked")}
    assert len(counters) == sum(name.endswith("/mean") for name in ours)
    assert all(value.dtype == np.int64 and value.shape == () and value == 0 for value in counters.values())


def test_relative_attention_in_timm():
    ours = random("CoAtNet-mu")
    theirs = timm.to_timm(ours, "CoAtNet-mu")
    table = ours["stage1_block0/attention/relative_bias"]
    heads, height, width = table.shape
    moved = theirs["stages.1.blocks.0.attn.rel_pos.relative_position_bias_table"]
    assert moved.shape == (height * width, heads)
    assert moved[2 * width + 1, 1] == table[1, 2, 1]
    assert theirs["stages.1.blocks.0.attn.qkv.weight"].shape[2:] == (1, 1)
    assert theirs["head.fc.weight"].ndim == 2


def test_what_timm_has_no_place_for_is_refused():
    with pytest.raises(UserError, match=r"ViT-mu:rep have no 'pre_logits/bias'"):
        timm.to_timm(random("ViT-mu:rep"), "ViT-mu:rep")


def test_released_group_normalisation_has_four_axes():
    theirs = released.to_released(random("R-mu"))
    shapes = {name: value.shape for name, value in theirs.items() if "gn" in name}
    assert shapes["gn_root/scale"] == (1, 1, 1, 32)
    assert shapes["block1/unit1/gn_proj/bias"] == (1, 1, 1, 128)
    assert all(shape[:3] == (1, 1, 1) for shape in shapes.values())
    assert all(value.ndim < 3 for name, value in theirs.items() if "LayerNorm" in name)


def test_files_of_after_linen_count_modules_anew():
    ours = random("ViT-mu:map")
    renames = {"MultiHeadDotProductAttention_1": "MultiHeadDotProductAttention_0", "LayerNorm_2": "LayerNorm_1"}

    def newer(name):
        for old, new in {**renames, "MlpBlock_3": "MlpBlock_0"}.items():
            name = name.replace(old, new)
        return name

    theirs = {newer(name): value for name, value in ours.items()}
    assert theirs.keys() != ours.keys()
    assert weightless.same(released.from_released(theirs), ours)


# Whole files


@pytest.mark.parametrize("model", [*MU, *POOLED])
def test_a_file_survives_all_layouts_and_formats(tmp_path, model):
    ours = random(model)
    first, last = tmp_path / "ours.npz", tmp_path / "again.npz"
    weights.write(first, ours)
    chosen = ["timm", *(["released"] if model in RELEASED else []), "ours"]
    for i, layout in enumerate(chosen):
        target = last if i == len(chosen) - 1 else tmp_path / f"{layout}{'.safetensors' if i % 2 else '.npz'}"
        assert weights.convert(first, target, model, layout) == len(weights.read(target))
        first = target
    assert weightless.same(weights.read(last), ours)


def test_an_exported_model_computes_what_the_original_does(tmp_path):
    model, ours = models.build("R-mu", 10), random("R-mu")
    weights.write(tmp_path / "ours.npz", ours)
    weights.convert(tmp_path / "ours.npz", tmp_path / "released.npz", "R-mu", "released")
    tree = weights.load(tmp_path / "ours.npz", "R-mu")
    again = weights.load(tmp_path / "released.npz", "R-mu", 10, 28)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 28, 28, 3)).astype(np.float32)
    evaluate = jax.jit(lambda tree: models.evaluate(model, tree, images))
    for left, right in zip(evaluate(tree), evaluate(again), strict=True):
        assert np.isfinite(left).all()
        np.testing.assert_array_equal(left, right)
    assert weightless.same(variables.flat(again), ours)


@pytest.mark.parametrize(
    ("target", "model", "layout", "match"),
    [
        ("w.pth", "ViT-mu", "timm", r"w\.pth: a file of weights ends in"),
        ("w.npz", "ViT-mu", "keras", "unknown layout 'keras'.*valid: ours, released, timm"),
        ("w.npz", "NFNet-mu", "released", "not of NFNet-mu"),
        ("w.npz", "ViT-mi", "ours", r"unknown model 'ViT-mi': did you mean 'ViT-mu'\?"),
    ],
)
def test_what_cannot_be_converted(tmp_path, target, model, layout, match):
    weights.write(tmp_path / "ours.npz", random("ViT-mu"))
    with pytest.raises(UserError, match=match):
        weights.convert(tmp_path / "ours.npz", tmp_path / target, model, layout)
    assert not (tmp_path / target).exists()
