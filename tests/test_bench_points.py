import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.points import LEVELS, TASKS, UPSTREAM, VARIANTS, Transfer, Upstream, parse, parse_transfer, parse_upstream
from bench.points.config import DECAYS, OPTIMIZERS

RELEASED_MODELS = ("Ti/16", "S/32", "S/16", "B/32", "B/16", "L/16", "R+Ti/16", "R26+S/32", "R50+L/32")
SETS = (("i1k", 300), ("i21k", 300), ("i21k", 30))
RELEASED_LEVELS = ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2")
SMALL_TASKS = {
    "cifar100": (2_500, 10_000),
    "resisc45": (2_500, 10_000),
    "oxford_iiit_pet": (500, 2_500),
    "kitti": (500, 2_500),
}
BASE = Upstream("Ti/16", "i21k", 300, 0.001, "none", 0.03, 0.0, 0.0)
TRANSFER = Transfer(BASE, "kitti", 500, 0.03, 224)


def grid(models, sets):
    return [
        Upstream(model, dataset, epochs, 0.001, aug, wd, rate, rate)
        for model in models
        for dataset, epochs in sets
        for aug in RELEASED_LEVELS
        for wd in (0.03, 0.1)
        for rate in (0.0, 0.1)
    ]


def transfers(upstream, resolutions):
    runs = [(task, steps, lr) for task, two in SMALL_TASKS.items() for steps in two for lr in (0.001, 0.003, 0.01, 0.03)]
    runs += [("imagenet2012", 20_000, lr) for lr in (0.01, 0.03)]
    return [Transfer(upstream, task, steps, lr, res) for task, steps, lr in runs for res in resolutions]


def refusal(make, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        make(*args, **kwargs)
    return str(caught.value)


def test_every_released_name_round_trips():
    upstream = grid(RELEASED_MODELS, SETS)
    b8 = grid(["B/8"], [("i21k", 300)])
    assert (len(upstream), len(b8)) == (756, 28)
    assert len({c.name for c in upstream + b8}) == 784
    names = set()
    for config in upstream + b8:
        assert parse(config.name) == config
        for transfer in transfers(config, (224,) if config.model == "B/8" else (224, 384)):
            assert parse(transfer.name) == transfer
            names.add(transfer.name)
    assert len(names) == 51_408 + 28 * 34
    # 756 x 68 runs and B/8's three upstream runs less the one that is missing: the released index.
    assert 51_408 + 3 * 34 - 1 == 51_509


@pytest.mark.parametrize(
    ("name", "model", "aug", "wd", "rate", "lr", "resolution"),
    [
        ("L_16-i21k-300ep-lr_0.001-aug_strong1-wd_0.1-do_0.0-sd_0.0", "L/16", "strong1", 0.1, 0.0, 0.01, 384),
        ("B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0", "B/16", "medium1", 0.1, 0.0, 0.03, 384),
        ("S_16-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0", "S/16", "light1", 0.03, 0.0, 0.03, 384),
        ("R50_L_32-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1", "R50+L/32", "medium1", 0.1, 0.1, 0.01, 384),
        ("R26_S_32-i21k-300ep-lr_0.001-aug_light1-wd_0.1-do_0.0-sd_0.0", "R26+S/32", "light1", 0.1, 0.0, 0.01, 384),
        ("Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0", "Ti/16", "none", 0.03, 0.0, 0.03, 384),
        ("B_32-i21k-300ep-lr_0.001-aug_light1-wd_0.1-do_0.0-sd_0.0", "B/32", "light1", 0.1, 0.0, 0.01, 384),
        ("S_32-i21k-300ep-lr_0.001-aug_none-wd_0.1-do_0.0-sd_0.0", "S/32", "none", 0.1, 0.0, 0.01, 384),
        ("R_Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0", "R+Ti/16", "none", 0.03, 0.0, 0.03, 384),
        ("B_8-i21k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0", "B/8", "medium2", 0.1, 0.0, 0.03, 224),
    ],
)
def test_recommended_files_parse_to_what_they_say(name, model, aug, wd, rate, lr, resolution):
    config = parse(f"{name}--imagenet2012-steps_20k-lr_{lr}-res_{resolution}")
    assert isinstance(config, Transfer)
    assert (config.task, config.steps, config.lr, config.resolution) == ("imagenet2012", 20_000, lr, resolution)
    assert (config.batch_size, config.warmup_steps, config.clip, config.seed) == (512, 500, 1.0, 0)
    up = config.upstream
    assert up == parse(name)
    assert (up.model, up.dataset, up.ds, up.epochs, up.lr) == (model, "i21k", "i21k", 300.0, 0.001)
    assert (up.aug, up.wd, up.do, up.sd, up.fraction, up.seed) == (aug, wd, rate, rate, 1.0, 0)
    assert (up.batch_size, up.warmup_steps, up.resolution, up.optimizer, up.loss, up.clip) == (
        (4096, 10_000, 224, "adam", "sigmoid", 1.0)
    )


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (500, "0k"),
        (2_500, "2k"),
        (10_000, "10k"),
        (20_000, "20k"),
        (2_000, "2000"),
        (1_000, "1k"),
        (20, "20"),
        (12_345, "12345"),
    ],
)
def test_steps_are_spelled_as_in_the_release(steps, text):
    config = replace(TRANSFER, steps=steps, warmup_steps=-1)
    assert f"--kitti-steps_{text}-lr_" in config.name
    assert parse_transfer(config.name).steps == steps


