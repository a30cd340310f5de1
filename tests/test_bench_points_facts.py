"""Facts of levels, tasks, upstream sets and shapes, as the papers state them."""

from bench.data import UPSTREAM_LOADERS
from bench.points import LEVELS, TASKS, UPSTREAM, VARIANTS, Upstream
from bench.points.datasets import EMBEDDED_SETS
from bench.points.tasks import EMBEDDED_TASKS
from bench.points.variants.vit import ViTSpec
from vtab.tasks import LOADERS

RELEASED_VIT = ("Ti/16", "S/32", "S/16", "B/32", "B/16", "B/8", "L/16")


def test_levels_are_the_released_ones_with_the_papers_names_and_strengths():
    assert {name: (v.paper, v.layers, v.magnitude, v.mixup) for name, v in LEVELS.items()} == {
        "none": ("none", 0, 0, 0.0),
        "light0": ("light1", 2, 0, 0.0),
        "light1": ("light2", 2, 10, 0.2),
        "medium1": ("medium1", 2, 15, 0.2),
        "medium2": ("medium2", 2, 15, 0.5),
        "strong1": ("heavy1", 2, 20, 0.5),
        "strong2": ("heavy2", 2, 20, 0.8),
    }


def test_tasks_have_the_papers_sizes_and_groups():
    assert {t.name: (t.group, t.classes, t.train, t.val, t.test) for t in TASKS.values() if t.train > 1_000} == {
        "cifar100": ("natural", 100, 49_000, 1_000, 10_000),
        "imagenet2012": ("natural", 1000, 1_268_355, 12_812, 50_000),
        "kitti": ("structured", 4, 6_347, 423, 711),
        "oxford_iiit_pet": ("natural", 37, 3_312, 368, 3_669),
        "resisc45": ("specialized", 45, 18_900, 6_300, 6_300),
    }


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
    assert set(UPSTREAM_LOADERS) == EMBEDDED_SETS
    assert set(LOADERS) == EMBEDDED_TASKS | {name for name, task in TASKS.items() if task.synthetic}
