"""The compiled step under the recipes' options against the recipe written out, and what the options cost where they are off."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from bench import models, weights
from bench.data.order import Order
from bench.points import Transfer, Upstream
from bench.train import program
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Preempted, Watch, fit
from bench.train.hyper import Hyper
from bench.train.static import Static
from vtab import adapt, tasks

# Every option at once; the recipe below is of these.
EVERYTHING = {"optimizer": "nesterov_agc_l2", "sam": True, "ema": True, "accumulate": 2, "decay": "linear"}
# No masks and no clipping, or the recipe would need their code.
QUIET = {"dropout": 0, "stochastic_depth": 0, "clip": 1e9, "layers": 0}
RATES = {"lr": 0.05, "wd": 0.1, "smoothing": 0.2, "sam": 0.3, "ema": 0.5, "warmup": 2, "steps": 8}


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        patch.setattr(program.augment, "augment_and_mix", tiny.only_mix)
        yield tiny.programs(**EVERYTHING)


def train(made, **options):
    hyper = tiny.hyper(**{**RATES, **options.pop("hyper", {})})
    return fit(made, made.start(made.init(np.uint32(0))), tiny.DATA, tiny.order(), hyper, tiny.CLASSES, **options)


def recipe(model, start, steps, total):
    """NFNet's fine-tuning, from the papers: whole batches, float64 but for the model itself."""
    order, decayed = tiny.order(), lambda path: path[-1].key == "kernel"

    def loss(params, images, labels):
        logits = models.train(model, params, {}, images, tiny.quiet())[0][:, : tiny.CLASSES]
        targets = 0.8 * jax.nn.one_hot(labels, tiny.CLASSES) + 0.2 / tiny.CLASSES
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits), -1))

    slope = jax.jit(jax.grad(loss))
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), start)
    velocity, average = jax.tree.map(np.zeros_like, params), params

    def gradient(at, seen):
        images = (tiny.DATA.train.images[seen].astype(np.float32) - 127.5) / 127.5
        found = slope(jax.tree.map(np.float32, at), images, tiny.DATA.train.labels[seen])
        return jax.tree.map(lambda g: np.asarray(g, np.float64), found)

    for t in range(steps):
        seen = order.chunk(t, 1).examples[0]
        grads = gradient(params, seen)
        norm = np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(grads)))
        grads = gradient(jax.tree.map(lambda p, g, n=norm: p + 0.3 * g / n, params, grads), seen)
        grads = jax.tree_util.tree_map_with_path(lambda path, g, p: g + 0.1 * p * decayed(path), grads, params)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, grads)
        lr = 0.05 * min(1, t / 2) * (1 - max(0, (t - 2) / (total - 2)))
        params = jax.tree.map(lambda p, g, v, lr=lr: p - lr * (g + 0.9 * v), params, grads, velocity)
        d = min(0.5, (1 + t) / (10 + t))
        average = jax.tree.map(lambda a, p, d=d: d * a + (1 - d) * p, average, params)
    return params, average


def test_the_compiled_step_is_the_recipe_written_out(made):
    start = jax.device_get(made.init(np.uint32(0)))
    found = train(made, hyper=QUIET).state
    params, average = recipe(made.model, start, 8, 8)
    moved = max(np.abs(a - b).max() for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(start), strict=True))
    assert moved > 0.1
    # Eight steps of float32, each about 1e-7 of weights and slopes near 1.
    for ours, expected in ((found.params, params), (found.average, average)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-5), jax.device_get(ours), expected)


def test_the_average_is_what_is_evaluated_and_kept(made, monkeypatch):
    evaluated = []
    real = made.evaluate
    monkeypatch.setitem(made.__dict__, "evaluate", lambda w, *rest: evaluated.append(jax.device_get(w)) or real(w, *rest))
    found = train(made)
    assert found.state.weights is found.state.average
    same(evaluated[-1], found.state.average)
    kernels = found.state.average["head"]["kernel"], found.state.params["head"]["kernel"]
    assert not np.array_equal(*kernels)


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_a_run_stopped_and_resumed_keeps_its_average_bit_for_bit(made, tmp_path):
    whole, stops = train(made, evaluations=4), iter([False, True])
    with pytest.raises(Preempted):
        train(
            made,
            evaluations=4,
            checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "1", 1e9),
            watch=Watch(stop=lambda: next(stops)),
        )
    resumed = train(made, evaluations=4, checkpoints=Checkpoints(tmp_path, tmp_path / "attempts" / "2", 1e9))
    assert resumed.attempts == 2
    same(resumed.state, whole.state)
    assert resumed.measurements == whole.measurements


def test_rates_of_what_is_on_need_no_other_program_and_reach_the_numbers(made):
    base = train(made).state
    before = len(program.COMPILED)
    for change in ({"sam": 0.1}, {"smoothing": 0.0}, {"wd": 0.0}):
        assert not np.array_equal(train(made, hyper=change).state.params["cls"], base.params["cls"]), change
    other = train(made, hyper={"ema": 0.1}).state
    same(other.params, base.params)
    assert not np.array_equal(other.average["cls"], base.average["cls"])
    assert len(program.COMPILED) == before


