"""How long runs will take on a device: from their work and a calibration, or from a probe of their program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.cost.calibration import calibration
from bench.cost.devices import Device
from bench.cost.flops import PASSES, Work, forward, training
from bench.errors import UserError
from bench.points import Checkpoint, Config, Probe, Transfer, Upstream
from bench.points.datasets import UpstreamSet
from bench.points.progressive import spread
from bench.points.tasks import Task
from bench.train.static import Static

# How often a run measures its validation split; `bench.train.upstream.EVALUATIONS` for an upstream run.
EVALUATIONS = {"upstream": 4, "transfer": 1}
# Sets whose exact size was never published, but about: "ConvNets match Vision Transformers at scale", section 2.
ABOUT = {"jft4b": 4_000_000_000}


class Estimate(NamedTuple):
    """A quantity between a low and a high one."""

    low: float
    middle: float
    high: float

    @classmethod
    def within(cls, middle: float, spread: float) -> Estimate:
        """Returns `middle`, a factor of `spread` less and more."""
        return cls(middle / spread, middle, middle * spread)

    def times(self, count: float) -> Estimate:
        """Returns all three times `count`."""
        return Estimate(self.low * count, self.middle * count, self.high * count)

    @classmethod
    def total(cls, parts: Iterable[Estimate]) -> Estimate:
        """Returns the sum; errors of a calibration have one sign for all runs, so they add up and do not cancel."""
        low = middle = high = 0.0
        for part in parts:
            low, middle, high = low + part.low, middle + part.middle, high + part.high
        return cls(low, middle, high)


class Probed(NamedTuple):
    """What a probe found of one program on one device.

    Attributes:
      step: seconds of a training step; the range is that of its rounds.
      compiling: seconds to compile all programs of the run.
    """

    step: Estimate
    compiling: float


@dataclass(frozen=True)
class Predictor:
    """Predicts runs on one kind of device.

    Attributes:
      device: the chip.
      examples: size of upstream sets whose size was never published; 0 where it is not given.
      probes: what was measured, by what shapes a program.
      counted: FLOPs of a training step as the compiler counts them, by what shapes its program.
      starting: seconds from a worker's start until it trains, without compiling; 0 where it was not measured.
    """

    device: Device
    examples: int = 0
    probes: Mapping[Static, Probed] = field(default_factory=dict)
    counted: Mapping[Static, float] = field(default_factory=dict)
    starting: float = 0.0

    def upstream_examples(self, config: Upstream) -> int:
        """Returns the expected number of training examples of a run.

        Raises:
          UserError: the size of its set was never published, and not given.
        """
        size = config.data.train or self.examples or ABOUT.get(config.dataset, 0)
        if not size:
            raise UserError(
                f"upstream set {config.dataset!r}: its exact size was never published, so the plan cannot count steps;"
                " give it as --examples"
            )
        return max(1, round(size * config.fraction))

    def steps(self, config: Config) -> int:
        """Returns the expected number of training steps of a run."""
        if isinstance(config, Probe):
            return 0
        if isinstance(config, Transfer):
            return config.steps
        assert isinstance(config, Upstream)
        return config.steps(self.upstream_examples(config))

    def legs(self, config: Config) -> list[tuple[Static, int]]:
        """Returns the programs that a run trains with, each with its steps: one, or one a stage; none for a probe."""
        if isinstance(config, Probe):
            return []
        if isinstance(config, Transfer):
            return [(Static.of(config), config.steps)]
        assert isinstance(config, Upstream)
        stages = spread(config, self.steps(config))
        return [(Static.of(config, resolution=stage.resolution), end - first) for stage, first, end in stages]

    def training(self, config: Config) -> Work:
        """Returns the work of a run's training steps."""
        if isinstance(config, Probe):
            return Work(0.0, 0.0)
        assert isinstance(config, Upstream | Transfer)
        return training(config, self.upstream_examples(config) if isinstance(config, Upstream) else 0)

    def evaluation(self, config: Config) -> Work:
        """Returns the work of a run's evaluations: images that only go forward."""
        if isinstance(config, Probe):
            return forward(config.upstream.model, config.resolution, 0).times(config.images)
        if isinstance(config, Transfer):
            return self._checks(config, config.upstream.model, config.facts)
        assert isinstance(config, Upstream)
        return self._checks(config, config.model, config.data)

    @staticmethod
    def _checks(config: Upstream | Transfer, model: str, facts: UpstreamSet | Task) -> Work:
        fit = config.fit if isinstance(config, Transfer) else "train"
        checks = 0 if fit == "trainval" else EVALUATIONS[config.kind]
        images = checks * (facts.val or 0) + (0 if fit == "tune" else facts.test or 0)
        return forward(model, config.resolution, facts.classes).times(images)

    def seconds(self, config: Config) -> Estimate:
        """Returns the seconds of a chip that a run takes, training and evaluation."""
        work, checks = self.training(config), self.evaluation(config)
        legs = self.legs(config)
        if legs and all(static in self.probes for static, _ in legs):
            last, _ = legs[-1]
            # Checked images, in steps of the last stage, which has the whole resolution.
            assert isinstance(config, Upstream | Transfer)
            step = (2 if config.sam else 1) * PASSES * config.batch_size
            checked = checks.flops / (step * forward(last.model, last.resolution, last.classes).flops)
            return Estimate.total(self.probes[s].step.times(n + (checked if s == last else 0.0)) for s, n in legs)
        upstream = config.upstream if isinstance(config, Transfer | Probe) else config
        assert isinstance(upstream, Upstream | Checkpoint)
        known = calibration(upstream.model, self.device)
        best = self.device.best_seconds(*work.plus(checks), upstream.dtype)
        return Estimate.within(best / known.efficiency, known.spread)
