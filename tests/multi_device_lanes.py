"""Trains eight runs by themselves and as lanes of four devices, and prints what differs as JSON.

A process of its own, because the number of CPU devices cannot change in a running one:
`JAX_NUM_CPU_DEVICES=4 python multi_device_lanes.py`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import jax
import numpy as np
import tiny
from pytest import MonkeyPatch  # noqa: PT013 - no test, a script

from bench.train import program
from bench.train.fit import fit
from bench.train.fit_lanes import Lane, fit_lanes
from bench.train.lanes import Lanes
from bench.train.program import Programs


def main():
    with MonkeyPatch.context() as patch:
        tiny.register(patch)
        # Augmentation takes longest to compile, and does nothing across lanes that the rest does not.
        patch.setattr(program.augment, "augment_and_mix", tiny.only_mix)
        alone = Programs(tiny.programs(optimizer="momentum").static, jax.devices()[:1])
        own = [Lane(tiny.order(), tiny.hyper(lr=0.002 * (i + 1)), 0.1) for i in range(8)]
        start = jax.device_get(alone.init(np.uint32(0)))
        solo = [fit(alone, alone.start(start), tiny.DATA, o.order, o.hyper, tiny.CLASSES, mixup=o.mixup).state for o in own]
        for count in (4, 8):
            made = Lanes(alone.static, count, shared=True)
            text = made.train.as_text()
            found = fit_lanes(made, made.start_all([start] * count), tiny.DATA, own[:count], tiny.CLASSES)
            worst = 0.0
            for each, by_itself in zip(found, solo, strict=False):
                worst = max(worst, tiny.furthest(each.state, by_itself))
            sums = [word for word in ("all-reduce", "all-gather", "all-to-all", "collective") if word in text]
            devices = len({d for leaf in jax.tree.leaves(made.start_all([start] * count).params) for d in leaf.devices()})
            print(json.dumps({"lanes": count, "devices": devices, "worst": worst, "sums": sums}), flush=True)


if __name__ == "__main__":
    main()