def test_what_is_off_is_not_in_the_program(made):
    def lowered(**changes):
        plain = tiny.programs(optimizer="momentum", **changes)
        arguments = plain._arguments()
        text = jax.jit(plain._chunk).lower(*arguments).as_text()
        return text.count("dot_general"), text.count("stablehlo.while"), len(jax.tree.leaves(arguments[0]))

    products, loops, leaves = lowered()
    assert lowered(ema=True) == (products, loops, leaves + len(jax.tree.leaves(made.shapes)))
    twice, *rest = lowered(sam=True)
    assert 1.5 * products < twice <= 2 * products  # functions that both passes call are written down once
    assert rest == [loops, leaves]
    assert lowered(accumulate=2) == (products, loops + 1, leaves)


def test_static_and_traced_parts_of_a_config():
    plain = Upstream("NFNet-mu", "mnist5k", 2.0, 0.1, "light1", 0.01, 0.2, 0.1)
    options = {"smoothing": 0.1, "ema": 0.999, "accumulate": 4, "sam": 0.05, "decay": "exponential"}
    config = replace(plain, optimizer="nesterov_agc_l2", **options)
    static = Static.of(config)
    assert (static.sam, static.ema, static.accumulate, static.decay) == (True, True, 4, "exponential")
    assert static.optimizer == "nesterov_agc_l2"
    hyper = Hyper.of_upstream(config, 125)
    assert [float(x) for x in (hyper.smoothing, hyper.ema, hyper.sam, hyper.stair)] == pytest.approx([0.1, 0.999, 0.05, 150])
    assert float(hyper.clip) == pytest.approx(0.16)
    off = Static.of(plain)
    assert (off.sam, off.ema, off.accumulate, off.decay) == (False, False, 1, "cosine")


# Transfers

RATE = {"wd": 0.1, "do": 0.3, "sd": 0.2, "sam": 0.05, "ema": 0.99, "smoothing": 0.1}
CHANGES = {**RATE, "optimizer": "nesterov_agc", "decay": "linear", "clip": 0.5}


def transfer(**changes):
    upstream = Upstream("tiny", "mnist5k", 1.0, 0.01, "none", 0.0, 0.0, 0.0, resolution=8, randaug="fixed")
    return Transfer(upstream, "digits", 12, 0.05, 8, batch_size=8, **changes)


def test_the_fields_of_a_transfer_reach_the_program_and_the_order(made, monkeypatch, tmp_path):
    del made
    given = {}

    def seen(*arguments, **options):
        given.update(options, programs=arguments[0], order=arguments[3], hyper=arguments[4])
        raise Preempted

    monkeypatch.setattr(adapt, "fit", seen)
    monkeypatch.setattr(adapt, "with_new_head", lambda made, *_: made.shapes)
    monkeypatch.setattr(adapt.weights, "read", lambda _: None)
    monkeypatch.setattr(program.Programs, "start", lambda *_: None)
    with pytest.raises(Preempted):
        adapt.run(
            transfer(**CHANGES, aug="effnetv2m", multiplicity=4), tmp_path, tmp_path, tmp_path / "attempts" / "1", 1e9, Watch()
        )
    static, hyper = given["programs"].static, given["hyper"]
    assert (static.sam, static.ema, static.decay, static.optimizer) == (True, True, "linear", "nesterov_agc")
    assert (static.per_image, static.fixed, static.crop, static.loss, static.classes) == (True, True, False, "softmax", 16)
    spelled = {"do": "dropout", "sd": "stochastic_depth"}
    assert {k: float(getattr(hyper, spelled.get(k, k))) for k in RATE} == pytest.approx(RATE)
    assert (int(hyper.layers), float(hyper.magnitude)) == (2, 15)
    assert (given["mixup"], given["cutmix"], given["order"]) == (0.2, 0.2, Order(800, 8, 0, multiplicity=4))


def test_a_regularised_transfer_learns(made, monkeypatch, tmp_path):
    monkeypatch.setitem(tasks.EMBEDDED_LOADERS, "digits", lambda _: tiny.DATA)
    weights.save(tmp_path / "w.npz", jax.device_get(made.init(np.uint32(3))))
    config = transfer(**CHANGES, multiplicity=2)
    record = adapt.run(config, tmp_path / "w.npz", tmp_path / "run", tmp_path / "run" / "attempts" / "1", 1e9, Watch())
    assert record.status == "ok"
    assert record.measurements[0].value > 0.5  # three classes by brightness: chance is a third
    # Two passes up and down, three forward passes each.
    from bench.cost import forward_flops

    assert record.cost.train_flops == 2 * 3 * 12 * 8 * forward_flops("tiny", 8, 10)
