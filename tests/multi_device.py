"""Trains models a few steps on one device, on four, and on four with split weights; prints what differs, a line of JSON each.

A process of its own, because the number of CPU devices cannot change in a running one:
`JAX_NUM_CPU_DEVICES=4 python multi_device.py MODEL...`.
"""

import json
import sys

import jax
import numpy as np
import tiny

from bench.augment import mixing
from bench.points import VARIANTS, Execution, Upstream
from bench.train import placement, program
from bench.train.hyper import Hyper
from bench.train.program import Batches, Programs
from bench.train.static import Static

STEPS, BATCH = 2, 16


def batches(resolution):
    rng = np.random.default_rng(0)
    numbers = np.arange(STEPS * BATCH, dtype=np.int32).reshape(STEPS, BATCH)
    images = rng.integers(0, 256, (STEPS, BATCH, resolution, resolution, 3)).astype(np.uint8)
    return Batches(images, numbers % 10, numbers, numbers * 0, mixing.draw(0, range(STEPS), 0.5, 0.0, resolution))


def trained(config, devices, fsdp, weights=None):
    static = Static.of(config, Execution(fsdp=fsdp))
    made = Programs(Static(**{**static.__dict__, "chunk": STEPS, "eval_batch": 16}), jax.devices()[:devices])
    # Drawn once: one compilation less for each of the others.
    weights = jax.device_get(made.init(np.uint32(0))) if weights is None else weights
    state = made.start(weights)
    placed = {jax.tree_util.keystr(k): v.sharding for k, v in jax.tree_util.tree_leaves_with_path(state)}
    values = {"lr": 0.01, "wd": 0.1, "clip": 1.0, "dropout": 0.1, "stochastic_depth": 0.2, "steps": 10, "seed": 1}
    hyper = Hyper.cast(**values, sam=config.sam, ema=config.ema)
    data = batches(config.resolution)
    state, losses = made.train(state, data, np.int32(0), np.int32(STEPS), np.int32(10), hyper)
    answers = made.evaluate(state.weights, data.images[0], np.int32(10))
    after = {jax.tree_util.keystr(k): v.sharding for k, v in jax.tree_util.tree_leaves_with_path(state)}
    assert placed == after
    split = sum(not s.is_fully_replicated for s in placed.values())
    held = sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(state))
    return weights, jax.device_get(state.weights), np.asarray(losses), int(np.sum(answers == data.labels[0])), split, held


def compare(model, **options):
    """Trains a model in each way; returns what came out, and of each other way what is different."""
    what = {"batch_size": BATCH, "optimizer": "momentum", **options}
    config = Upstream(VARIANTS[model].name, "mnist5k", 1.0, 0.01, "none", 0.1, 0.1, 0.2, **what)
    start, weights, losses, right, _, held = trained(config, 1, fsdp=False)
    out = {"loss": losses.tolist(), "right": right, "held": held}
    modes = {"copied": False, "split": True}
    for name, fsdp in modes.items():
        _, other, others, answers, split, part = trained(config, 4, fsdp, start)
        worst = max(float(np.abs(a - b).max()) for a, b in zip(jax.tree.leaves(weights), jax.tree.leaves(other), strict=True))
        out[name] = {"loss": others.tolist(), "right": answers, "weights": worst, "split": split, "held": part}
    return out


if __name__ == "__main__":
    placement.SMALLEST = 512
    # The first model is trained by the whole step; the others leave out augmentation, which takes longest to compile.
    for model in sys.argv[1:]:
        print(json.dumps(compare(model)), flush=True)
        program.augment.augment_and_mix = tiny.only_mix
    print(json.dumps(compare(sys.argv[1], accumulate=2, sam=0.05, ema=0.9)), flush=True)
