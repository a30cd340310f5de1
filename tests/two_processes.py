"""One of several processes that train the tiny model together; prints what it was fed and what came out, as a line of JSON.

`JAX_NUM_CPU_DEVICES=1 python two_processes.py ADDRESS PROCESSES PROCESS`.
"""

import json
import sys

import jax
import numpy as np
import tiny

from bench.data.order import Order
from bench.points.variants import VARIANTS
from bench.train import feed
from bench.train.evaluate import correct

STEPS, CHUNK = 8, 4
ORDER = Order(50, 8, 3)


def trained(made):
    """Returns the losses of every step and the share of right answers."""
    state, losses = made.start(made.init(np.uint32(0))), []
    due = feed.spans(0, STEPS, CHUNK, [])
    for batches in feed.feed(made, tiny.DATA.train, ORDER, 0.3, 0.0, due):
        bounds = np.int32(0), np.int32(CHUNK)
        state, found = made.train(state, batches, *bounds, np.int32(tiny.CLASSES), tiny.hyper(steps=STEPS))
        losses += np.asarray(found).tolist()
    return losses, float(correct(made, state.weights, tiny.DATA.test, tiny.CLASSES).mean())


def fed(made):
    """Returns the examples that this process was fed, and whether their images are theirs."""
    examples, right = [], True
    for batches in feed.feed(made, tiny.DATA.train, ORDER, 0.3, 0.0, feed.spans(0, STEPS, CHUNK, [])):
        mine, images = (np.asarray(x.addressable_shards[0].data) for x in (batches.examples, batches.images))
        right = right and np.array_equal(images, tiny.DATA.train.images[mine])
        examples += mine.tolist()
    return examples, right


if __name__ == "__main__":
    address, processes, process = sys.argv[1], *map(int, sys.argv[2:])
    jax.distributed.initialize(address, processes, process, initialization_timeout=60)
    VARIANTS["tiny"] = tiny.TINY
    made = tiny.programs()
    out = {"devices": made.placement.count, "resident": fed(made)}
    feed.RESIDENT = 0
    out["read"] = fed(made)
    out["losses"], out["right"] = trained(made)
    print(json.dumps(out), flush=True)
