"""Tables made by hand in which a claim holds, fails, or is left open: rows of upstream runs and of their transfers."""

import itertools
import math
from dataclasses import dataclass

import pandas as pd

from bench.cost.flops import training_flops
from bench.points import Transfer, Upstream
from bench.records.schema import COLUMNS
from bench.records.table import typed
from bench.select.costs import image_flops

MODELS = ("R+Ti/16", "Ti/16", "S/32", "S/16", "B/32", "B/16", "L/16")
NFNETS = ("NFNet-F0", "NFNet-F1", "NFNet-F3", "NFNet-F7")
TRAIN = 1_268_355


@dataclass
class Run:
    """An upstream run and its row."""

    config: Upstream
    row: dict

    def to(self, task, test, val=None, *, v2=None, speed=None, resolution=224, **settings):
        """Returns the row of a transfer."""
        steps = settings.pop("steps", 20_000)
        transfer = Transfer(self.config, task, steps, settings.pop("lr", 0.01), resolution, **settings)
        return self.row | {
            "adapt_ds": task,
            "adapt_lr": transfer.lr,
            "adapt_steps": transfer.steps,
            "adapt_resolution": resolution,
            "adapt_final_val": test if val is None else val,
            "adapt_final_test": test,
            "adapt_final_val_v2": v2,
            "infer_samples_per_sec": speed,
            "adapt_filename": transfer.name,
            "adapt_n_test": transfer.facts.test,
        }


def run(model="Ti/16", dataset="i1k", val=0.5, *, epochs=300.0, lr=0.001, aug="none", do=0.0, **more):
    """Returns an upstream run that ended with the validation accuracy `val`."""
    cells = {c: more.pop(c) for c in ("final_test", "train_seconds", "device", "n_test") if c in more}
    config = Upstream(model, dataset, epochs, lr, aug, 0.1, do, do, **more)
    fields = ("epochs", "lr", "aug", "wd", "do", "sd", "seed")
    row = {"name": model, "ds": config.ds, "final_val": val, "filename": config.name, "n_val": config.data.val, **cells}
    return Run(config, row | {f: getattr(config, f) for f in fields})


def table(rows):
    """Returns the rows, or runs without transfers, as a table."""
    rows = [r.row if isinstance(r, Run) else r for r in rows]
    return typed(pd.DataFrame(rows, columns=[c.name for c in COLUMNS]))


def worth_tenfold(by):
    """AugReg on ImageNet-1k reaches `by` more than plain training on ImageNet-21k."""
    for i, model in enumerate(MODELS):
        yield run(model, "i1k", aug="medium1").to("imagenet2012", 0.7 + 0.01 * i)
        yield run(model, "i1k", 0.6).to("imagenet2012", 0.6)
        yield run(model, "i21k").to("imagenet2012", 0.7 + 0.01 * i - by + 0.001 * (i % 3))
        yield run(model, "i21k", 0.6, aug="medium1").to("imagenet2012", 0.95)


def tenth(by):
    """All of ImageNet, plain, has `by` over a tenth with AugReg."""
    yield run("ResNet-50", "i1k", 0.7)
    yield run("ResNet-50", "i1k", 0.9, aug="medium1")
    yield run("ResNet-50", "i1k", 0.7 - by, aug="medium1", fraction=0.1)
    yield run("ResNet-50", "i1k", 0.3, fraction=0.1)


def short_budget(gains):
    """What AugReg adds to each of `MODELS`, by size: R+Ti/16, S/32, Ti/16, B/32, S/16, B/16, L/16."""
    for model, gain in zip(sorted(MODELS, key=lambda m: image_flops(m, 224)), gains, strict=True):
        yield run(model, "i21k", 0.4, epochs=30.0)
        yield run(model, "i21k", 0.4 + gain, epochs=30.0, aug="light1")
        yield run(model, "i21k", 0.4 + gain - 0.02, epochs=30.0, aug="light1", do=0.1)