@pytest.mark.parametrize(("steps", "warmup"), [(20, 4), (499, 99), (500, 100), (2_500, 200), (10_000, 500), (20_000, 500)])
def test_warm_up_of_transfers_is_table_4s(steps, warmup):
    assert replace(TRANSFER, steps=steps, warmup_steps=-1).warmup_steps == warmup


def test_short_budget_of_i21k_has_its_own_ds():
    assert replace(BASE, epochs=30).ds == "i21k_30"
    assert replace(BASE, epochs=300).ds == "i21k"
    assert replace(BASE, dataset="i1k", epochs=30).ds == "i1k"
    assert replace(BASE, fraction=0.1).ds == "i21k_10pct"
    assert replace(BASE, fraction=0.1, epochs=30).ds == "i21k_10pct_30"


def test_what_departs_from_the_recipe_stands_in_the_name_in_a_fixed_order():
    config = Upstream(
        "ViT-mu", "mnist5k", 2.5, 3e-5, "none", 0.0, 0.0, 0.0, 0.125, seed=3, batch_size=32, clip=2, loss="sigmoid"
    )
    assert config.name == (
        "ViT_mu-mnist5k_12.5pct-2.5ep-lr_0.00003-aug_none-wd_0.0-do_0.0-sd_0.0-seed_3-batch_32-loss_sigmoid-clip_2"
    )
    agc = Upstream("ViT-mu", "mnist5k", 1, 0.1, "none", 0, 0, 0, optimizer="nesterov_agc", resolution=14, warmup_steps=0)
    assert agc.name.endswith("-sd_0.0-warmup_0-res_14-opt_nesterov_agc")
    assert agc.clip == 0.16
    for c in (config, agc, replace(TRANSFER, seed=1, batch_size=64, warmup_steps=0, clip=0.5)):
        assert parse(c.name) == c


numbers = st.one_of(st.sampled_from([1e-5, 0.001, 0.03, 0.1, 1 / 3, 1.0, 300.0, 1e22]), st.floats(1e-6, 1e6))
rates = st.one_of(st.sampled_from([0.0, -0.0, 0.1]), st.floats(1e-6, 0.99))
counts = st.one_of(st.integers(1, 5_000), st.integers(1, 2**31 - 1))


@st.composite
def upstreams(draw):
    return {
        "model": draw(st.sampled_from(list(VARIANTS))),
        "dataset": draw(st.sampled_from(list(UPSTREAM))),
        "aug": draw(st.sampled_from(list(LEVELS))),
        "epochs": draw(numbers),
        "lr": draw(numbers),
        "wd": draw(st.one_of(rates, numbers)),
        "do": draw(rates),
        "sd": draw(rates),
        "fraction": draw(st.one_of(st.sampled_from([1.0, 0.1, 0.01]), st.floats(1e-4, 1.0))),
        "seed": draw(st.one_of(st.just(0), st.integers(0, 2**31 - 1))),
        "batch_size": draw(st.one_of(st.just(0), counts)),
        "warmup_steps": draw(st.one_of(st.just(-1), st.integers(0, 20_000))),
        "resolution": draw(st.one_of(st.just(0), counts)),
        "optimizer": draw(st.sampled_from(["", *OPTIMIZERS])),
        "loss": draw(st.sampled_from(["", "sigmoid", "softmax"])),
        "clip": draw(st.one_of(st.just(0.0), numbers)),
        "randaug": draw(st.sampled_from(["reference", "fixed"])),
        "multiplicity": draw(st.sampled_from([1, 1, 2])),
        "smoothing": draw(st.sampled_from([0.0, 0.1])),
        "ema": draw(st.sampled_from([0.0, 0.0, 0.9999])),
        "sam": draw(st.sampled_from([0.0, 0.0, 0.05])),
        "decay": draw(st.sampled_from(DECAYS)),
    }


