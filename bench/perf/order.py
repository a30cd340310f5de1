"""How fast the stateless order of examples is drawn, against a permutation kept in memory."""

from __future__ import annotations

import numpy as np

from bench.data.order import Order
from bench.perf.figure import Figure
from bench.perf.timing import interleave

EXAMPLES = 1_281_167
BATCH = 1024
STEPS = 25


def run(quick: bool) -> list[Figure]:
    """Measures one dispatch's worth of indices over a training set of ImageNet's size."""
    order = Order(EXAMPLES, BATCH, 0)
    count, generator = BATCH * STEPS, np.random.default_rng(0)
    _ = order.size
    times = interleave(
        {
            "ours": lambda: order.chunk(1000, STEPS).examples,
            "epoch": lambda: generator.permutation(EXAMPLES),
        },
        5 if quick else 25,
    )
    ratio = times.ratio("ours", "epoch")
    return [
        Figure("order", f"stateless order, {count} indices", "indices/s", times.of("ours").per(count)),
        Figure("order", f"numpy permutation of {EXAMPLES}", "indices/s", times.of("epoch").per(EXAMPLES)),
        Figure("order", "time per index, all of an epoch", "x", ratio.times(EXAMPLES / count), "numpy permutation"),
        Figure("order", f"time to the first {count} indices after a resume", "x", ratio, "numpy permutation", "below 1"),
    ]
