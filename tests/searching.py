"""Searches for tests, a coordinator and workers that take no time, and results that depend on a run's config alone."""

import dataclasses
import math

from made import record

from sweeps.search import Choice, Float, Int, Search
from sweeps.search.proposals import Proposals

FIXED = {"model": "ViT-mu", "dataset": "mnist5k", "epochs": 1.0, "aug": "none", "sd": 0.0, "wd": 0.0, "batch_size": 64}
# The best of both is lr 0.01, warmup 30.
NUMBERS = Search(
    sampler="tpe",
    trials=20,
    axes={"lr": Float(1e-4, 1.0, log=True), "warmup_steps": Int(0, 100), "do": Float(0.0, 0.5)},
    fixed=FIXED,
)
CHOICES = Search(
    sampler="random",
    trials=12,
    axes={"lr": Float(1e-4, 1.0, log=True), "aug": Choice(["none", "light1"]), "do=sd": Choice([0.0, 0.1])},
    fixed={k: v for k, v in FIXED.items() if k not in ("aug", "sd")},
)
FEW = dataclasses.replace(CHOICES, axes={**CHOICES.axes, "lr": Choice([0.1, 0.01])})  # 8 different points


def accuracy(config):
    """Returns a validation accuracy with one peak."""
    return 1 / (1 + (math.log10(config.lr) + 2) ** 2 + (config.warmup_steps / 100 - 0.3) ** 2 + config.do**2)


def result(config, **changes):
    """Returns the record of a run."""
    return record(config, **{"value": accuracy(config), **changes})


class Folder:
    """What a coordinator's folder holds for the search: records by name; a coordinator may be made of it at any time."""

    def __init__(self, path, search, **options):
        self.path, self.search, self.options, self.records, self.trained = path, search, options, {}, []

    def open(self):
        proposals = Proposals(self.path, self.search, **self.options)
        for config in proposals.configs:
            if config.name in self.records:
                proposals.tell(self.records[config.name])
        return proposals

    def train(self, config, **changes):
        self.trained.append(config.name)
        return self.records.setdefault(config.name, result(config, **changes))


def finish(folder, proposals, workers=1):
    """Does what a coordinator does, to the end: `workers` runs at once, the oldest ends first."""
    running = []
    while True:
        while len(running) < workers and (config := proposals.next()) is not None:
            running.append(config)
        if not running:
            return proposals
        proposals.tell(folder.train(running.pop(0)))


def values(proposals):
    """Returns the trials as what counts: values of the axes, state, value."""
    return [(t.params, t.state, t.value, t.system_attrs.get("cma:generation")) for t in proposals.trials()]
