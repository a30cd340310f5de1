"""The loop: from a starting state to a trained one, resumable after any chunk, the same bits with or without interruptions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from bench.data.order import Order
from bench.data.split import Dataset
from bench.records.record import Cost, Measurement
from bench.train.checkpoints import Checkpoints
from bench.train.evaluate import correct
from bench.train.hyper import Hyper
from bench.train.legs import Dispatch, Leg, dispatches
from bench.train.metrics import Metrics
from bench.train.pace import Pace
from bench.train.program import Programs, State
from bench.train.together import Moment, alone, finite, told


class Preempted(Exception):  # noqa: N818 - no error, but the way a run leaves
    """The run was asked to stop; it is checkpointed and goes on at the next attempt."""


@dataclass
class Watch:
    """What a caller sees and says while a run trains.

    Attributes:
      progress: called with (steps done, steps in all) where a run begins or goes on, and after every dispatch.
      stop: asked after every dispatch, which `bench.train.pace` keeps short, between batches that are evaluated, and while
        images are waited for; True means checkpoint and leave.
      prune: asked after every dispatch; True means that the run ends here, as `pruned`.
      measured: called with (step, validation accuracy) of every measurement, those of earlier attempts first.
      trackers: where metrics go besides `metrics.csv`, names of `bench.train.trackers.TRACKERS`.
    """

    progress: Callable[[int, int], None] = lambda _done, _of: None
    stop: Callable[[], bool] = lambda: False
    prune: Callable[[], bool] = lambda: False
    measured: Callable[[int, float], None] = lambda _step, _accuracy: None
    trackers: tuple[str, ...] = ()


@dataclass
class Fitted:
    """A trained run: final state, measurements in order, seconds by phase, why it did not end well if it did not.

    `skipped` says of every checkpoint that was passed over what was wrong with it, `done` that nothing is left to measure.
    """

    state: State
    measurements: list[Measurement] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "eval": 0.0, "compile": 0.0})
    attempts: int = 1
    images_evaluated: int = 0
    skipped: list[str] = field(default_factory=list)
    why: str = ""
    pruned: bool = False
    done: bool = False

    @property
    def status(self) -> str:
        """Returns the record's status."""
        return "pruned" if self.pruned else "diverged" if self.why else "ok"

    @property
    def clock(self) -> float:
        """Returns the seconds of training and evaluation so far, over all attempts it consists of."""
        return self.seconds["train"] + self.seconds["eval"]

    @property
    def phase(self) -> str:
        """Returns its status where it is done, else `stopped`."""
        return self.status if self.why or self.done else "stopped"

    def notes(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps beside the state."""
        return {
            "measurements": [asdict(m) for m in self.measurements],
            "seconds": self.seconds,
            "attempts": self.attempts,
            "images_evaluated": self.images_evaluated,
            "skipped": self.skipped,
        }

    @classmethod
    def noted(cls, state: State, notes: Mapping[str, Any], skipped: Sequence[str]) -> Fitted:
        """Returns what a checkpoint was made of, at its next attempt, which passed over `skipped` for it."""
        return cls(
            state,
            [Measurement(**m) for m in notes["measurements"]],
            dict(notes["seconds"]),
            notes["attempts"] + 1,
            notes["images_evaluated"],
            [*notes["skipped"], *skipped],
        )

    def cost(self, batch_size: int, flops_per_image: float) -> Cost:
        """Returns the record's cost; training counts three forward passes an image (forward, and backward as two)."""
        images = int(self.state.step) * batch_size
        return Cost(
            train_seconds=round(self.seconds["train"], 3),
            eval_seconds=round(self.seconds["eval"], 3),
            compile_seconds=round(self.seconds["compile"], 3),
            attempts=self.attempts,
            skipped=tuple(self.skipped),
            steps=int(self.state.step),
            images=images,
            train_flops=3.0 * flops_per_image * images,
            eval_images_per_second=round(self.images_evaluated / max(self.seconds["eval"], 1e-9), 1),
        )


class Learner(Protocol):
    """What the loop trains: a run, or the lanes of several."""

    @property
    def state(self) -> State:
        """Returns the state; its step says how far it is."""
        ...

    @property
    def over(self) -> bool:
        """Returns whether nothing is left to train: all of it diverged, or was ended."""
        ...

    def begin(self) -> None:
        """Begins, or goes on with, the metrics of the attempt."""
        ...

    def notes(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps beside the state."""
        ...

    def advance(self, dispatch: Dispatch, first: int, steps: int) -> None:
        """Takes so many steps of a dispatch, from its `first` on."""
        ...

    def measure(self, split: str, between: Callable[[], None]) -> None:
        """Measures a split, unless that is done; calls `between` before every batch."""
        ...

    def prune(self, why: str) -> None:
        """Ends before its time."""
        ...

    def check(self) -> None:
        """Ends what has weights that are not finite: the last step's loss says nothing of its own update."""
        ...

    def finish(self) -> None:
        """Notes that all of it is trained and measured."""
        ...

    def close(self) -> None:
        """Ends the metrics of the attempt."""
        ...


Ways = Callable[[int, Sequence[int], Callable[[], None] | None], Generator[Dispatch]]


def go(
    learner: Learner,
    total: int,
    ways: Ways,
    evaluations: int,
    final: Sequence[str],
    checkpoints: Checkpoints | None,
    watch: Watch,
) -> None:
    """Trains until `total` steps are done, evaluates, checkpoints and watches; see `fit`.

    Args:
      learner: what is trained, as it was restored.
      total: steps in all.
      ways: returns the dispatches after a step, none of them beyond a stop; calls what it is given while it waits for images.
      evaluations: how often the validation split is measured.
      final: as of `fit`.
      checkpoints: as of `fit`.
      watch: as of `fit`.
    """
    due = sorted({round(total * (i + 1) / evaluations) for i in range(evaluations)})
    watch.progress(int(learner.state.step), total)

    def pause(pace: Pace | None = None) -> None:
        """Leaves, with a checkpoint, where that is asked for; after a dispatch, whose `pace` it is, saves what is due, too."""
        moment = Moment(watch.stop(), bool(checkpoints and checkpoints.due), pace.seconds if pace else 0.0).agreed()
        if pace:
            pace.seconds = moment.seconds
        if checkpoints and (moment.stop or (pace and moment.due)):
            checkpoints.save(learner.state, learner.notes())
        if moment.stop:
            if checkpoints:
                checkpoints.wait()
            raise Preempted

    with contextlib.ExitStack() as stack:
        left = ways(int(learner.state.step), due, pause if alone() else None)
        stack.enter_context(contextlib.closing(left))
        if checkpoints:
            stack.callback(checkpoints.close)
        learner.begin()
        stack.callback(learner.close)
        # It may have been stopped before a measurement was through.
        if int(learner.state.step) in due:
            learner.measure("val", pause)
        for dispatch in left:
            pace, end = dispatch.leg.programs.pace, dispatch.end
            while (step := int(learner.state.step)) < end:
                learner.advance(dispatch, step - dispatch.first, pace.steps(end - step))
                if learner.over:
                    return
                watch.progress(int(learner.state.step), total)
                pause(pace)
            if end in due:
                learner.measure("val", pause)
            if end < total and told(watch.prune()):
                learner.prune(f"ended after step {end} of {total}: others were better by then")
                return
        learner.check()
        for split in () if learner.over else final:
            learner.measure(split, pause)
        learner.finish()


def restored(start: State, checkpoints: Checkpoints | None) -> tuple[State, dict[str, Any] | None, list[str]]:
    """Returns the state to go on with, the notes beside it (None at the very beginning), and what was passed over."""
    found = checkpoints.restore(start) if checkpoints else None
    skipped = [f"{path}: {why}" for path, why in checkpoints.skipped] if checkpoints else []
    return (start, None, skipped) if found is None else (*found, skipped)


@dataclass
class _Run:
    """A run by itself, for the loop."""

    found: Fitted
    programs: Programs
    data: Dataset
    classes: int
    watch: Watch
    metrics: Metrics | None
    restored_from: Path | None

    @property
    def state(self) -> State:
        return self.found.state

    @property
    def over(self) -> bool:
        return bool(self.found.why)

    def begin(self) -> None:
        for earlier in self.found.measurements:
            if earlier.split == "val":
                self.watch.measured(earlier.step, earlier.value)
        if self.metrics:
            self.metrics.begin(int(self.state.step), self.restored_from, self.found.attempts - 1)

    def notes(self) -> dict[str, Any]:
        return self.found.notes()

    def advance(self, dispatch: Dispatch, first: int, steps: int) -> None:
        found, leg = self.found, dispatch.leg
        step = int(found.state.step)
        compiling = time.perf_counter()
        train = leg.programs.train
        started = time.perf_counter()
        found.seconds["compile"] += started - compiling
        bounds = np.int32(first), np.int32(first + steps)
        found.state, losses = train(found.state, dispatch.batches, *bounds, np.int32(self.classes), leg.hyper)
        losses = np.asarray(jax.block_until_ready(losses))[first : first + steps]
        seconds = time.perf_counter() - started
        found.seconds["train"] += seconds
        leg.programs.pace.took(seconds / steps)
        if self.metrics:
            self.metrics.dispatched(leg, step, losses, leg.programs.pace.seconds, found.clock)
        if not np.isfinite(losses).all():
            wrong = int(np.argmin(np.isfinite(losses)))
            found.why = f"the loss was {losses[wrong]} at step {step + wrong}"

    def measure(self, split: str, between: Callable[[], None]) -> None:
        found, step = self.found, int(self.state.step)
        if any((m.split, m.step) == (split, step) for m in found.measurements):
            return
        compiling = time.perf_counter()
        _ = self.programs.evaluate
        started = time.perf_counter()
        found.seconds["compile"] += started - compiling
        examples = self.data.part(split)
        right = correct(self.programs, found.state.weights, examples, self.classes, between)
        found.seconds["eval"] += time.perf_counter() - started
        found.images_evaluated += len(examples)
        found.measurements.append(Measurement(split, "accuracy", len(right), float(right.mean()), step))
        if split == "val":
            self.watch.measured(step, found.measurements[-1].value)
        if self.metrics:
            self.metrics.measured(found.measurements[-1], found.clock)

    def prune(self, why: str) -> None:
        self.found.pruned, self.found.why = True, why

    def check(self) -> None:
        if not finite(self.found.state.weights):
            self.found.why = f"a weight was not finite after step {int(self.found.state.step) - 1}"

    def finish(self) -> None:
        self.found.done = True

    def close(self) -> None:
        if self.metrics:
            self.metrics.close(self.found.phase)


def fit(
    programs: Programs,
    start: State,
    data: Dataset,
    order: Order,
    hyper: Hyper,
    classes: int,
    *,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    evaluations: int = 1,
    final: Sequence[str] = ("test",),
    checkpoints: Checkpoints | None = None,
    watch: Watch | None = None,
    metrics: Metrics | None = None,
    legs: Sequence[Leg] = (),
) -> Fitted:
    """Trains for `hyper.steps` steps and evaluates.

    The validation split is measured `evaluations` times, evenly spread, the last time at the end; those of `final` once, at the
    end. A loss that is not finite ends the run as `diverged`; one that `watch.prune` ends is `pruned`.

    Args:
      programs: of the run's static shape.
      start: state to begin with where no checkpoint is found.
      data: splits.
      order: of the training examples.
      hyper: traced hyper-parameters.
      classes: number of real classes; the head may have more.
      mixup: alpha of Mixup's Beta distribution, 0 for none.
      cutmix: the same of CutMix.
      evaluations: how often the validation split is measured; 0 for never.
      final: splits that are measured at the end, in this order.
      checkpoints: where to resume from and to save to; closed at the end.
      watch: progress, measurements, stop and prune.
      metrics: where losses and measurements go as they come; closed at the end.
      legs: of a run that has several, in order; `mixup` and `cutmix` are theirs then, and `programs` evaluates.

    Raises:
      Preempted: `watch.stop` said so.
    """
    watch, total = watch or Watch(), int(hyper.steps)
    state, notes, skipped = restored(start, checkpoints)
    found = Fitted(state, skipped=skipped) if notes is None else Fitted.noted(state, notes, skipped)
    legs = legs or (Leg(programs, lambda: data.train, hyper, mixup, cutmix, total),)
    run = _Run(found, programs, data, classes, watch, metrics, checkpoints.restored_from if checkpoints else None)

    def ways(step: int, stops: Sequence[int], waiting: Callable[[], None] | None) -> Generator[Dispatch]:
        return dispatches(legs, step, order, stops, waiting)

    go(run, total, ways, evaluations, final, checkpoints, watch)
    return found
