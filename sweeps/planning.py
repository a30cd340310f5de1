"""What `augreg plan` and `augreg utilisation` print."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cost.calibration import calibration, implied
from bench.cost.devices import find as find_device
from bench.cost.flops import PASSES, forward
from bench.errors import UserError, choose_from
from bench.points import VARIANTS
from sweeps import probe as probing
from sweeps.named import find
from sweeps.plan import ALONE, Fleet, Plan, between, quantity
from sweeps.predict import Estimate, Predictor


def plan(
    name: str,
    device: str = "cpu-core",
    price: float | None = None,
    examples: int = 0,
    fleet: Fleet = ALONE,
    *,
    probe: bool = False,
    compiled: bool = False,
) -> tuple[Plan, list[str]]:
    """Returns the plan of a sweep, and what could not be probed, in words.

    Args:
      name: of the sweep.
      device: what it would run on.
      price: of a chip-hour; the list price by default.
      examples: size of upstream sets whose size was never published.
      fleet: who works.
      probe: time a few steps of each program here.
      compiled: compile each training program here and take the compiler's count of FLOPs; nothing is run.

    Raises:
      UserError: no such sweep or device, a size is not known, or the probe failed.
    """
    sweep = find(name)
    upstream, transfers = len(sweep.upstream_points), len(sweep.transfer_points)
    probes = f", {len(sweep.probe_points)} probes" if sweep.probe else ""
    title = f"{sweep.name}: {upstream} upstream runs{probes}, {transfers} transfers"
    points, sample = sweep.planned, sweep.planned
    if sweep.search is not None:
        title = f"{sweep.name}: at most {len(points):,} upstream runs, drawn by chance: what a search tries is not known"
        sample = points[:1]  # each may be a program of its own
    predictor = Predictor(find_device(device), examples)
    notes: list[str] = []
    if probe:
        predictor, notes = probing.probed(sample, predictor)
    elif compiled:
        predictor = probing.compiled(sample, predictor)
    return Plan.of(title, points, predictor, price, fleet), notes


def utilisation(
    model: str, images: float, resolution: int, classes: int, device: str, core_hours: float | None, dtype: str
) -> Iterator[str]:
    """Returns what training a model takes, and what a stated time for it implies, line by line.

    Args:
      model: a name of `VARIANTS`.
      images: seen in training, repeats included.
      resolution: pixels.
      classes: of the head.
      device: on which.
      core_hours: the stated time; None for none.
      dtype: of activations.

    Raises:
      UserError: no such model or device, or nothing to compute.
    """
    if model not in VARIANTS:
        raise UserError(f"unknown model {model!r}; {choose_from(model, VARIANTS)}")
    if not images > 0 or (core_hours is not None and not core_hours > 0):
        raise UserError("--images and --core-hours must be above 0")
    found, known = find_device(device), calibration(model, find_device(device))
    work = forward(model, resolution, classes).times(PASSES * images)
    yield (
        f"{model}, {images:.3g} images of {resolution} px: {work.flops:.3g} FLOPs (three forward passes an image, two a"
        " multiply-add)"
    )
    seconds = Estimate.within(found.best_seconds(*work, dtype) / known.efficiency, known.spread)
    hours = seconds.times(found.cores / 3600)
    yield f"predicted: {between(hours)} core-hours of {device}, at {known.efficiency:.3g} of its best ({known.source})"
    if core_hours is not None:
        share = implied(work, found, core_hours, dtype)
        yield (
            f"{quantity(core_hours)} core-hours imply {100 * share.utilisation:.1f}% of the device's peak FLOP/s, and"
            f" {100 * share.efficiency:.1f}% of its best with memory traffic"
        )
