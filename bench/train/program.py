"""The compiled programs of a run: training several steps per dispatch, and exact evaluation; features, for probes.

What shapes a program stands in `Static`; everything else is an argument. Programs are compiled ahead of time, so a
call with another shape fails instead of compiling silently, and `COMPILED` counts what was compiled in this process.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bench import models
from bench.augment import batch as augment
from bench.augment import mixing
from bench.models import Noise
from bench.train import compilation, gradients, losses, optimizers
from bench.train.hyper import Hyper
from bench.train.pace import Pace
from bench.train.placement import Placement
from bench.train.static import Static

Tree = Any
# Equals no label, not even the -1 that pads several right ones.
NO_ANSWER = -2


class State(NamedTuple):
    """What training carries from step to step: steps done int32[], parameters, running statistics, optimiser state.

    `average` is the moving average of parameters and statistics as one tree, empty where none is kept.
    """

    step: jax.Array
    params: Tree
    stats: Tree
    opt: Any
    average: Tree = ()

    @property
    def weights(self) -> Tree:
        """Returns what is evaluated and kept, parameters and statistics as one tree: the average where there is one."""
        return self.average or models.merge(self.params, self.stats)


class Batches(NamedTuple):
    """What `chunk` steps see.

    Attributes:
      images: uint8[K, B, H, W, 3].
      labels, examples, passes: int32[K, B]; the latter two are what augmentation is keyed by.
      mixing: of every step, arrays [K, ...].
    """

    images: Any
    labels: Any
    examples: Any
    passes: Any
    mixing: mixing.Mixing


@dataclass(frozen=True)
class Compiled:
    """One program made: which, of which model, in how many seconds, and whether it was loaded from the persistent cache."""

    program: str
    model: str
    seconds: float
    cached: bool


COMPILED: list[Compiled] = []
_cache_hits = 0


def _count_cache_hits(event: str, **_: Any) -> None:
    global _cache_hits
    _cache_hits += event == "/jax/compilation_cache/cache_hits"


jax.monitoring.register_event_listener(_count_cache_hits)


class Programs:
    """The compiled programs of one `Static` over some devices; `programs` makes and keeps them, over all devices."""

    def __init__(self, static: Static, devices: Sequence[jax.Device] | None = None) -> None:
        self.static = static
        self.pace = Pace()
        dtype = jnp.dtype(static.dtype)
        self.model = models.build(static.model, static.classes, static.head_bias, dtype, static.execution)
        batches = (static.batch_size // static.accumulate, static.eval_batch)
        self.placement = Placement(devices or jax.devices(), batches, static.execution.fsdp)
        self._augmentation = augment.Augmentation.at(
            static.resolution, flip=static.crop, crop=static.crop, fixed=static.fixed, mix_first=static.mix_first
        )

    def _init(self, seed: jax.Array) -> Tree:
        return models.init(self.model, seed, self.static.resolution)

    @cached_property
    def shapes(self) -> Tree:
        """Returns the shapes and dtypes of the weights."""
        return jax.eval_shape(self._init, jnp.uint32(0))

    @cached_property
    def init(self) -> Any:
        """Returns the compiled `uint32 seed -> weights`."""
        # It runs once a run: compiling it well would take longer than it ever saves.
        options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
        init = jax.jit(self._init, out_shardings=self.placement.tree(self.shapes))
        return self._compile("initialisation", init, (np.uint32(0),), options)

    def _start(self, weights: Tree) -> State:
        one = jnp.float32(1)
        optimizer = optimizers.build(self.static.optimizer, one, one, one)
        params, stats = models.split(weights)
        # A copy: the step gives up its state, in which no array may stand twice.
        average = jax.tree.map(jnp.copy, weights) if self.static.ema else ()
        return State(jnp.int32(0), params, stats, optimizer.init(params), average)

    def start(self, weights: Tree) -> State:
        """Returns the state before the first step, with the given weights, where the programs expect it."""
        state = self._start(weights)
        placed: State = jax.device_put(state, self.placement.tree(state))
        return placed

    def _loss(
        self,
        params: Tree,
        stats: Tree,
        images: jax.Array,
        targets: jax.Array,
        classes: jax.Array,
        noise: Noise,
    ) -> tuple[jax.Array, Tree]:
        logits, _, stats = models.train(self.model, params, stats, images, noise)
        return losses.LOSSES[self.static.loss](losses.mask_logits(logits, classes), targets), stats

    def _step(self, state: State, data: Batches, classes: jax.Array, hyper: Hyper) -> tuple[State, jax.Array]:
        static = self.static
        key = jax.random.key(hyper.seed)
        masks, augmentation = jax.random.split(key)
        labels = jax.nn.one_hot(data.labels, static.classes, dtype=jnp.float32)
        images, targets = augment.augment_and_mix(
            data.images,
            losses.smoothed(labels, hyper.smoothing, classes, static.loss),
            augmentation,
            data.passes,
            data.examples,
            hyper.layers,
            hyper.magnitude,
            data.mixing,
            self._augmentation,
            static.shards,
        )
        noise = Noise(jax.random.key_data(jax.random.fold_in(masks, state.step)), hyper.dropout, hyper.stochastic_depth)

        def loss(params: Tree, stats: Tree, images: jax.Array, targets: jax.Array, noise: Noise) -> tuple[jax.Array, Tree]:
            return self._loss(params, stats, images, targets, classes, noise)

        def gradient(params: Tree) -> tuple[jax.Array, Tree, Tree]:
            return gradients.gradient(loss, params, state.stats, images, targets, noise, static.accumulate)

        value, stats, grads = gradient(state.params)
        if static.sam:
            *_, grads = gradient(gradients.uphill(state.params, grads, hyper.sam))
        lr = optimizers.learning_rate(static.decay, state.step, hyper.lr, hyper.warmup, hyper.steps, hyper.stair)
        optimizer = optimizers.build(static.optimizer, lr, hyper.wd, hyper.clip)
        updates, opt = optimizer.update(grads, state.opt, state.params)
        params = jax.tree.map(jnp.add, state.params, updates)
        average = state.average
        if static.ema:
            average = gradients.averaged(average, models.merge(params, stats), state.step, hyper.ema)
        return State(state.step + 1, params, stats, opt, average), value

    def _chunk(
        self, state: State, data: Batches, first: jax.Array, end: jax.Array, classes: jax.Array, hyper: Hyper
    ) -> tuple[State, jax.Array]:
        def body(i: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, found = carry
            state, loss = self._step(state, jax.tree.map(lambda x: x[i], data), classes, hyper)
            return state, found.at[i].set(loss)

        # Traced bounds: a dispatch may be of any of the steps, yet the program is the same.
        losses = jnp.zeros(self.static.chunk, jnp.float32)
        done: tuple[State, jax.Array] = jax.lax.fori_loop(first, end, body, (state, losses))
        return done

    def _evaluate(self, weights: Tree, images: jax.Array, classes: jax.Array) -> jax.Array:
        logits, _ = models.evaluate(self.model, weights, augment.to_float(images))
        answer = losses.mask_logits(logits, classes).argmax(-1).astype(jnp.int32)
        # A parameter that is not finite must not give a right answer by accident of argmax.
        return jnp.where(jnp.isfinite(logits).all(-1), answer, NO_ANSWER)

    def _features(self, weights: Tree, images: jax.Array) -> jax.Array:
        # Nothing asks for the logits, so the compiler leaves the head out.
        _, features = models.evaluate(self.model, weights, augment.to_float(images))
        return features

    def _arguments(self) -> tuple[Any, ...]:
        s = self.static
        images = jax.ShapeDtypeStruct((s.chunk, s.batch_size, s.resolution, s.resolution, 3), jnp.uint8)
        numbers = jax.ShapeDtypeStruct((s.chunk, s.batch_size), jnp.int32)
        data = Batches(images, numbers, numbers, numbers, mixing.draw(0, range(s.chunk), 0, 0, s.resolution, s.draws))
        return jax.eval_shape(self._start, self.shapes), data, np.int32(0), np.int32(0), np.int32(0), Hyper.cast()

    @cached_property
    def train(self) -> Any:
        """Returns the compiled `(state, batches, first, end, classes, hyper) -> (state, losses[chunk])`; `state` is given up.

        It does the steps of `batches` from `first` to before `end`; the losses of the others are 0.
        """
        arguments, place = self._arguments(), self.placement
        state, rest = place.tree(arguments[0]), place.everywhere
        data = Batches(*(place.batch(1),) * 4, mixing.Mixing(place.everywhere, place.everywhere))
        step = jax.jit(
            self._chunk, donate_argnums=0, in_shardings=(state, data, rest, rest, rest, rest), out_shardings=(state, rest)
        )
        return self._compile("train step", step, arguments)

    @cached_property
    def evaluate(self) -> Any:
        """Returns the compiled `(weights, images, classes) -> int32[eval_batch]`: answers, or `NO_ANSWER` (not finite)."""
        return self._over_images("evaluation", self._evaluate, np.int32(0))

    @cached_property
    def features(self) -> Any:
        """Returns the compiled `(weights, images) -> float32[eval_batch, D]`: what the classifier sees, in evaluation."""
        return self._over_images("features", self._features)

    def _over_images(self, what: str, function: Any, *rest: Any) -> Any:
        """Compiles a function of weights, a batch of evaluation and what all devices have whole."""
        s, place = self.static, self.placement
        images = jax.ShapeDtypeStruct((s.eval_batch, s.resolution, s.resolution, 3), jnp.uint8)
        shardings = (place.tree(self.shapes), place.batch(0), *(place.everywhere for _ in rest))
        program = jax.jit(function, in_shardings=shardings, out_shardings=place.everywhere)
        return self._compile(what, program, (self.shapes, images, *rest))

    def _compile(self, what: str, function: Any, arguments: tuple[Any, ...], options: dict[str, Any] | None = None) -> Any:
        started, hits = time.perf_counter(), _cache_hits
        with compilation.mended():
            compiled = function.lower(*arguments).compile(compiler_options=options)
        seconds = time.perf_counter() - started
        COMPILED.append(Compiled(what, self.static.model, seconds, cached=_cache_hits > hits))
        return compiled


@cache
def programs(static: Static) -> Programs:
    """Returns the programs of a `Static`; the same ones for the whole life of the process."""
    return Programs(static)
