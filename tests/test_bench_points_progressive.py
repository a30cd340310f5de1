"""Stages of progressive learning against the tables of the released code and of the paper."""

from dataclasses import replace

import pytest

from bench.errors import UserError
from bench.points import Upstream, parse
from bench.points.progressive import Stage, spread, stages

BASE = Upstream("EfficientNetV2-S", "i1k", 350, 4.096, "effnetv2s", 1e-5, 0.2, 0.2, resolution=300, progressive="code")


def column(config, field):
    return [getattr(stage, field) for stage in stages(config)]


@pytest.mark.parametrize(
    ("model", "aug", "pixels", "do", "resolutions", "magnitudes", "alphas"),
    [
        ("S", "effnetv2s", 300, 0.2, [171, 214, 257, 300], [5, 20 / 3, 25 / 3, 10], [0, 0, 0, 0]),
        ("M", "effnetv2m", 384, 0.3, [192, 256, 320, 384], [5, 25 / 3, 35 / 3, 15], [0, 0.2 / 3, 0.4 / 3, 0.2]),
        ("L", "effnetv2l", 384, 0.4, [192, 256, 320, 384], [5, 10, 15, 20], [0, 0.5 / 3, 1 / 3, 0.5]),
        ("B3", "none", 240, 0.3, [156, 184, 212, 240], [0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_the_released_codes_stages(model, aug, pixels, do, resolutions, magnitudes, alphas):
    config = replace(BASE, model=f"EfficientNetV2-{model}", aug=aug, resolution=pixels, do=do)
    assert column(config, "resolution") == resolutions
    assert column(config, "magnitude") == pytest.approx(magnitudes)
    assert column(config, "mixup") == column(config, "cutmix") == pytest.approx(alphas)
    assert column(config, "dropout") == [do] * 4  # the line that would schedule it is commented out


@pytest.mark.parametrize(
    ("model", "pixels", "magnitude", "mixup", "do"),
    [("S", 300, 15, 0, 0.3), ("M", 380, 20, 0.2, 0.4), ("L", 380, 25, 0.5, 0.5)],
)
def test_the_papers_stages_grow_linearly_between_table_6s_ends(model, pixels, magnitude, mixup, do):
    aug = f"effnetv2{model.lower()}_paper"
    config = replace(BASE, model=f"EfficientNetV2-{model}", aug=aug, resolution=pixels, do=do, progressive="paper")
    first, second, third, last = stages(config)
    assert first == Stage(128, 2, 5, 0, 0, 0.1)
    assert last == Stage(pixels, 2, magnitude, mixup, 0, do)
    for i, stage in ((1, second), (2, third)):
        assert stage.resolution == 128 + (pixels - 128) * i // 3
        assert stage.magnitude == pytest.approx(5 + (magnitude - 5) * i / 3)
        assert stage.mixup == pytest.approx(mixup * i / 3)
        assert stage.dropout == pytest.approx(0.1 + (do - 0.1) * i / 3)
    assert column(config, "resolution") == {"S": [128, 185, 242, 300]}.get(model, [128, 212, 296, 380])


@pytest.mark.parametrize(("pixels", "resolutions"), [(28, [14, 18, 23, 28]), (32, [16, 21, 26, 32])])
def test_small_images_start_at_half_their_size(pixels, resolutions):
    config = Upstream("EfficientNetV2-mu", "mnist5k", 1, 0.1, "light1", 0.0, 0.0, 0.0, resolution=pixels, progressive="mini")
    assert column(config, "resolution") == resolutions
    assert column(config, "magnitude") == pytest.approx([5, 20 / 3, 25 / 3, 10])
    # The config has no dropout, less than the schedule starts with.
    assert column(config, "dropout") == [0, 0, 0, 0]


def test_without_a_schedule_there_is_one_stage_with_the_configs_own_values():
    config = replace(BASE, progressive="", aug="effnetv2m")
    assert stages(config) == (Stage(300, 2, 15, 0.2, 0.2, 0.2),)
    assert list(spread(config, 7)) == [(stages(config)[0], 0, 7)]


@pytest.mark.parametrize(
    ("steps", "borders"), [(100, [(0, 25), (25, 50), (50, 75), (75, 100)]), (3, [(0, 1), (1, 2), (2, 2), (2, 3)])]
)
def test_stages_share_the_steps(steps, borders):
    assert [(first, end) for _, first, end in spread(BASE, steps)] == borders


def test_the_schedule_stands_in_the_name_and_its_facts_in_the_digest(monkeypatch):
    from bench.points.progressive import PROGRESSIVE

    assert BASE.name.endswith("-res_300-prog_code")
    assert parse(BASE.name) == BASE
    before = BASE.digest
    monkeypatch.setitem(PROGRESSIVE, "code", replace(PROGRESSIVE["code"], magnitude=6.0))
    assert replace(BASE).digest != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"progressive": "papr"}, "field 'progressive' is 'papr'; did you mean 'paper'?"),
        (
            {"model": "B/16"},
            "weights of the family vit (B/16) depend on the resolution, so that stages cannot hand them on; use a model of"
            " resnet, nfnet, efficientnetv2",
        ),
        ({"model": "CoAtNet-0"}, "weights of the family coatnet"),
        ({"resolution": 96}, "starts at 128 px, but the resolution is 96; use 'mini'"),
    ],
)
def test_impossible_schedules_say_why(change, said):
    with pytest.raises(UserError) as caught:
        replace(BASE, **change)
    assert said in str(caught.value)
