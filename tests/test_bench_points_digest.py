"""The digest: pinned, and another one for whatever would train differently."""

from dataclasses import replace

import pytest

from bench.points import LEVELS, TASKS, UPSTREAM, VARIANTS, Transfer, Upstream
from bench.points.variants.vit import ViTSpec

BASE = Upstream("Ti/16", "i21k", 300, 0.001, "none", 0.03, 0.0, 0.0)
TRANSFER = Transfer(BASE, "kitti", 500, 0.03, 224)


def test_digest_is_pinned():
    # Another value here means that no result made before can be read any more: raise CONFIG_VERSION knowingly.
    assert BASE.digest == "8606f3852ae71cc3"
    assert TRANSFER.digest == "977ef9657c9fef95"


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (
            BASE,
            {
                "model": "S/16",
                "dataset": "i1k",
                "epochs": 30,
                "lr": 0.002,
                "aug": "light0",
                "wd": 0.1,
                "do": 0.1,
                "sd": 0.1,
                "fraction": 0.5,
                "seed": 1,
                "batch_size": 64,
                "warmup_steps": 1,
                "resolution": 32,
                "optimizer": "momentum",
                "loss": "softmax",
                "clip": 0.5,
                "dtype": "bfloat16",
                "randaug": "fixed",
                "shards": 4,
                "multiplicity": 4,
                "smoothing": 0.1,
                "ema": 0.9999,
                "accumulate": 2,
                "sam": 0.05,
                "decay": "linear",
            },
        ),
        (
            replace(BASE, model="NFNet-F0"),
            {"progressive": "paper"},
        ),
        (
            TRANSFER,
            {
                "upstream": replace(BASE, seed=1),
                "task": "cifar100",
                "steps": 501,
                "lr": 0.01,
                "resolution": 384,
                "seed": 1,
                "batch_size": 64,
                "warmup_steps": 1,
                "clip": 0.5,
                "wd": 0.1,
                "do": 0.1,
                "sd": 0.1,
                "aug": "light0",
                "sam": 0.05,
                "ema": 0.9999,
                "smoothing": 0.1,
                "multiplicity": 4,
                "optimizer": "adam",
                "decay": "constant",
                "fit": "tune",
            },
        ),
    ],
)
def test_digest_and_name_change_with_every_field(config, changes):
    # Nothing of a ViT can grow.
    assert set(changes) in ({"progressive"}, set(config.to_dict()) - {"progressive", "own"})
    for field, value in changes.items():
        other = replace(config, **{field: value})
        assert other.digest != config.digest, field
        assert other.name != config.name, field


@pytest.mark.parametrize(
    ("table", "key", "change"),
    [
        (LEVELS, "none", {"mixup": 0.1}),
        (LEVELS, "none", {"layers": 1}),
        (VARIANTS, "Ti/16", {"spec": ViTSpec(16, 192, 12, 768, 4)}),
        (UPSTREAM, "i21k", {"head_bias": -9.0}),
        (UPSTREAM, "i21k", {"crop": False}),
    ],
)
def test_digest_changes_with_every_fact_that_the_config_names(monkeypatch, table, key, change):
    before, before_transfer = BASE.digest, TRANSFER.digest
    monkeypatch.setitem(table, key, replace(table[key], **change))
    upstream = replace(BASE)  # a config keeps the digest that it once had
    assert upstream.digest != before
    assert replace(TRANSFER, upstream=upstream).digest != before_transfer


def test_digest_of_a_transfer_changes_with_its_task_only(monkeypatch):
    before, before_transfer = BASE.digest, TRANSFER.digest
    monkeypatch.setitem(TASKS, "kitti", replace(TASKS["kitti"], train=6_346))
    assert replace(BASE).digest == before
    assert replace(TRANSFER).digest != before_transfer
