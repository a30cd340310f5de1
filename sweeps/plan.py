"""What a sweep would do, before it does it."""

from __future__ import annotations

from collections import Counter, defaultdict

from bench.cost import image_flops, training_flops
from bench.errors import UserError
from bench.points.progressive import stages
from bench.train.static import Static
from sweeps.space import Sweep


def lines(sweep: Sweep) -> list[str]:
    """Returns the plan of a sweep for people: runs, steps, compiled programs and training FLOPs by model.

    Counts are expectations: how many examples a fraction holds exactly is decided per example.
    """
    runs: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    flops: dict[str, float] = defaultdict(float)
    programs: dict[str, set[Static]] = defaultdict(set)
    for config in sweep.upstream_points:
        if config.data.train is None:
            raise UserError(
                f"upstream set {config.dataset!r}: its exact size was never published, so the plan cannot count steps"
            )
        examples = round(config.data.train * config.fraction)
        runs[config.model] += 1
        steps[config.model] += config.steps(examples)
        programs[config.model].update(Static.of(config, resolution=stage.resolution) for stage in stages(config))
        flops[config.model] += training_flops(config, examples)
    for transfer in sweep.transfer_points:
        model = transfer.upstream.model
        runs[model] += 1
        steps[model] += transfer.steps
        programs[model].add(Static.of(transfer))
        flops[model] += 3.0 * image_flops(transfer, transfer.steps) * transfer.steps * transfer.batch_size
    out = [
        f"{sweep.name}: {len(sweep.upstream_points)} upstream runs, {len(sweep.transfer_points)} transfers",
        f"{'model':<12}{'runs':>7}{'steps':>10}{'programs':>10}{'training FLOPs':>16}",
    ]
    for model in runs:
        out.append(f"{model:<12}{runs[model]:>7}{steps[model]:>10}{len(programs[model]):>10}{flops[model]:>16.3g}")
    return out