@st.composite
def configs(draw):
    """Any config that fits into a file name; the others must say that they do not."""
    try:
        upstream = Upstream(**draw(upstreams()))
        if draw(st.booleans()):
            return upstream
        return Transfer(
            upstream,
            task=draw(st.sampled_from(list(TASKS))),
            steps=draw(st.one_of(st.sampled_from([500, 2_000, 2_500, 20_000]), counts)),
            lr=draw(numbers),
            resolution=draw(counts),
            seed=draw(st.integers(0, 3)),
            batch_size=draw(st.sampled_from([512, 64])),
            warmup_steps=draw(st.integers(-1, 600)),
            clip=draw(numbers),
            wd=draw(rates),
            do=draw(rates),
            sd=draw(rates),
            aug=draw(st.sampled_from(["none", "medium1"])),
            sam=draw(st.sampled_from([0.0, 0.05])),
            ema=draw(st.sampled_from([0.0, 0.9999])),
            smoothing=draw(st.sampled_from([0.0, 0.1])),
            multiplicity=draw(st.sampled_from([1, 4])),
            optimizer=draw(st.sampled_from(OPTIMIZERS)),
            decay=draw(st.sampled_from(DECAYS)),
        )
    except UserError as error:
        if "more than the 255 of a file name" not in str(error):
            raise
        return BASE


@settings(deadline=None)
@given(configs())
def test_any_config_survives_its_name_and_its_json(config):
    back = parse(config.name)
    assert back == config
    assert back.digest == config.digest
    again = type(config).from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False)))
    assert again == config
    assert again.digest == config.digest


@settings(deadline=None)
@given(configs())
def test_names_are_safe_file_names(config):
    name = config.name
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set(' /\\:*?"<>|')
    assert len(name.encode()) <= 255
    assert not name.startswith((".", "-"))


@settings(deadline=None)
@given(upstreams(), st.data())
def test_two_different_configs_never_share_a_name_or_a_digest(fields, data):
    other = data.draw(upstreams())
    for field in data.draw(st.sets(st.sampled_from(sorted(fields)), max_size=len(fields))):
        other[field] = fields[field]
    try:
        one, two = Upstream(**fields), Upstream(**other)
    except UserError:
        return
    assert (one == two) == (one.name == two.name) == (one.digest == two.digest)


def test_longest_name_is_refused_not_truncated():
    said = refusal(replace, BASE, lr=5e-324)
    assert "Upstream" in said
    assert "more than the 255 of a file name; use numbers with fewer digits" in said
    assert "Transfer" in refusal(replace, TRANSFER, lr=1e-200)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Ti_16-i21k-300.0ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0", BASE.name),
        ("Ti_16-i21k-300ep-lr_0.0010-aug_none-wd_0.03-do_0.0-sd_0.0", BASE.name),
        ("Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0-sd_0", BASE.name),
        ("Ti_16-i21k_100pct-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0", BASE.name),
        (BASE.name + "-seed_0", BASE.name),
        (BASE.name + "-opt_adam", BASE.name),
        (BASE.name + "-clip_1", BASE.name),
        (BASE.name + "-seed_01", BASE.name + "-seed_1"),
        (BASE.name + "-seed_1_0", BASE.name + "-seed_10"),
        (BASE.name + "-seed_1-seed_2", BASE.name + "-seed_2"),
        (BASE.name + "-batch_8-seed_1", BASE.name + "-seed_1-batch_8"),
        (BASE.name + "--kitti-steps_500-lr_0.03-res_224", TRANSFER.name),
        (BASE.name + "--kitti-steps_00k-lr_0.03-res_224", TRANSFER.name),
        (BASE.name + "--kitti-steps_0k-lr_0.030-res_0224", TRANSFER.name),
    ],
)
def test_other_spellings_are_refused_with_the_canonical_one(name, canonical):
    assert refusal(parse, name) == f"name {name!r} is not in canonical form; did you mean {canonical!r}?"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nonsense", "does not follow the scheme MODEL-SET-EPOCHSep-lr_X-aug_LEVEL-wd_X-do_X-sd_X"),
        ("", "does not follow the scheme"),
        (BASE.name + "\n", "does not follow the scheme"),
        (BASE.name.replace("300ep", "3e2ep"), "does not follow the scheme"),
        (BASE.name.replace("Ti_16", "Ti_61"), "unknown model 'Ti_61'; did you mean 'Ti_16'?"),
        (BASE.name.replace("i21k", "i12k"), "unknown upstream set 'i12k'; did you mean"),
        (BASE.name.replace("aug_none", "aug_light2"), "field 'aug' is 'light2'; did you mean 'light"),
        (BASE.name.replace("do_0.0", "do_1.5"), "field 'do' is 1.5, but must be at most 0.99 (nearest valid: 0.99)"),
        (BASE.name.replace("300ep", "0ep"), "field 'epochs' is 0.0, but must be greater than 0"),
        (BASE.name.replace("0.001", "9" * 400), "field 'lr' must be finite"),
        (BASE.name + "-sed_1", "unknown part 'sed_1'; did you mean 'seed'?"),
        (BASE.name + "-seed_x", "'seed_x' must hold a value of type int"),
        (BASE.name + "-seed_" + "9" * 5000, "must hold a value of type int"),
        (BASE.name + "--kitti", "does not follow the scheme UPSTREAM--TASK-steps_N-lr_X-res_N"),
        (BASE.name + "--kiti-steps_0k-lr_0.03-res_224", "field 'task' is 'kiti'; did you mean 'kitti'?"),
        (BASE.name + "--kitti-steps_0-lr_0.03-res_224", "field 'steps' is 0, but must be at least 1 (nearest valid: 1)"),
        (BASE.name + f"--kitti-steps_{'9' * 5000}-lr_0.03-res_224", "does not follow the scheme"),
        (BASE.name + "--kitti-steps_0k-lr_0.03-res_224-shards_2", "unknown part 'shards_2'"),
    ],
)
def test_impossible_names_say_what_is_wrong(name, said):
    assert said in refusal(parse, name)


