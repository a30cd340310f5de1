"""Facts of levels, tasks, upstream sets and shapes, as the papers state them."""

import dataclasses
import hashlib
import json
import re

import pytest

from bench import data
from bench.points import LEVELS, TASKS, UPSTREAM, VARIANTS, Upstream
from bench.points.datasets import EMBEDDED_SETS, PROPRIETARY_SETS
from bench.points.files import ORIGINS
from bench.points.small import SMALL
from bench.points.tasks import EMBEDDED_TASKS, EXTRAS
from bench.points.variants.vit import ViTSpec
from bench.points.vtab import FULL, ONE_K, VTAB
from vtab import tasks

RELEASED_VIT = ("Ti/16", "S/32", "S/16", "B/32", "B/16", "B/8", "L/16")


def test_levels_are_the_released_ones_with_the_papers_names_and_strengths():
    released = {name: v for name, v in LEVELS.items() if not name.startswith(("scratch", "nfnet", "effnet", "coatnet"))}
    assert not any(v.cutmix or v.mix_first or v.per_image for v in released.values())
    assert {name: (v.paper, v.layers, v.magnitude, v.mixup) for name, v in released.items()} == {
        "none": ("none", 0, 0, 0.0),
        "light0": ("light1", 2, 0, 0.0),
        "light1": ("light2", 2, 10, 0.2),
        "medium1": ("medium1", 2, 15, 0.2),
        "medium2": ("medium2", 2, 15, 0.5),
        "strong1": ("heavy1", 2, 20, 0.5),
        "strong2": ("heavy2", 2, 20, 0.8),
    }


def test_other_levels_are_the_codes_and_papers():
    assert {name: dataclasses.astuple(v)[2:] for name, v in list(LEVELS.items())[7:]} == {
        "scratch1": (4, 15, 0.5, 0.0, False, False),
        "scratch2": (4, 20, 0.8, 0.0, False, False),
        "nfnet5": (4, 5, 0.2, 1.0, True, True),
        "nfnet10": (4, 10, 0.2, 1.0, True, True),
        "nfnet15": (4, 15, 0.2, 1.0, True, True),
        "effnetv2s": (2, 10, 0.0, 0.0, False, False),
        "effnetv2m": (2, 15, 0.2, 0.2, False, True),
        "effnetv2l": (2, 20, 0.5, 0.5, False, True),
        "effnetv2s_paper": (2, 15, 0.0, 0.0, False, False),
        "effnetv2m_paper": (2, 20, 0.2, 0.0, False, True),
        "effnetv2l_paper": (2, 25, 0.5, 0.0, False, True),
        "coatnet": (2, 15, 0.8, 0.0, False, False),
        "coatnet_jft": (2, 5, 0.0, 0.0, False, False),
    }


def test_tasks_have_the_papers_sizes_and_groups():
    assert {
        t.name: (t.group, t.classes, t.train, t.val, t.test) for t in TASKS.values() if t.files and t not in (*VTAB, *SMALL)
    } == {
        "cars196": ("natural", 196, 7_330, 814, 8_041),
        "cifar10": ("natural", 10, 49_000, 1_000, 10_000),
        "oxford_flowers102": ("natural", 102, 918, 102, 6_149),
        "cifar100": ("natural", 100, 49_000, 1_000, 10_000),
        "imagenet2012": ("natural", 1000, 1_268_355, 12_812, 50_000),
        "kitti": ("structured", 4, 6_347, 423, 711),
        "oxford_iiit_pet": ("natural", 37, 3_312, 368, 3_669),
        "resisc45": ("specialized", 45, 18_900, 6_300, 6_300),
    }


def test_the_small_tasks_are_cut_as_vtab_1k_is():
    assert {t.name: (t.group, t.classes, t.train, t.val, t.test) for t in SMALL} == {
        "cifar10_1k": ("natural", 10, 800, 200, 1_000),
        "gtsrb": ("natural", 43, 800, 200, 1_000),
        "clothing10": ("natural", 10, 800, 200, 1_000),
        "rsscn7": ("specialized", 7, 800, 200, 1_000),
        "neu_surface": ("specialized", 6, 800, 200, 800),
        "coil20_azimuth": ("structured", 18, 800, 200, 440),
        "gtsrb_dist": ("structured", 5, 800, 200, 1_000),
    }
    assert all(TASKS[t.name] is t and list(t.files.splits().values()) == ["train", "val", "test"] for t in SMALL)


def test_augregs_and_big_visions_tasks_are_cropped_and_no_others():
    cropped = {"cars196", "cifar10", "oxford_flowers102", "cifar100", "imagenet2012", "kitti", "oxford_iiit_pet", "resisc45"}
    assert {t.name for t in TASKS.values() if t.crop} == cropped


