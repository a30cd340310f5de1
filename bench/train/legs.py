"""What a run consists of: one leg, or, where images and regularisation grow, one after the other with the state handed on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import NamedTuple

from bench.data import load_upstream
from bench.data.order import Order
from bench.data.split import Split
from bench.points import Execution, Upstream
from bench.points.progressive import spread
from bench.train.feed import feed, spans
from bench.train.hyper import Hyper
from bench.train.program import Batches, Programs, programs
from bench.train.static import Static


class Leg(NamedTuple):
    """Steps in a row that train alike.

    Attributes:
      programs: whose training step it is.
      train: returns the training split; not called where nothing of the leg is left.
      hyper: traced hyper-parameters; the schedule's are the whole run's.
      mixup, cutmix: alphas of their Beta distributions, 0 for none.
      end: the step after its last one.
    """

    programs: Programs
    train: Callable[[], Split]
    hyper: Hyper
    mixup: float
    cutmix: float
    end: int


class Dispatch(NamedTuple):
    """Steps `first` to `end` of a leg and what they see."""

    leg: Leg
    first: int
    end: int
    batches: Batches


def of_upstream(config: Upstream, steps: int, execution: Execution) -> list[Leg]:
    """Returns the legs of an upstream run of `steps` steps: the stages of its progressive schedule, or one."""

    def train(resolution: int) -> Split:
        return load_upstream(config.dataset, resolution).train

    return [
        Leg(
            programs(Static.of(config, execution, stage.resolution)),
            partial(train, stage.resolution),
            Hyper.of_upstream(config, steps, stage),
            stage.mixup,
            stage.cutmix,
            end,
        )
        for stage, _, end in spread(config, steps)
    ]


def dispatches(
    legs: Sequence[Leg], step: int, order: Order, stops: Sequence[int], waiting: Callable[[], None] | None = None
) -> Generator[Dispatch]:
    """Yields the dispatches that are left after `step` steps; none goes beyond a leg or a stop. `waiting` as of `feed`."""
    for leg in legs:
        if ways := spans(step, leg.end, leg.programs.static.chunk, stops):
            with contextlib.closing(feed(leg.programs, leg.train(), order, leg.mixup, leg.cutmix, ways, waiting)) as fed:
                for (first, end), batches in zip(ways, fed, strict=True):
                    yield Dispatch(leg, first, end, batches)
            step = leg.end
