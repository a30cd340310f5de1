"""The loop over lanes: what `bench.train.fit.fit` does for one run, for several at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bench.data.ahead import ahead
from bench.data.order import Order
from bench.data.split import Dataset, Split
from bench.records.record import Measurement
from bench.train import lanes
from bench.train.checkpoints import Checkpoints
from bench.train.evaluate import correct
from bench.train.feed import DEPTH, Span, examples, held, mixed, spans
from bench.train.fit import Fitted, Watch, go, restored
from bench.train.hyper import Hyper
from bench.train.lanes import Lanes
from bench.train.legs import Dispatch, Leg
from bench.train.metrics import Metrics
from bench.train.program import Batches, State
from bench.train.together import finite


class Lane(NamedTuple):
    """What a lane has of its own beside weights: order of examples, hyper-parameters, alphas of Mixup and CutMix, metrics."""

    order: Order
    hyper: Hyper
    mixup: float = 0.0
    cutmix: float = 0.0
    metrics: Metrics | None = None


def shares(own: Sequence[Lane]) -> bool:
    """Returns whether these lanes see the same examples in the same order, so that one stream feeds them all."""
    return len({each.order for each in own}) == 1


@cache
def _stacking(programs: Lanes) -> Callable[..., Any]:
    return jax.jit(lambda *trees: jax.tree.map(lambda *x: jnp.stack(x), *trees), out_shardings=programs.placement.over(0))


def feed_lanes(
    programs: Lanes,
    split: Split,
    own: Sequence[Lane],
    due: Sequence[Span],
    waiting: Callable[[], None] | None = None,
) -> Generator[Batches]:
    """Yields the arguments of every dispatch in turn, as `bench.train.feed.feed` does.

    Lanes of one order are fed by one stream: each of its images is read, decoded and cropped once.
    """
    orders = list(dict.fromkeys(each.order for each in own))
    resident = held(programs, split)

    def made() -> Iterator[Batches]:
        streams = [examples(programs, split, order, due, resident) for order in orders]
        for (first, _), *seen in zip(due, *streams, strict=True):
            mixes = programs.stack([mixed(programs, each.order, each.mixup, each.cutmix, first) for each in own])
            if programs.shared:
                images, labels, ids, passes = seen[0]
            else:
                images, labels, ids, passes = _stacking(programs)(*(seen[orders.index(each.order)] for each in own))
            yield Batches(images, labels, ids, passes, mixes)

    return ahead(made(), DEPTH, waiting)


class _Group:
    """Lanes under way: their stacked state, what each has found, and the states in which those that diverged ended."""

    def __init__(
        self,
        programs: Lanes,
        start: State,
        data: Dataset,
        own: Sequence[Lane],
        classes: int,
        checkpoints: Checkpoints | None,
    ) -> None:
        self._programs, self._data, self._own, self._classes = programs, data, own, classes
        self.state, notes, skipped = restored(start, checkpoints)
        self._restored_from = checkpoints.restored_from if checkpoints else None
        self.ended: dict[int, State] = {}
        if notes is None:
            self.found = [Fitted(start, skipped=list(skipped)) for _ in range(programs.count)]
            return
        self.found = [Fitted.noted(self.state, each, skipped) for each in notes["lanes"]]
        for i, each in enumerate(notes["lanes"]):
            if each["why"]:
                self.found[i].why = each["why"]
                self.ended[i] = lanes.lane(self.state, i)._replace(step=np.int32(each["ended"]))

    @property
    def going(self) -> list[int]:
        """Returns the lanes that have not diverged."""
        return [i for i in range(self._programs.count) if i not in self.ended]

    @property
    def over(self) -> bool:
        return not self.going

    def begin(self) -> None:
        for found, own in zip(self.found, self._own, strict=True):
            if own.metrics:
                own.metrics.begin(int(self.state.step), self._restored_from, found.attempts - 1)

    def notes(self) -> dict[str, Any]:
        ended = {i: int(state.step) for i, state in self.ended.items()}
        return {"lanes": [{**each.notes(), "why": each.why, "ended": ended.get(i)} for i, each in enumerate(self.found)]}

    def _spend(self, phase: str, seconds: float) -> None:
        for each in self.found:
            each.seconds[phase] += seconds / self._programs.count

    def _end(self, lane: int, why: str) -> None:
        self.found[lane].why = why
        self.ended[lane] = lanes.lane(self.state, lane)

    def advance(self, dispatch: Dispatch, first: int, steps: int) -> None:
        step = int(self.state.step)
        compiling = time.perf_counter()
        train = self._programs.train
        started = time.perf_counter()
        self._spend("compile", started - compiling)
        bounds = np.int32(first), np.int32(first + steps)
        self.state, losses = train(self.state, dispatch.batches, *bounds, np.int32(self._classes), dispatch.leg.hyper)
        losses = np.asarray(jax.block_until_ready(losses))[:, first : first + steps]
        seconds = time.perf_counter() - started
        self._spend("train", seconds)
        self._programs.pace.took(seconds / steps)
        # A lane that has ended stays as it was: its checkpoint and its weights are those of its run by itself.
        for i, state in self.ended.items():
            self.state = lanes.put(self.state, i, state)
        sound = np.isfinite(losses)
        for i in self.going:
            if metrics := self._own[i].metrics:
                leg = dispatch.leg._replace(hyper=self._own[i].hyper)
                metrics.dispatched(leg, step, losses[i], seconds / steps, self.found[i].clock)
            if not sound[i].all():
                wrong = int(np.argmin(sound[i]))
                self._end(i, f"the loss was {losses[i, wrong]} at step {step + wrong}")

    def measure(self, split: str, between: Callable[[], None]) -> None:
        step = int(self.state.step)
        if any((m.split, m.step) == (split, step) for i in self.going for m in self.found[i].measurements):
            return
        compiling = time.perf_counter()
        _ = self._programs.evaluate
        started = time.perf_counter()
        self._spend("compile", started - compiling)
        part = self._data.part(split)
        right = correct(self._programs, self.state.weights, part, self._classes, between)
        self._spend("eval", time.perf_counter() - started)
        for i in self.going:
            self.found[i].images_evaluated += len(part)
            self.found[i].measurements.append(Measurement(split, "accuracy", right.shape[1], float(right[i].mean()), step))
            if metrics := self._own[i].metrics:
                metrics.measured(self.found[i].measurements[-1], self.found[i].clock)

    def prune(self, why: str) -> None:
        for i in self.going:
            self.found[i].pruned = True
            self._end(i, why)

    def finish(self) -> None:
        for i in self.going:
            self.found[i].done = True

    def close(self) -> None:
        for found, own in zip(self.found, self._own, strict=True):
            if own.metrics:
                own.metrics.close(found.phase)

    def check(self) -> None:
        for i in self.going:
            if not finite(lanes.lane(self.state, i).weights):
                self._end(i, f"a weight was not finite after step {int(self.state.step) - 1}")


def fit_lanes(
    programs: Lanes,
    start: State,
    data: Dataset,
    own: Sequence[Lane],
    classes: int,
    *,
    evaluations: int = 1,
    final: Sequence[str] = ("test",),
    checkpoints: Checkpoints | None = None,
    watch: Watch | None = None,
) -> list[Fitted]:
    """Trains all lanes for their number of steps, which must be equal, and evaluates them, as `bench.train.fit.fit` does.

    A lane that diverges ends there, as its run would, and the others go on. Seconds are each lane's share of the group's.

    Args:
      programs: of the lanes.
      start: state of all lanes to begin with where no checkpoint is found, see `Lanes.start_all`.
      data: splits.
      own: what differs between lanes, in their order.
      classes: number of real classes; the head may have more.
      evaluations: how often the validation split is measured; 0 for never.
      final: splits that are measured at the end, in this order.
      checkpoints: of the group, where to resume from and to save to; closed at the end.
      watch: progress and stop.

    Raises:
      ValueError: lanes of unequal length, or as many as the programs are not for.
      Preempted: `watch.stop` said so.
    """
    lengths = {int(each.hyper.steps) for each in own}
    if len(lengths) != 1 or len(own) != programs.count or shares(own) < programs.shared:
        raise ValueError(f"{programs.count} lanes of one length are needed, of one order where it is shared: {own}")
    (total,) = lengths
    hypers: Hyper = programs.stack([each.hyper for each in own])
    leg = Leg(programs, lambda: data.train, hypers, 0.0, 0.0, total)
    group = _Group(programs, start, data, own, classes, checkpoints)

    def ways(step: int, stops: Sequence[int], waiting: Callable[[], None] | None) -> Generator[Dispatch]:
        due = spans(step, total, programs.static.chunk, stops)
        with contextlib.closing(feed_lanes(programs, data.train, own, due, waiting)) as fed:
            for (first, end), batches in zip(due, fed, strict=True):
                yield Dispatch(leg, first, end, batches)

    go(group, total, ways, evaluations, final, checkpoints, watch or Watch())
    for i, each in enumerate(group.found):
        each.state = group.ended[i] if i in group.ended else lanes.lane(group.state, i)
    return group.found
