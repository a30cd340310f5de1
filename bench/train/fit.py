"""The loop: from a starting state to a trained one, resumable after any chunk, the same bits with or without interruptions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bench.data.order import Order
from bench.data.split import Dataset
from bench.records.record import Cost, Measurement
from bench.train.checkpoints import Checkpoints
from bench.train.evaluate import correct
from bench.train.hyper import Hyper
from bench.train.legs import Leg, dispatches
from bench.train.metrics import Metrics
from bench.train.pace import Pace
from bench.train.program import Batches, Programs, State
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

    `skipped` says of every checkpoint that was passed over what was wrong with it.
    """

    state: State
    measurements: list[Measurement] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "eval": 0.0, "compile": 0.0})
    attempts: int = 1
    images_evaluated: int = 0
    skipped: list[str] = field(default_factory=list)
    why: str = ""
    pruned: bool = False

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
        """Returns `ok` or `diverged` where it is done, else `stopped`."""
        return self.status if self.why or any(m.split == "test" for m in self.measurements) else "stopped"

    def notes(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps beside the state."""
        return {
            "measurements": [asdict(m) for m in self.measurements],
            "seconds": self.seconds,
            "attempts": self.attempts,
            "images_evaluated": self.images_evaluated,
            "skipped": self.skipped,
        }

    def cost(self, batch_size: int, flops_per_image: float) -> Cost:
        """Returns the record's cost; training counts three forward passes an image (forward, and backward as two)."""
        images = int(self.state.step) * batch_size
        return Cost(
            train_seconds=round(self.seconds["train"], 3),
            eval_seconds=round(self.seconds["eval"], 3),
            compile_seconds=round(self.seconds["compile"], 3),
            attempts=self.attempts,
            steps=int(self.state.step),
            images=images,
            train_flops=3.0 * flops_per_image * images,
            eval_images_per_second=round(self.images_evaluated / max(self.seconds["eval"], 1e-9), 1),
        )


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
    checkpoints: Checkpoints | None = None,
    watch: Watch | None = None,
    metrics: Metrics | None = None,
    legs: Sequence[Leg] = (),
) -> Fitted:
    """Trains for `hyper.steps` steps and evaluates.

    The validation split is measured `evaluations` times, evenly spread, the last time at the end; the test split once, at the
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
      evaluations: how often the validation split is measured.
      checkpoints: where to resume from and to save to; closed at the end.
      watch: progress, measurements, stop and prune.
      metrics: where losses and measurements go as they come; closed at the end.
      legs: of a run that has several, in order; `mixup` and `cutmix` are theirs then, and `programs` evaluates.

    Raises:
      Preempted: `watch.stop` said so.
    """
    watch = watch or Watch()
    total = int(hyper.steps)
    due = sorted({round(total * (i + 1) / evaluations) for i in range(evaluations)})
    found = _resumed(start, checkpoints)
    watch.progress(int(found.state.step), total)
    for earlier in found.measurements:
        watch.measured(earlier.step, earlier.value)
    legs = legs or (Leg(programs, lambda: data.train, hyper, mixup, cutmix, total),)

    def pause(pace: Pace | None = None) -> None:
        """Leaves, with a checkpoint, where that is asked for; after a dispatch, whose `pace` it is, saves what is due, too."""
        moment = Moment(watch.stop(), bool(checkpoints and checkpoints.due), pace.seconds if pace else 0.0).agreed()
        if pace:
            pace.seconds = moment.seconds
        if checkpoints and (moment.stop or (pace and moment.due)):
            checkpoints.save(found.state, found.notes())
        if moment.stop:
            if checkpoints:
                checkpoints.wait()
            raise Preempted

    def measure(split: str) -> None:
        step = int(found.state.step)
        if not any((m.split, m.step) == (split, step) for m in found.measurements):
            _measure(programs, found, data, split, classes, pause)
            if split == "val":
                watch.measured(step, found.measurements[-1].value)
            if metrics:
                metrics.measured(found.measurements[-1], found.clock)

    with contextlib.ExitStack() as stack:
        waiting = pause if alone() else None
        ways = stack.enter_context(contextlib.closing(dispatches(legs, int(found.state.step), order, due, waiting)))
        if checkpoints:
            stack.callback(checkpoints.close)
        if metrics:
            metrics.begin(int(found.state.step), checkpoints.restored_from if checkpoints else None, found.attempts - 1)
            stack.callback(lambda: metrics.close(found.phase))
        # A run may have been stopped before a measurement was through.
        if int(found.state.step) in due:
            measure("val")
        for leg, first, end, seen in ways:
            pace = leg.programs.pace
            while (step := int(found.state.step)) < end:
                losses = _advance(leg.programs, found, seen, step - first, pace.steps(end - step), classes, leg.hyper)
                if metrics:
                    metrics.dispatched(leg, step, losses, pace.seconds, found.clock)
                if found.why:
                    return found
                watch.progress(int(found.state.step), total)
                pause(pace)
            if end in due:
                measure("val")
            if end < total and told(watch.prune()):
                found.pruned, found.why = True, f"ended after step {end} of {total}: others were better by then"
                return found
        # The last step's loss says nothing of its own update.
        if not finite(found.state.weights):
            found.why = f"a weight was not finite after step {total - 1}"
            return found
        measure("test")
    return found


def _resumed(start: State, checkpoints: Checkpoints | None) -> Fitted:
    restored = checkpoints.restore(start) if checkpoints else None
    skipped = [f"{path}: {why}" for path, why in checkpoints.skipped] if checkpoints else []
    if restored is None:
        return Fitted(start, skipped=skipped)
    state, notes = restored
    measurements = [Measurement(**m) for m in notes["measurements"]]
    return Fitted(
        state,
        measurements,
        dict(notes["seconds"]),
        notes["attempts"] + 1,
        notes["images_evaluated"],
        notes["skipped"] + skipped,
    )


def _advance(
    programs: Programs, found: Fitted, batches: Batches, first: int, steps: int, classes: int, hyper: Hyper
) -> NDArray[np.float32]:
    step = int(found.state.step)
    compiling = time.perf_counter()
    train = programs.train
    started = time.perf_counter()
    found.seconds["compile"] += started - compiling
    bounds = np.int32(first), np.int32(first + steps)
    found.state, losses = train(found.state, batches, *bounds, np.int32(classes), hyper)
    losses = np.asarray(jax.block_until_ready(losses))[first : first + steps]
    seconds = time.perf_counter() - started
    found.seconds["train"] += seconds
    programs.pace.took(seconds / steps)
    if not np.isfinite(losses).all():
        found.why = f"the loss was {losses[~np.isfinite(losses)][0]} at step {step + int(np.argmin(np.isfinite(losses)))}"
    return losses


def _measure(programs: Programs, found: Fitted, data: Dataset, split: str, classes: int, between: Callable[[], None]) -> None:
    compiling = time.perf_counter()
    _ = programs.evaluate
    started = time.perf_counter()
    found.seconds["compile"] += started - compiling
    examples = getattr(data, split)
    right = correct(programs, found.state.weights, examples, classes, between)
    found.seconds["eval"] += time.perf_counter() - started
    found.images_evaluated += len(examples)
    found.measurements.append(Measurement(split, "accuracy", len(right), float(right.mean()), int(found.state.step)))
    return found.measurements[-1].value