def augmentation(by):
    """Augmentation alone has `by` over regularisation alone."""
    for i, model in enumerate(MODELS):
        yield run(model, "i1k", 0.4)
        yield run(model, "i1k", 0.5 + 0.01 * i, aug="light1")
        yield run(model, "i1k", 0.5 + 0.01 * i - by + 0.001 * (i % 2), do=0.1)


def upstream(by):
    """Upstream's choice reaches `by` more than that of downstream validation."""
    for i, model in enumerate(MODELS):
        yield run(model, "i21k", 0.6).to("cifar100", 0.8 + 0.01 * i, 0.7)
        yield run(model, "i21k", 0.5, aug="light1").to("cifar100", 0.8 + 0.01 * i - by + 0.001 * (i % 2), 0.8)


def minival(by):
    """ImageNetV2's pick reaches `by` more than minival's."""
    for i, model in enumerate(MODELS):
        one = run(model, "i21k")
        yield one.to("imagenet2012", 0.8, 0.95, v2=0.65, lr=0.01)
        yield one.to("imagenet2012", 0.8 + by + 0.001 * i, 0.9, v2=0.7, lr=0.03)


def scratch(by):
    """Transfer from ImageNet-21k has `by` over training from scratch, on pets."""
    for i, model in enumerate(MODELS):
        yield run(model, "oxford_iiit_pet", 0.5, final_test=0.6 + 0.001 * i, n_test=3_669)
        yield run(model, "i21k").to("oxford_iiit_pet", 0.6 + by, steps=500)


def more_data(by):
    """The checkpoint of ImageNet-21k has `by` over that of ImageNet-1k, on CIFAR-100."""
    for i, model in enumerate(MODELS):
        yield run(model, "i1k").to("cifar100", 0.8 + 0.01 * i)
        yield run(model, "i21k").to("cifar100", 0.8 + 0.01 * i + by + 0.001 * (i % 2))


def patch(by):
    """B/32 has `by` over Ti/16, which is about as fast, and nothing is said of S/16, which is slower."""
    yield run("B/32", "i21k").to("imagenet2012", 0.75 + by, speed=3597.0)
    yield run("Ti/16", "i21k").to("imagenet2012", 0.75, speed=3097.0)
    yield run("S/16", "i21k").to("imagenet2012", 0.9, speed=1508.0)


def grid(error, models=NFNETS, budgets=(1.0, 2.0, 4.0, 8.0)):
    """Runs of ImageNet-1k whose error is a function of compute, size and epochs, each against the first run's."""
    configs = [[run(m, "i1k", epochs=e) for e in budgets] for m in models]
    first = training_flops(configs[0][0].config, TRAIN)
    for one in itertools.chain(*configs):
        compute = training_flops(one.config, TRAIN) / first
        epochs = one.config.epochs / budgets[0]
        one.row["final_val"] = 1 - error(compute, compute / epochs, epochs)
        yield one


def law(curve):
    """The error is 0.8 x compute ^ -0.1, times one plus `curve` times the squared logarithm of compute."""
    return grid(lambda c, s, e: 0.8 * c**-0.1 / (1 + curve * math.log(c) ** 2))  # noqa: ARG005 - a function of three


def together(distance):
    """The error grows with the `distance` from where size and epochs should be; both may take the same six values."""
    models = ("NFNet-F0", "NFNet-F1", "NFNet-F2", "NFNet-F3", "NFNet-F5", "NFNet-F7")
    sizes = [image_flops(m, 224) / image_flops(models[0], 224) for m in models]

    def error(compute, size, epochs):
        far = distance(math.log(size), math.log(epochs)) ** 2
        return 0.45 * compute**-0.1 * (1 + far / (1 + far))

    return grid(error, models, sizes)


def rates(best):
    """The best of five learning rates is the one whose place `best(i, j)` says, for model i and budget j."""
    for (i, model), (j, epochs) in itertools.product(enumerate(NFNETS), enumerate((1.0, 2.0, 4.0))):
        for place, lr in enumerate((0.1, 0.2, 0.4, 0.8, 1.6)):
            yield run(model, "i1k", 0.7 - 0.01 * abs(place - best(i, j)), epochs=epochs, lr=lr)