# Examples of every split of TFDS, which its own documentation states.
TFDS_SPLITS = {
    "caltech101": {"train": 3_060, "test": 6_084},
    "cars196": {"train": 8_144, "test": 8_041},
    "cifar10": {"train": 50_000, "test": 10_000},
    "cifar100": {"train": 50_000, "test": 10_000},
    "clevr": {"train": 70_000, "validation": 15_000},
    "diabetic_retinopathy_detection": {"train": 35_126, "validation": 10_906, "test": 42_670},
    "dmlab": {"train": 65_550, "validation": 22_628, "test": 22_735},
    "dsprites": {"train": 737_280},
    "dtd": {"train": 1_880, "validation": 1_880, "test": 1_880},
    "eurosat": {"train": 27_000},
    "imagenet2012": {"train": 1_281_167, "validation": 50_000},
    "imagenet2012_real": {"validation": 50_000},
    "imagenet_v2": {"test": 10_000},
    "kitti": {"train": 6_347, "validation": 423, "test": 711},
    "oxford_flowers102": {"train": 1_020, "validation": 1_020, "test": 6_149},
    "oxford_iiit_pet": {"train": 3_680, "test": 3_669},
    "patch_camelyon": {"train": 262_144, "validation": 32_768, "test": 32_768},
    "resisc45": {"train": 31_500},
    "smallnorb": {"train": 24_300, "test": 24_300},
    "sun397": {"train": 76_128, "validation": 10_875, "test": 21_750},
    "svhn_cropped": {"train": 73_257, "test": 26_032},
}
# VTAB's 19: group, classes, images to learn from, to select by and to test, and where VTAB-1k's 200 to select by are.
VTAB_FACTS = {
    "caltech101": ("natural", 102, 2_754, 306, 6_084, "train[2754:2954]"),
    "cifar100": ("natural", 100, 45_000, 5_000, 10_000, "train[45000:45200]"),
    "dtd": ("natural", 47, 1_880, 1_880, 1_880, "validation[:200]"),
    "flowers102": ("natural", 102, 1_020, 1_020, 6_149, "validation[:200]"),
    "pets": ("natural", 37, 2_944, 736, 3_669, "train[2944:3144]"),
    "sun397": ("natural", 397, 76_128, 10_875, 21_750, "validation[:200]"),
    "svhn": ("natural", 10, 65_931, 7_326, 26_032, "train[65931:66131]"),
    "camelyon": ("specialized", 2, 262_144, 32_768, 32_768, "validation[:200]"),
    "eurosat": ("specialized", 10, 16_200, 5_400, 5_400, "train[16200:16400]"),
    "resisc45": ("specialized", 45, 18_900, 6_300, 6_300, "train[18900:19100]"),
    "retinopathy": ("specialized", 5, 35_126, 10_906, 42_670, "validation[:200]"),
    "clevr_count": ("structured", 8, 63_000, 7_000, 15_000, "train[63000:63200]"),
    "clevr_distance": ("structured", 6, 63_000, 7_000, 15_000, "train[63000:63200]"),
    "dmlab": ("structured", 6, 65_550, 22_628, 22_735, "validation[:200]"),
    "dsprites_location": ("structured", 16, 589_824, 73_728, 73_728, "train[589824:590024]"),
    "dsprites_orientation": ("structured", 16, 589_824, 73_728, 73_728, "train[589824:590024]"),
    "kitti_distance": ("structured", 4, 6_347, 423, 711, "validation[:200]"),
    "smallnorb_azimuth": ("structured", 18, 24_300, 12_150, 12_150, "test[:200]"),
    "smallnorb_elevation": ("structured", 9, 24_300, 12_150, 12_150, "test[:200]"),
}


def test_the_19_tasks_of_vtab_have_its_groups_sizes_and_cuts():
    assert tuple(f"vtab_{name}" for name in VTAB_FACTS) == FULL
    assert tuple(f"vtab1k_{name}" for name in VTAB_FACTS) == ONE_K
    for name, (group, classes, train, val, test, of_200) in VTAB_FACTS.items():
        full, small = TASKS[f"vtab_{name}"], TASKS[f"vtab1k_{name}"]
        assert (full.group, full.classes, full.train, full.val, full.test) == (group, classes, train, val, test)
        assert (small.group, small.classes, small.train, small.val, small.test) == (group, classes, 800, 200, test)
        assert (small.files.train, small.files.val, small.files.test) == ("train[:800]", of_200, full.files.test)
        assert (small.files.tfds, small.files.label) == (full.files.tfds, full.files.label)


# Of the facts of all tasks but for their versions. Where a task changes, raise its version, then write the new digest here.
PINNED = "e1649ce97126e14f"


def test_a_change_of_a_task_is_noticed_and_raises_its_version():
    facts = {name: {**dataclasses.asdict(task), "version": 0} for name, task in TASKS.items()}
    assert hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16] == PINNED
    assert {name: task.version for name, task in TASKS.items() if task.version != 1} == {}


def test_no_name_has_two_cuts():
    cuts = {}
    for facts in (*TASKS.values(), *(s for s in UPSTREAM.values() if s.name in TASKS)):
        if facts.files:
            assert cuts.setdefault(facts.name, facts.files.splits()) == facts.files.splits()
    # AugReg and VTAB cut the same images in different places.
    assert cuts["cifar100"] != cuts["vtab_cifar100"] != cuts["vtab1k_cifar100"]


