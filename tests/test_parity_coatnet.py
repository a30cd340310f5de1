"""CoAtNet against timm's, told to compute the paper's function: as a whole, block by block, and the passes of training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm_oracle
from flax import traverse_util

from bench import models
from bench.models.coatnet import CoAtNet, MBConv, TransformerBlock
from bench.models.relative_attention import RelativeAttention, resize_bias
from bench.models.variables import flat
from bench.points.execution import Execution
from bench.points.variants import VARIANTS
from bench.weights.timm_coatnet import names

timm_oracle.timm()

CLASSES = 7
SIDES = (64, 96)
OPTIONS = {
    "stem_bias": True,
    "conv_padding": "same",
    "conv_norm_eps": 1e-3,
    "conv_act_layer": "gelu_tanh",
    "conv_pool_type": "max2",
    "transformer_norm_eps": 1e-5,
    "transformer_act_layer": "gelu_tanh",
    "transformer_pool_type": "max2",
}


def ours(array, name, shape):
    """timm's array in this project's layout."""
    if name.endswith("relative_bias"):
        return array.T.reshape(shape)
    if name.endswith("kernel"):
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        return array.reshape(array.shape[-len(shape) :])
    return array


def moved(state, spec, shapes):
    mapping = names(spec)
    assert sorted(mapping.values()) == sorted(key for key in state if not key.endswith("num_batches_tracked"))
    assert mapping.keys() == shapes.keys()
    found = {key: ours(state[theirs].numpy(), key, shapes[key].shape) for key, theirs in mapping.items()}
    assert {key: array.shape for key, array in found.items()} == {key: leaf.shape for key, leaf in shapes.items()}
    # Copied: PyTorch goes on to change its own in place.
    return traverse_util.unflatten_dict({key: jnp.array(array, copy=True) for key, array in found.items()}, sep="/")


def error(actual, expected):
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


class Pair:
    """timm's model and this project's, of equal weights, and the inputs and outputs of timm's parts."""

    def __init__(self, name):
        import torch

        self.name, self.spec = name, VARIANTS[name].spec
        mode = "dw" if self.spec.stride_depthwise else "1x1"
        self.theirs = timm_oracle.create("coatnet_0_224", num_classes=CLASSES, img_size=SIDES, conv_stride_mode=mode, **OPTIONS)
        images = np.random.default_rng(0).uniform(-1, 1, (4, *SIDES, 3)).astype(np.float32)
        self.images, self.planar = images, torch.from_numpy(images.transpose(0, 3, 1, 2))
        norms = [m for m in self.theirs.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for key, value in self.theirs.state_dict().items():
                if key.endswith("bias_table"):  # of unit size, or the scores would hide a wrong one
                    value.normal_(generator=generator)
            # Running statistics near those of the images, as after training: unrelated ones let activations explode.
            for norm in norms:
                norm.momentum = 1.0
            self.theirs.train()(self.planar)
            for norm in norms:
                norm.momentum, std = 0.01, norm.running_var.sqrt()
                norm.running_mean += std * torch.randn(std.shape, generator=generator) * 0.3
                norm.running_var *= torch.empty(std.shape).uniform_(0.5, 1.5, generator=generator)
            self.seen, hooks = {}, []
            for key, module in self.theirs.named_modules():
                hooks.append(module.register_forward_hook(lambda _m, x, y, key=key: self.seen.update({key: (x[0], y)})))
            self.logits = self.theirs.eval()(self.planar).numpy()
            for hook in hooks:
                hook.remove()
        self.model = CoAtNet(self.spec, CLASSES)
        self.weights = self.move()

    def move(self):
        shapes = jax.eval_shape(lambda: self.model.init(jax.random.key(0), jnp.asarray(self.images[:1])))
        shapes = flat(models.merge(shapes["params"], shapes["batch_stats"]))
        return moved(self.theirs.state_dict(), self.spec, shapes)

    def through(self, key):
        return [array.numpy().transpose(0, 2, 3, 1) for array in self.seen[key]]


@pytest.fixture(scope="module", params=["CoAtNet-0", "CoAtNet-0:dagger"])
def pair(request):
    return Pair(request.param)


def test_every_block_equals_timms(pair):
    kinds, found = {"C": MBConv, "T": TransformerBlock}, {}

    @jax.jit
    def stem(params, stats, images):
        _, state = pair.model.apply(
            {"params": params, "batch_stats": stats}, images, capture_intermediates=True, mutable=["intermediates"]
        )
        return state["intermediates"]["stem_conv1"]["__call__"][0]

    params, stats = models.split(pair.weights)
    found["stem"] = error(stem(params, stats, pair.images), pair.through("stem")[1])
    for stage, (kind, width, depth, stride) in enumerate(pair.spec.stages):
        for i in range(depth):
            block = kinds[kind](pair.spec, width, 1 if i else stride)
            inputs, expected = pair.through(f"stages.{stage}.blocks.{i}")
            params, stats = models.split(pair.weights[f"stage{stage}_block{i}"])
            apply = jax.jit(lambda p, s, x, block=block: block.apply({"params": p, "batch_stats": s}, x, None, 0, 0.0))
            # A shortcut that is the input itself could drown the branch.
            shortcut = 0 if i == 0 else inputs
            found[kind, stage, i] = error(apply(params, stats, inputs) - shortcut, expected - shortcut)
    print(pair.name, {key: f"{value:.1e}" for key, value in found.items()})
    assert len(found) == 13
    assert max(found.values()) < 1e-4


def test_attention_equals_timms(pair):
    for key in ("stages.2.blocks.0", "stages.3.blocks.1"):
        inputs, expected = pair.through(f"{key}.attn")
        weights = pair.weights[key.replace("stages.", "stage").replace(".blocks.", "_block")]["attention"]
        attend = RelativeAttention(expected.shape[-1], pair.spec.head_size)
        assert error(jax.jit(attend.apply)({"params": weights}, inputs), expected) < 1e-4
        # The biases matter: without them the same inputs give another answer.
        without = {**weights, "relative_bias": jnp.zeros_like(weights["relative_bias"])}
        assert error(jax.jit(attend.apply)({"params": without}, inputs), expected) > 1e-2


def test_the_whole_equals_timms(pair):
    model = pair.model.clone(execution=Execution(scan=pair.spec.stride_depthwise))
    logits, features = jax.jit(lambda w, x: models.evaluate(model, w, x))(pair.weights, pair.images)
    expected = pair.seen["head.pre_logits"][1].numpy()
    print(pair.name, error(logits, pair.logits), error(features, expected))
    assert error(logits, pair.logits) < 1e-4
    assert error(features, expected) < 1e-4


def test_a_training_pass_equals_timms(pair):
    import torch

    params, stats = models.split(pair.move())
    counts = {}
    hooks = [
        module.register_forward_hook(lambda _m, x, _y, key=key: counts.update({key: x[0].numel() // x[0].shape[1]}))
        for key, module in pair.theirs.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    with torch.no_grad():
        expected = pair.theirs.train()(pair.planar).numpy()
    for hook in hooks:
        hook.remove()
    noise = models.Noise(jnp.zeros(2, jnp.uint32), jnp.float32(0), jnp.float32(0))
    logits, _, updated = jax.jit(lambda p, s, x: models.train(pair.model, p, s, x, noise))(params, stats, pair.images)
    state, mapping, before, worst = pair.theirs.state_dict(), names(pair.spec), flat(stats), {"mean": 0, "var": 0}
    for key, value in flat(updated).items():
        after, leaf, old = state[mapping[key]].numpy(), key.rsplit("/", 1)[1], np.asarray(before[key])
        if leaf == "var":
            # PyTorch stores the unbiased variance, TPUs and this project that of the batch.
            n = counts[mapping[key].removesuffix(".running_var")]
            after = np.float32(0.99) * old + (after - np.float32(0.99) * old) * (n - 1) / n
        # What was there before is 99% of the sum: compared is what a step adds.
        worst[leaf] = max(worst[leaf], error(np.asarray(value) - old, after - old))
    print(pair.name, "training", error(logits, expected), worst)
    assert error(logits, expected) < 1e-4
    assert max(worst.values()) < 1e-3


@pytest.mark.parametrize("grid", [(6, 5), (3, 9), (2, 2), (4, 3)])
def test_tables_are_resized_as_pytorch_resizes_images(grid):
    import torch

    table = np.random.default_rng(0).normal(size=(3, 7, 5)).astype(np.float32)
    size = tuple(2 * side - 1 for side in grid)
    expected = torch.nn.functional.interpolate(torch.from_numpy(table)[None], size, mode="bilinear")[0].numpy()
    np.testing.assert_allclose(resize_bias(table, grid), expected, atol=1e-6)