def test_upstream_parser_refuses_a_transfer_name():
    assert "does not follow the scheme" in refusal(parse_upstream, TRANSFER.name)
    assert "does not follow the scheme" in refusal(parse_transfer, BASE.name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "Ti16"}, "Upstream: field 'model' is 'Ti16'; did you mean 'Ti/16'?"),
        ({"dataset": "I1K"}, "Upstream: field 'dataset' is 'I1K'; "),
        ({"aug": "heavy1"}, "Upstream: field 'aug' is 'heavy1'; "),
        ({"optimizer": "adamw"}, "Upstream: field 'optimizer' is 'adamw'; did you mean 'adam'?"),
        ({"loss": "sigmod"}, "Upstream: field 'loss' is 'sigmod'; did you mean 'sigmoid'?"),
        ({"model": 3}, "Upstream: field 'model' must be str, not int 3"),
        ({"lr": "0.001"}, "Upstream: field 'lr' must be float, not str '0.001'; did you mean 0.001?"),
        ({"lr": None}, "Upstream: field 'lr' must be float, not NoneType None"),
        ({"lr": True}, "Upstream: field 'lr' must be float, not bool True; did you mean 1.0?"),
        ({"seed": True}, "Upstream: field 'seed' must be int, not bool True; did you mean 1?"),
        ({"seed": 1.0}, "Upstream: field 'seed' must be int, not float 1.0; did you mean 1?"),
        ({"seed": math.nan}, "Upstream: field 'seed' must be int, not float nan"),
        ({"lr": math.nan}, "Upstream: field 'lr' must be finite, not nan"),
        ({"wd": math.inf}, "Upstream: field 'wd' must be finite, not inf"),
        ({"epochs": -math.inf}, "Upstream: field 'epochs' must be finite, not -inf"),
        ({"lr": 10**400}, "Upstream: field 'lr' must be float, not int 1000"),
        ({"lr": 0}, "Upstream: field 'lr' is 0.0, but must be greater than 0"),
        ({"clip": -1.0}, "Upstream: field 'clip' is -1.0, but must be greater than 0"),
        ({"wd": -0.1}, "Upstream: field 'wd' is -0.1, but must be at least 0 (nearest valid: 0)"),
        ({"fraction": 1.5}, "Upstream: field 'fraction' is 1.5, but must be at most 1 (nearest valid: 1)"),
        ({"fraction": 0.0}, "Upstream: field 'fraction' is 0.0, but must be greater than 0"),
        ({"sd": 1.0}, "Upstream: field 'sd' is 1.0, but must be at most 0.99 (nearest valid: 0.99)"),
        ({"seed": -1}, "Upstream: field 'seed' is -1, but must be at least 0 (nearest valid: 0)"),
        ({"seed": 2**31}, "Upstream: field 'seed' is 2147483648, but must be at most 2147483647 (nearest valid: 2147483647)"),
        ({"batch_size": -4}, "Upstream: field 'batch_size' is -4, but must be at least 1 (nearest valid: 1)"),
        ({"warmup_steps": -2}, "Upstream: field 'warmup_steps' is -2, but must be at least 0 (nearest valid: 0)"),
        ({"smoothing": 1.0}, "Upstream: field 'smoothing' is 1.0, but must be at most 0.99 (nearest valid: 0.99)"),
        ({"ema": 1.5}, "Upstream: field 'ema' is 1.5, but must be at most 1 (nearest valid: 1)"),
        ({"sam": -0.1}, "Upstream: field 'sam' is -0.1, but must be at least 0 (nearest valid: 0)"),
        ({"accumulate": 3}, "Upstream: field 'accumulate' is 3, which does not divide the batch size 4096"),
        ({"shards": 3}, "Upstream: field 'shards' is 3, which does not divide the batch size 4096"),
        ({"decay": "cosin"}, "Upstream: field 'decay' is 'cosin'; did you mean 'cosine'?"),
        ({"resolution": -1}, "Upstream: field 'resolution' is -1, but must be at least 1 (nearest valid: 1)"),
    ],
)
def test_impossible_fields_are_named_with_the_nearest_valid_value(change, said):
    assert refusal(replace, BASE, **change).startswith(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"upstream": BASE.name}, "Transfer: field 'upstream' must be an Upstream or a Checkpoint, not str"),
        ({"task": "pets"}, "Transfer: field 'task' is 'pets'; "),
        ({"steps": 0}, "Transfer: field 'steps' is 0, but must be at least 1 (nearest valid: 1)"),
        ({"steps": 500.0}, "Transfer: field 'steps' must be int, not float 500.0; did you mean 500?"),
        ({"steps": 2**31}, "Transfer: field 'steps' is 2147483648, but must be at most 2147483647"),
        ({"lr": 0.0}, "Transfer: field 'lr' is 0.0, but must be greater than 0"),
        ({"resolution": 0}, "Transfer: field 'resolution' is 0, but must be at least 1 (nearest valid: 1)"),
        ({"batch_size": 0}, "Transfer: field 'batch_size' is 0, but must be at least 1 (nearest valid: 1)"),
        ({"clip": 0.0}, "Transfer: field 'clip' is 0.0, but must be greater than 0"),
        ({"optimizer": "sgd"}, "Transfer: field 'optimizer' is 'sgd'; "),
        ({"decay": "exp"}, "Transfer: field 'decay' is 'exp'; "),
        ({"aug": "light"}, "Transfer: field 'aug' is 'light'; "),
        ({"do": 1.0}, "Transfer: field 'do' is 1.0, but must be at most 0.99 (nearest valid: 0.99)"),
        ({"multiplicity": 0}, "Transfer: field 'multiplicity' is 0, but must be at least 1 (nearest valid: 1)"),
    ],
)
def test_impossible_transfer_fields_are_named_with_the_nearest_valid_value(change, said):
    assert refusal(replace, TRANSFER, **change).startswith(said)


