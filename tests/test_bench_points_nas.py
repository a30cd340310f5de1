"""Architectures whose names spell their blocks: one name a shape, found by name and prefix, built by EfficientNetV2's code."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.points import Upstream, parse
from bench.points.variants import BY_PREFIX, VARIANTS, nas

BASES = ["mu", "B0", "B2", "B3", "S", "M", "L", "XL"]
GENES = st.builds(nas.Gene, st.booleans(), st.integers(1, 32), st.sampled_from([3, 5]), st.sampled_from([1, 4, 6]))


def run(model):
    return Upstream(model, "mnist5k", 1.0, 0.01, "none", 0.0, 0.0, 0.0)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), base=st.sampled_from(BASES))
def test_every_architecture_has_one_name_that_is_found_both_ways(data, base):
    genes = data.draw(st.lists(GENES, min_size=len(nas.genes(base)), max_size=len(nas.genes(base))))
    name = nas.name(base, genes)
    variant = VARIANTS[name]
    assert variant == BY_PREFIX[variant.prefix]
    assert (variant.name, variant.family) == (name, "efficientnetv2")
    found = [(s.fused, s.repeats, s.kernel, s.expansion) for s in variant.spec.stages]
    assert found == [tuple(gene) for gene in genes]
    assert [s.se_ratio for s in variant.spec.stages] == [0.0 if gene.fused else 0.25 for gene in genes]
    known = VARIANTS[f"EfficientNetV2-{base}"].spec
    assert [(s.inputs, s.outputs, s.stride) for s in variant.spec.stages] == [
        (s.inputs, s.outputs, s.stride) for s in known.stages
    ]
    assert (variant.spec.stem, variant.spec.features) == (known.stem, known.features)
    assert re.fullmatch(r"\w+", variant.prefix, re.ASCII)
    assert parse(run(name).name) == run(name)
    assert len(run(name).name) < 150


def test_a_name_spells_its_stages():
    genes = [*nas.genes("B0")[:5], nas.Gene(False, 15, 5, 4)]
    variant = VARIANTS[nas.name("B0", genes)]
    assert variant.name == "NAS-B0-f1k3e1-f2k3e4-f2k3e4-m3k3e4-m5k3e6-m15k5e4"
    assert variant.prefix == "NAS_B0_f1k3e1_f2k3e4_f2k3e4_m3k3e4_m5k3e6_m15k5e4"
    # The last stage alone differs from B0's: 15 layers of kernel 5 and expansion 4 in the place of 8 of 3 and 6.
    assert variant.spec.stages[:5] == VARIANTS["EfficientNetV2-B0"].spec.stages[:5]


@pytest.mark.parametrize("base", BASES)
def test_a_named_efficientnetv2_keeps_its_name(base):
    assert nas.name(base, nas.genes(base)) == f"EfficientNetV2-{base}"
    text = "-".join(map(str, nas.genes(base)))
    assert f"NAS-{base}-{text}" not in VARIANTS
    assert f"NAS_{base}_{text.replace('-', '_')}" not in BY_PREFIX


def test_b1_has_the_channels_of_b0_and_is_one_of_its_architectures():
    genes = [nas.Gene(s.fused, s.repeats, s.kernel, s.expansion) for s in VARIANTS["EfficientNetV2-B1"].spec.stages]
    assert nas.name("B0", genes) == "EfficientNetV2-B1"
    with pytest.raises(UserError, match="no EfficientNetV2-B1 to take channels from; valid: "):
        nas.genes("B1")


@pytest.mark.parametrize(
    "name",
    [
        "NAS-mu-f1k3e1-m3k5e6",  # too short
        "NAS-mu-f1k3e1-m3k5e6-m2k3e4-m2k3e4",
        "NAS-mu-f1k3e1-m3k5e6-m02k3e4",
        "NAS-mu-f1k3e1-m3k5e6-m0k3e4",
        "NAS-mu-f1k3e1-m3k5e6-m33k3e4",
        "NAS-mu-f1k3e1-m3k7e6-m2k3e4",
        "NAS-mu-f1k3e1-m3k5e2-m2k3e4",
        "NAS-mu-f1k3e1-x3k5e6-m2k3e4",
        "NAS-mu-f1k3e1-m3k5e6-m2k3e4-",
        "NAS-mu-f1k3e1_m3k5e6_m2k3e4",
        "NAS-B1-f1k3e1-f2k3e4-f2k3e4-m3k3e4-m5k3e6-m9k3e6",
        "NAS-nano-f1k3e1-m3k5e6-m2k3e4",
        "nas-mu-f1k3e1-m3k5e6-m2k3e4",
        "NAS",
    ],
)
def test_other_spellings_are_none(name):
    assert name not in VARIANTS
    assert "_" in name or name.replace("-", "_") not in BY_PREFIX
    with pytest.raises(UserError, match="field 'model' is "):
        run(name)


def test_a_prefix_is_no_name_and_the_other_way_round():
    name = "NAS-mu-f1k3e1-m3k5e6-m2k3e4"
    assert (name in VARIANTS, name in BY_PREFIX) == (True, False)
    assert (name.replace("-", "_") in VARIANTS, name.replace("-", "_") in BY_PREFIX) == (False, True)


def test_impossible_architectures_are_refused():
    with pytest.raises(UserError, match="on EfficientNetV2-mu has 3 stages, not 2"):
        nas.name("mu", nas.genes("mu")[:2])
    with pytest.raises(UserError, match="stage m1k3e2 is not in the search space"):
        nas.name("mu", [nas.Gene(False, 1, 3, 2), *nas.genes("mu")[1:]])


def test_flat_values_spell_four_a_stage():
    flat = ["fused", 1, 3, 1, "mbconv", 3, 5, 6, "mbconv", 2, 3, 4]
    assert nas.spell("mu", *flat) == "NAS-mu-f1k3e1-m3k5e6-m2k3e4"


def test_it_is_built_by_the_code_of_efficientnetv2_with_the_parameters_that_its_shape_has():
    from bench.models import count_params

    name = "NAS-mu-f1k5e1-m2k5e6-f1k3e4"
    # Stem, then by block: kernels and two numbers a channel for each normalisation; head.
    stem = 9 * 3 * 16 + 2 * 16
    first = 25 * 16 * 16 + 2 * 16
    mb = 16 * 96 + 2 * 96 + 25 * 96 + 2 * 96 + (96 * 4 + 4) + (4 * 96 + 96) + 96 * 16 + 2 * 16
    fused = 9 * 16 * 64 + 2 * 64 + 64 * 32 + 2 * 32
    head = 32 * 96 + 2 * 96 + 96 * 10 + 10
    assert count_params(name, 10, 28) == stem + first + 2 * mb + fused + head
