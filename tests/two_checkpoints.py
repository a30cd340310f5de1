"""One of several processes that train the tiny model together, its weights split over them, with checkpoints.

`JAX_NUM_CPU_DEVICES=1 python two_checkpoints.py ADDRESS PROCESSES PROCESS RUN ATTEMPT DIE`: from step DIE on, the last process
kills itself and the first one waits to be killed; with a DIE of 0 they train to the end, and say how they began and what came
out as a line of JSON, beside what the same run gives without any interruption.
"""

import hashlib
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np
import tiny

from bench.points import Execution
from bench.points.variants import VARIANTS
from bench.train import placement
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Watch, fit


def digest(state):
    """Returns a hash of what this process holds of a state, and how many of its arrays are split."""
    leaves = jax.tree.leaves(state)
    bits = hashlib.sha256(b"".join(np.asarray(leaf.addressable_shards[0].data).tobytes() for leaf in leaves)).hexdigest()
    return bits, sum(not leaf.sharding.is_fully_replicated for leaf in leaves)


def train(made, **options):
    start = made.start(made.init(np.uint32(0)))
    return fit(made, start, tiny.DATA, tiny.order(), tiny.hyper(), tiny.CLASSES, mixup=0.2, evaluations=2, **options)


if __name__ == "__main__":
    address, processes, process = sys.argv[1], *map(int, sys.argv[2:4])
    run, attempt, die = Path(sys.argv[4]), sys.argv[5], int(sys.argv[6])
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    jax.distributed.initialize(address, processes, process, initialization_timeout=60)
    VARIANTS["tiny"] = tiny.TINY
    placement.SMALLEST = 16
    made = tiny.programs(execution=Execution(fsdp=True))
    done = []

    def progress(step, _):
        done.append(step)
        if die and step >= die:
            if process == processes - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1e9)

    checkpoints = Checkpoints(run, run / "attempts" / attempt, 0)
    found = train(made, checkpoints=checkpoints, watch=Watch(progress=progress))
    print(
        json.dumps(
            {
                "began": done[0],
                "skipped": found.skipped,
                "found": digest(found.state),
                "whole": digest(train(made).state),
                "measurements": [m.value for m in found.measurements],
            }
        ),
        flush=True,
    )
