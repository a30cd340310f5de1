"""What a sweep would do and cost, before it does it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.cost.calibration import calibration
from bench.cost.flops import Work
from bench.cost.memory import checkpoint_bytes, weight_bytes
from bench.points import Checkpoint, Config, Probe, Transfer, Upstream
from bench.train.static import Static
from sweeps.board import needed
from sweeps.predict import Estimate, Predictor

NOTHING, NO_TIME = Work(0.0, 0.0), Estimate(0.0, 0.0, 0.0)
# Checkpoints that a run under way keeps: the newest, and the one before while it is written.
KEPT = 2
# Models that a plan lists; a search may have thousands.
SHOWN = 30


class Fleet(NamedTuple):
    """Who works: workers at once, and chips of each."""

    workers: int = 1
    chips: int = 1


ALONE = Fleet()


@dataclass
class Share:
    """What all runs of one model need.

    Attributes:
      runs, steps: how many.
      programs: what shapes them.
      work: of training.
      seconds: of one chip, training and evaluation.
      weights: bytes of all final weights.
      checkpoint: bytes of its largest checkpoint.
      compiled: training FLOPs as the compiler counts them; 0 where it was not asked.
    """

    runs: int = 0
    steps: int = 0
    programs: set[tuple[str, Static]] = field(default_factory=set)
    work: Work = NOTHING
    seconds: Estimate = NO_TIME
    weights: int = 0
    checkpoint: int = 0
    compiled: float = 0.0

    def add(self, config: Upstream | Transfer | Probe, predictor: Predictor) -> Estimate:
        """Counts a run; returns its seconds."""
        seconds, legs = predictor.seconds(config), predictor.legs(config)
        self.runs += 1
        self.steps += sum(steps for _, steps in legs)
        self.programs |= {(config.kind, static) for static, _ in legs}
        self.work = self.work.plus(predictor.training(config))
        self.seconds = Estimate.total((self.seconds, seconds))
        if not isinstance(config, Probe):
            self.weights += weight_bytes(config)
            self.checkpoint = max(self.checkpoint, checkpoint_bytes(config))
        self.compiled += sum(predictor.counted.get(static, 0.0) * steps for static, steps in legs)
        return seconds


def model_of(config: Config) -> str:
    """Returns the model that a run trains, or a probe looks at."""
    upstream = config.upstream if isinstance(config, Transfer | Probe) else config
    assert isinstance(upstream, Upstream | Checkpoint)
    return upstream.model


@dataclass
class Plan:
    """What runs would cost.

    Attributes:
      title: of what.
      predictor: of seconds.
      price: of a chip-hour.
      fleet: who works.
      shares: by model.
      longest: seconds of the longest chain: an upstream run and the longest transfer or probe that waits for it.
    """

    title: str
    predictor: Predictor
    price: float
    fleet: Fleet
    shares: dict[str, Share]
    longest: Estimate

    @classmethod
    def of(
        cls, title: str, points: Iterable[Config], predictor: Predictor, price: float | None = None, fleet: Fleet = ALONE
    ) -> Plan:
        """Returns the plan of some runs.

        Args:
          title: of the plan.
          points: the runs.
          predictor: of seconds.
          price: of a chip-hour; the device's list price by default.
          fleet: who works.

        Raises:
          UserError: see `Predictor.upstream_examples`.
        """
        shares: dict[str, Share] = {}
        alone: dict[str, Estimate] = {}
        waiting: dict[str, Estimate] = {}
        for config in points:
            assert isinstance(config, Upstream | Transfer | Probe)
            seconds = shares.setdefault(model_of(config), Share()).add(config, predictor)
            upstream = needed(config)
            chain, name = (waiting, upstream.name) if upstream else (alone, config.name)
            if name not in chain or chain[name].middle < seconds.middle:
                chain[name] = seconds
        chains = (Estimate.total((alone.get(name, NO_TIME), waiting.get(name, NO_TIME))) for name in {**alone, **waiting})
        longest = max(chains, key=lambda chain: chain.middle, default=NO_TIME)
        return cls(title, predictor, predictor.device.price if price is None else price, fleet, shares, longest)

    @property
    def programs(self) -> int:
        """Returns how many programs are trained with."""
        return len({program for share in self.shares.values() for program in share.programs})

    @property
    def overhead(self) -> float:
        """Returns the seconds in which workers start and compile, as far as a probe measured them."""
        probes = self.predictor.probes
        compiling = {
            static: probes[static].compiling for s in self.shares.values() for _, static in s.programs if static in probes
        }
        return sum(compiling.values()) + self.fleet.workers * self.predictor.starting

    @property
    def seconds(self) -> Estimate:
        """Returns the seconds of one chip that everything takes."""
        overhead = Estimate.within(self.overhead, 1.0)
        return Estimate.total((*(share.seconds for share in self.shares.values()), overhead))

    @property
    def hours(self) -> Estimate:
        """Returns the chip-hours that everything takes."""
        return self.seconds.times(1 / 3600)

    @property
    def money(self) -> Estimate:
        """Returns what they cost."""
        return self.hours.times(self.price)

    @property
    def wall(self) -> Estimate:
        """Returns the seconds until the end: no sooner than all chips together can, nor than the longest chain on its own."""
        together, alone = (
            self.seconds.times(1 / (self.fleet.workers * self.fleet.chips)),
            self.longest.times(1 / self.fleet.chips),
        )
        return Estimate(*(max(pair) for pair in zip(together, alone, strict=True)))

    @property
    def work(self) -> Work:
        """Returns the work of all training."""
        total = NOTHING
        for share in self.shares.values():
            total = total.plus(share.work)
        return total

    @property
    def kept_bytes(self) -> int:
        """Returns bytes of all final weights, which stay."""
        return sum(share.weights for share in self.shares.values())

    @property
    def passing_bytes(self) -> int:
        """Returns bytes of checkpoints that runs under way need at most, and that go when they end."""
        return KEPT * self.fleet.workers * max((share.checkpoint for share in self.shares.values()), default=0)


def quantity(value: float) -> str:
    """Returns a number with three digits, or all of its integer part."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def between(estimate: Estimate, sign: str = "") -> str:
    """Returns an estimate for people: the middle one, and the range."""
    low, middle, high = (f"{sign}{quantity(value)}" for value in estimate)
    return f"{middle} ({low} to {high})"


