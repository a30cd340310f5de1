"""Trains the tiny model for ever, with a checkpoint after every dispatch, until it is killed: `python saving.py RUN`."""

import sys
from pathlib import Path

import numpy as np
import tiny

from bench.points.variants import VARIANTS
from bench.train.checkpoints import Checkpoints
from bench.train.fit import fit

# Never reached; the schedule depends on it, so whoever compares must take the same.
STEPS = 1_000_000


def train(made, run, attempt, **options):
    checkpoints = Checkpoints(run, run / "attempts" / attempt, 0)
    start = made.start(made.init(np.uint32(0)))
    hyper = tiny.hyper(steps=STEPS)
    return fit(made, start, tiny.DATA, tiny.order(), hyper, tiny.CLASSES, mixup=0.2, checkpoints=checkpoints, **options)


if __name__ == "__main__":
    VARIANTS["tiny"] = tiny.TINY
    train(tiny.programs(), Path(sys.argv[1]), "first")