def test_unknown_and_missing_fields_are_named():
    assert refusal(Upstream.from_dict, {**BASE.to_dict(), "batchsize": 3}) == (
        "Upstream: unknown field 'batchsize'; did you mean 'batch_size'?"
    )
    short = BASE.to_dict()
    del short["wd"]
    assert refusal(Upstream.from_dict, short) == "Upstream: missing field 'wd'"
    nested = TRANSFER.to_dict()
    nested["upstream"]["augs"] = "none"
    assert refusal(Transfer.from_dict, nested) == "Upstream: unknown field 'augs'; did you mean 'aug'?"


def test_negative_zero_is_zero():
    config = replace(BASE, wd=-0.0)
    assert (config.name, config.digest) == (replace(BASE, wd=0.0).name, replace(BASE, wd=0.0).digest)
    assert math.copysign(1, config.wd) == 1


def test_configs_cannot_be_changed():
    with pytest.raises(AttributeError):
        BASE.lr = 0.1


def test_choices_follow_the_table_they_come_from():
    assert refusal(replace, BASE, aug="x") == (
        "Upstream: field 'aug' is 'x'; valid: none, light0, light1, medium1, medium2, strong1, strong2, scratch1, scratch2,"
        " nfnet5, nfnet10, nfnet15, effnetv2s, effnetv2m, effnetv2l, effnetv2s_paper, effnetv2m_paper, effnetv2l_paper,"
        " coatnet, coatnet_jft"
    )


def test_points_import_no_numerical_library():
    code = (
        "import sys, bench.points, bench.cost\n"
        "heavy = {'jax', 'numpy', 'tensorflow', 'matplotlib', 'pandas', 'flax', 'scipy', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
