"""Progressive learning: image size and regularisation grow together, stage by stage, while the weights are kept.

Sources: EfficientNetV2, section 4 and Table 6 (128 px, RandAugment 5, Mixup 0, dropout 0.1 grow linearly to the model's own
values, four stages), and the released code, google/automl `efficientnetv2/main.py`, which does something else:
its first stage is a quarter of the way from 128 px already, CutMix grows with Mixup, and dropout does not grow at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import UserError
from bench.points.fields import one_of

if TYPE_CHECKING:
    from bench.points.upstream import Upstream


@dataclass(frozen=True)
class Schedule:
    """How a run grows to what its config says, which is what its last stage has.

    Attributes:
      name: as in configs and file names.
      stages: their number; they share the steps of a run equally.
      resolution: pixels where it starts; 0 stands for half of the config's resolution.
      offset: stage i is the share (i + offset) / (stages - 1 + offset) of the way from the start's resolution to the config's.
      magnitude: of RandAugment in the first stage; grows evenly.
      mixup: alpha of Mixup and of CutMix in the first stage; grows evenly.
      dropout: rate of the first stage, growing evenly; None where it is the config's throughout.
    """

    name: str
    stages: int
    resolution: int
    offset: int
    magnitude: float
    mixup: float
    dropout: float | None


PROGRESSIVE: dict[str, Schedule] = {
    s.name: s
    for s in (
        Schedule("paper", 4, 128, 0, 5.0, 0.0, 0.1),
        Schedule("code", 4, 128, 1, 5.0, 0.0, None),
        # The paper's for images of 28 or 32 px, which have no room for 128.
        Schedule("mini", 4, 0, 0, 5.0, 0.0, 0.1),
    )
}


class Stage(NamedTuple):
    """What one stage trains with.

    Attributes:
      resolution: pixels.
      layers: RandAugment operations an image.
      magnitude: of RandAugment; not always a whole number.
      mixup, cutmix: alphas.
      dropout: rate.
    """

    resolution: int
    layers: int
    magnitude: float
    mixup: float
    cutmix: float
    dropout: float


def check(config: Upstream) -> None:
    """Checks that the schedule exists and that the config can follow it.

    Raises:
      UserError: an unknown name, a start above the config's resolution, or a model whose weights depend on the resolution.
    """
    from bench.points.variants import FAMILIES

    if not config.progressive:
        return
    one_of("Upstream", "progressive", config.progressive, PROGRESSIVE)
    family = FAMILIES[config.variant.family]
    if not family.any_resolution:
        fit = [f.name for f in FAMILIES.values() if f.any_resolution]
        raise UserError(
            f"Upstream: field 'progressive' is {config.progressive!r}, but weights of the family {family.name} ({config.model})"
            f" depend on the resolution, so that stages cannot hand them on; use a model of {', '.join(fit)}"
        )
    if config.resolution < max(2, PROGRESSIVE[config.progressive].resolution):
        raise UserError(
            f"Upstream: field 'progressive' is {config.progressive!r}, which starts at"
            f" {PROGRESSIVE[config.progressive].resolution} px, but the resolution is {config.resolution}; use 'mini'"
        )


def stages(config: Upstream) -> tuple[Stage, ...]:
    """Returns the stages of a run in order; a run without a schedule has one, with the config's own values.

    What a config has less of than a schedule starts with (no dropout, say) it has from the first stage on.
    """
    level = config.level
    own = Stage(config.resolution, level.layers, float(level.magnitude), level.mixup, level.cutmix, config.do)
    if not config.progressive:
        return (own,)
    plan = PROGRESSIVE[config.progressive]
    last = plan.stages - 1
    first = plan.resolution or config.resolution // 2

    def grown(start: float, end: float, i: int) -> float:
        start = min(start, end)
        return end if i == last else start + (end - start) * i / last

    return tuple(
        Stage(
            # Whole pixels, rounded down as the code does.
            first + (own.resolution - first) * (i + plan.offset) // (last + plan.offset),
            own.layers,
            grown(plan.magnitude, own.magnitude, i),
            grown(plan.mixup, own.mixup, i),
            grown(plan.mixup, own.cutmix, i),
            own.dropout if plan.dropout is None else grown(plan.dropout, own.dropout, i),
        )
        for i in range(plan.stages)
    )


def spread(config: Upstream, steps: int) -> Iterator[tuple[Stage, int, int]]:
    """Yields the stages of a run of `steps` steps, each with its first step and the one after its last."""
    found = stages(config)
    for i, stage in enumerate(found):
        yield stage, round(steps * i / len(found)), round(steps * (i + 1) / len(found))
