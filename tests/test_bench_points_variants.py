"""Variants and their modifiers: one name for one shape, back and forth between the spellings."""

import re

import pytest

from bench.errors import UserError
from bench.points import Upstream, parse_upstream
from bench.points.variants import BY_PREFIX, FAMILIES, VARIANTS

MODIFIED = [
    ("B/16:gap", "B_16_gap", {"pool": "gap"}),
    ("B/16:gap:sincos", "B_16_gap_sincos", {"pool": "gap", "position": "sincos2d"}),
    ("S/32:map:rep", "S_32_map_rep", {"pool": "map", "pre_logits": True}),
    ("R26+S/32:gap", "R26_S_32_gap", {"pool": "gap"}),
    ("NFNet-F4+:released", "NFNet_F4plus_released", {"floored": True}),
    ("CoAtNet-0:dagger", "CoAtNet_0_dagger", {"stride_depthwise": True}),
    ("CoAtNet-6:printed:dagger", "CoAtNet_6_printed_dagger", {"claimed_width": 0, "stride_depthwise": True}),
]


@pytest.mark.parametrize(("name", "prefix", "fields"), MODIFIED)
def test_a_modifier_changes_its_fields_and_nothing_else(name, prefix, fields):
    variant, plain = VARIANTS[name], VARIANTS[name.split(":")[0]]
    assert (variant.name, variant.prefix, variant.family) == (name, prefix, plain.family)
    changed = {k: v for k, v in vars(variant.spec).items() if v != getattr(plain.spec, k)}
    assert changed == fields
    assert BY_PREFIX[prefix] == variant
    assert name in VARIANTS
    assert prefix in BY_PREFIX


@pytest.mark.parametrize(
    "name",
    [
        "B/16:sincos:gap",  # out of order
        "B/16:gap:map",  # at odds
        "B/16:gap:gap",
        "B/16:released",  # of another family
        "B/16:",
        ":gap",
        "G/14:map",  # what it has anyway
        "NFNet-F4:released",  # changes nothing: 128 channels already
        "CoAtNet-0:printed",
        "ResNet-50:gap",
        "B/17:gap",
    ],
)
def test_a_name_that_is_not_the_only_one_of_its_shape_is_none(name):
    assert name not in VARIANTS
    assert VARIANTS.get(name) is None
    with pytest.raises(UserError, match=re.escape(f"field 'model' is {name!r}")):
        Upstream(name, "i1k", 300, 0.001, "none", 0.1, 0.0, 0.0)


def test_plain_variants_are_listed_and_no_prefix_is_another_with_modifiers():
    assert len(VARIANTS) == len(BY_PREFIX) == sum(len(f.variants) for f in FAMILIES.values())
    assert all(":" not in name for name in VARIANTS)
    modifiers = {m for f in FAMILIES.values() for m in f.modifiers}
    assert not any(prefix.endswith(f"_{m}") for prefix in BY_PREFIX for m in modifiers)
    assert len({v.prefix.lower() for v in VARIANTS.values()}) == len(VARIANTS)
    assert all(re.fullmatch(r"\w+", v.prefix, re.ASCII) and v.source for v in VARIANTS.values())


@pytest.mark.parametrize("name", [name for name, *_ in MODIFIED])
def test_names_of_runs_carry_modifiers(name):
    config = Upstream(name, "i1k", 300, 0.001, "none", 0.1, 0.0, 0.0)
    assert parse_upstream(config.name) == config
    plain = Upstream(name.split(":")[0], "i1k", 300, 0.001, "none", 0.1, 0.0, 0.0)
    assert config.digest != plain.digest


def test_the_compute_type_is_in_the_name_where_it_is_not_float32():
    config = Upstream("B/16", "i1k", 300, 0.001, "none", 0.1, 0.0, 0.0, dtype="bfloat16")
    assert config.name.endswith("-sd_0.0-dtype_bfloat16")
    assert parse_upstream(config.name) == config
    with pytest.raises(UserError, match="field 'dtype' is 'float16'"):
        Upstream("B/16", "i1k", 300, 0.001, "none", 0.1, 0.0, 0.0, dtype="float16")