def duration(seconds: float) -> str:
    """Returns a time for people."""
    for name, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{quantity(seconds / length)} {name}"
    return f"{quantity(seconds)} s"


def size(count: float) -> str:
    """Returns bytes for people."""
    for name, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= length:
            return f"{quantity(count / length)} {name}"
    return f"{quantity(count / 1e3)} kB"


def lines(plan: Plan) -> list[str]:
    """Returns a plan for people.

    Counts of steps are expectations: how many examples a fraction holds exactly is decided per example.
    """
    device, fleet = plan.predictor.device, plan.fleet
    compiled = any(share.compiled for share in plan.shares.values())
    head = f"{'model':<18}{'runs':>8}{'steps':>14}{'programs':>10}{'training FLOPs':>16}"
    out = [plan.title, head + (f"{'compiled':>11}" if compiled else "") + f"{'chip-hours':>12}  of {device.name}"]
    for model, share in itertools.islice(plan.shares.items(), SHOWN):
        row = f"{model:<18}{share.runs:>8}{share.steps:>14}{len(share.programs):>10}{share.work.flops:>16.3g}"
        low, middle, high = (quantity(v) for v in share.seconds.times(1 / 3600))
        out.append(row + (f"{share.compiled:>11.3g}" if compiled else "") + f"{middle:>12}  {low} to {high}")
    if len(plan.shares) > SHOWN:
        out.append(f"and {len(plan.shares) - SHOWN:,} more models")
    runs = sum(share.runs for share in plan.shares.values())
    out.append(f"{runs} runs, {plan.programs} programs, {plan.work.flops:.3g} FLOPs of training (closed form)")
    cores = f", {between(plan.hours.times(device.cores))} core-hours" if device.cores > 1 else ""
    out.append(f"time: {between(plan.hours)} chip-hours{cores}")
    list_price = f" ({device.priced})" if plan.price == device.price else ""
    out.append(f"money: {between(plan.money, sign='$')} at ${plan.price:g} a chip-hour{list_price}")
    low, middle, high = map(duration, plan.wall)
    who = f"{fleet.workers} worker{'s' * (fleet.workers > 1)} of {fleet.chips} chip{'s' * (fleet.chips > 1)}"
    out.append(f"wall clock: {middle} ({low} to {high}) with {who}")
    out.append(f"disk: {size(plan.kept_bytes)} of final weights, {size(plan.passing_bytes)} of checkpoints while they run")
    return out + _sources(plan)


def _sources(plan: Plan) -> list[str]:
    """Returns where the times come from."""
    probed = [m for m, s in plan.shares.items() if all(p in plan.predictor.probes for _, p in s.programs)]
    out = [f"times of {', '.join(probed)}: probed here; {plan.overhead:.0f} s to start workers and compile"] if probed else []
    by_source: dict[str, list[str]] = {}
    for model in plan.shares:
        if model not in probed:
            known = calibration(model, plan.predictor.device)
            text = f"{known.efficiency:.3g} of the device's best, within a factor of {known.spread:.3g} ({known.source})"
            by_source.setdefault(text, []).append(model)
    more = {text: f" and {len(models) - SHOWN:,} more" if len(models) > SHOWN else "" for text, models in by_source.items()}
    return out + [f"times of {', '.join(models[:SHOWN])}{more[text]}: {text}" for text, models in by_source.items()]