def cut(spec, splits):
    """Returns the examples that one TFDS specification with absolute numbers stands for, as (split, index)."""
    name, low, high = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", spec).groups()
    return {(name, i) for i in range(splits[name])[slice(int(low) if low else None, int(high) if high else None)]}


@pytest.mark.parametrize(
    "facts",
    [
        *(t for t in TASKS.values() if t.files and t not in SMALL),
        *(UPSTREAM[n] for n in ("i1k", "cifar100", "oxford_iiit_pet", "resisc45")),
    ],
    ids=lambda f: f.name,
)
def test_cuts_have_the_sizes_of_the_facts_and_share_no_example(facts):
    splits = TFDS_SPLITS[facts.files.name]
    parts = {purpose: cut(spec, splits) for purpose, spec in facts.files.splits().items()}
    assert {p: len(examples) for p, examples in parts.items()} == {p: getattr(facts, p) for p in ("train", "val", "test")}
    assert len(set.union(*parts.values())) == sum(map(len, parts.values()))


@pytest.mark.parametrize(
    ("name", "total", "share", "n"), [("imagenet2012", 1_281_167, 99, 1_268_355), ("cifar10", 50_000, 98, 49_000)]
)
def test_percentages_are_rounded_as_tfds_rounds(name, total, share, n):
    assert round(total * share / 100) == n
    assert TASKS[name].files.train == f"train[:{n}]"


def test_extras_are_whole_splits():
    assert {e.name: (e.of, e.images) for e in EXTRAS.values()} == {
        "imagenet_v2": ("imagenet2012", 10_000),
        "imagenet2012_real": ("imagenet2012", 50_000),
    }
    for extra in EXTRAS.values():
        assert TFDS_SPLITS[extra.name][extra.files.test] == extra.images


def test_both_cuts_of_imagenet21k_go_by_name():
    cuts = {name: UPSTREAM[name].files.splits() for name in ("i21k", "i21k_bv")}
    assert cuts == {
        "i21k": {"train": "full[204800:]", "val": "full[102400:204800]", "test": "full[:102400]"},
        "i21k_bv": {"train": "full[51200:]", "val": "full[25600:51200]", "test": "full[:25600]"},
    }


def test_every_set_says_whose_it_is_and_how_to_get_it():
    named = {f.files.name for f in (*TASKS.values(), *UPSTREAM.values(), *EXTRAS.values()) if f.files}
    assert named == set(ORIGINS)
    assert all(origin.licence and origin.get for origin in ORIGINS.values())
    assert {s.name for s in UPSTREAM.values() if s.files is None} == EMBEDDED_SETS | PROPRIETARY_SETS


def test_upstream_recipes_are_the_papers():
    i1k, i21k = UPSTREAM["i1k"], UPSTREAM["i21k"]
    assert (i1k.train, i1k.val, i1k.test, i1k.classes, i1k.head_bias) == (1_268_355, 12_812, 50_000, 1000, -6.9)
    assert (i21k.val, i21k.classes, i21k.head_bias) == (102_400, 21_843, -10.0)
    assert {(s.resolution, s.batch_size, s.warmup_steps, s.loss) for s in (i1k, i21k)} == {(224, 4096, 10_000, "sigmoid")}
    assert Upstream("Ti/16", "i1k", 300, 0.001, "none", 0.03, 0.0, 0.0).steps(1_268_355) == 92_897


def test_vit_shapes_are_the_papers():
    assert {name: v.spec for name, v in VARIANTS.items() if v.family == "vit" and name in RELEASED_VIT} == {
        "Ti/16": ViTSpec(16, 192, 12, 768, 3),
        "S/32": ViTSpec(32, 384, 12, 1536, 6),
        "S/16": ViTSpec(16, 384, 12, 1536, 6),
        "B/32": ViTSpec(32, 768, 12, 3072, 12),
        "B/16": ViTSpec(16, 768, 12, 3072, 12),
        "B/8": ViTSpec(8, 768, 12, 3072, 12),
        "L/16": ViTSpec(16, 1024, 24, 4096, 16),
    }


def test_nfnet_depths_grow_with_the_index():
    assert VARIANTS["NFNet-F0"].spec.depths == (1, 2, 6, 3)
    assert VARIANTS["NFNet-F7"].spec.depths == (8, 16, 48, 24)
    assert {VARIANTS[f"NFNet-F{n}"].spec.widths for n in range(8)} == {(256, 512, 1536, 1536)}


def test_what_this_version_can_read_without_files_is_marked_as_embedded_or_synthetic():
    assert set(data.EMBEDDED_LOADERS) == EMBEDDED_SETS
    assert set(tasks.EMBEDDED_LOADERS) == EMBEDDED_TASKS | {name for name, task in TASKS.items() if task.synthetic}