def finetuned(by):
    """A doubling of the model adds `by` to fine-tuned accuracy at equal loss."""
    for one in grid(lambda c, s, e: 0.5 * c**-0.1 * (1 + 0.01 * e)):  # noqa: ARG005 - a function of three
        size = image_flops(one.config.model, 224) / image_flops(NFNETS[0], 224)
        yield one.to("imagenet2012", 0.7 - 0.2 * math.log(1 - one.row["final_val"]) * 0.5 + by * math.log2(size))


def repeated(by, settings=60):
    """Four times an image in a batch has `by` over once, in so many settings."""
    one = run("NFNet-F0", "i1k")
    for i in range(settings):
        yield one.to("imagenet2012", 0.8, lr=0.01 * (i + 1))
        yield one.to("imagenet2012", 0.8 + by, lr=0.01 * (i + 1), multiplicity=4)


def progressive(seconds, by):
    """Progressive learning takes `seconds` against 100 and has `by` in accuracy."""
    for seed in range(4):
        facts = {"aug": "effnetv2s", "resolution": 300, "seed": seed, "device": "TPU v4"}
        yield run("EfficientNetV2-S", "i1k", 0.8 + by, progressive="code", train_seconds=seconds + seed, **facts)
        yield run("EfficientNetV2-S", "i1k", 0.8, train_seconds=100.0, **facts)


def hybrid(by):
    """CoAtNets of ImageNet-21k have `by` over those of ImageNet-1k."""
    for i, model in enumerate(("CoAtNet-0", "CoAtNet-1")):
        yield run(model, "i1k").to("imagenet2012", 0.8 + 0.01 * i)
        yield run(model, "i21k").to("imagenet2012", 0.8 + 0.01 * i + by)


# The claim holds, it fails, it can be tested but not told; each a list of rows.
CASES = {
    "augreg-worth-tenfold": (worth_tenfold(0.01), worth_tenfold(-0.05), worth_tenfold(-0.0091)),
    "tenth-not-recovered": (tenth(0.1), tenth(-0.02), tenth(0.01)),
    "short-budget-largest-only": (
        short_budget((-0.01, -0.01, -0.01, 0.0, 0.0, 0.02, 0.04)),
        short_budget((0.02, 0.02, 0.02, 0.03, 0.03, 0.04, 0.04)),
        short_budget((0.01, -0.03, 0.02, 0.04, -0.04, -0.02, 0.02)),
    ),
    "prefer-augmentation": (augmentation(0.03), augmentation(-0.03), augmentation(0.0005)),
    "upstream-best-suffices": (upstream(0.0), upstream(-0.05), upstream(-0.0096)),
    "minival-misleads": (minival(0.02), minival(-0.04), minival(-0.003)),
    "transfer-beats-scratch": (scratch(0.2), scratch(-0.2), scratch(0.003)),
    "more-data-more-generic": (more_data(0.03), more_data(-0.03), more_data(-0.0004)),
    "larger-patch": (patch(0.05), patch(-0.05), patch(0.001)),
    "loss-power-law": (law(0.0), law(0.3), None),
    "best-lr-falls": (
        rates(lambda i, j: 4 - max(i - 1, 0) - j),
        rates(lambda i, j: (i + 2 * j) // 3 + 1),
        rates(lambda i, j: 2 + (i + j) % 2),
    ),
    "size-and-epochs-together": (
        together(lambda s, e: 3 * (s - e)),
        together(lambda s, e: 3 * e),  # noqa: ARG005 - a function of both
        together(lambda s, e: 3 * s),  # noqa: ARG005 - a function of both
    ),
    "finetuning-prefers-larger": (finetuned(0.01), finetuned(-0.01), None),
    "repeated-augmentation": (repeated(0.001), repeated(-0.02), repeated(0.001, 1)),
    "progressive-saves-time": (progressive(50, 0.001), progressive(150, 0.0), progressive(99, -0.004)),
    "hybrid-gains-with-data": (hybrid(0.02), hybrid(-0.02), hybrid(0.0005)),
}
CASES = {name: tuple(None if rows is None else list(rows) for rows in cases) for name, cases in CASES.items()}
