"""What a probe costs beside the forward pass that no probe can do without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bench.data import mnist5k
from bench.data.arrays import InMemory
from bench.perf import setting
from bench.perf.figure import Figure
from bench.perf.setting import CLASSES, Case
from bench.perf.timing import interleave
from bench.select.scores import Features, Scored, score_all
from bench.train.features import extract
from bench.train.program import Programs
from bench.train.static import Static
from bench.weights.heads import Head

# VTAB-1k's numbers of images to learn from and to select by, and no more to test than to select by: a larger test split would
# make the scores look cheaper.
SIZES = (800, 200, 200)
# Of ImageNet-21k, whose head is what LEEP has most to do with.
SOURCE_CLASSES = 21_843
TARGETS = {setting.TI16.model: "1.2 or less"}


def task(resolution: int) -> list[InMemory]:
    """Returns `SIZES` of the embedded digits, every pixel repeated until they fill `resolution`."""
    digits, side = mnist5k.load(28), -(-resolution // 28)

    def part(split: Any, count: int) -> InMemory:
        images = split.images[:count].repeat(side, 1).repeat(side, 2)[:, :resolution, :resolution]
        return InMemory(np.ascontiguousarray(images), split.labels[:count])

    return [part(getattr(digits, purpose), n) for purpose, n in zip(("train", "val", "test"), SIZES, strict=True)]


def contenders(case: Case) -> tuple[Callable[[], list[jax.Array]], Callable[[], list[Scored]]]:
    """Returns the bare forward passes of a task's images, which lie ready, and the probe: extraction and all scores."""
    programs = Programs(Static(case.model, 1, 0.0, case.resolution, 0, "", ""))
    weights, program, splits = programs.init(np.uint32(0)), programs.features, task(case.resolution)
    size, images = programs.static.eval_batch, np.concatenate([split.images for split in splits])
    padded = np.pad(images, ((0, -len(images) % size), (0, 0), (0, 0), (0, 0)))
    ready = [programs.placement.spread(padded[start : start + size]) for start in range(0, len(padded), size)]
    width = programs.shapes["head"]["kernel"].shape[0]
    kernel = np.random.default_rng(0).normal(0, width**-0.5, (width, SOURCE_CLASSES)).astype(np.float32)
    head = Head(kernel, np.zeros(SOURCE_CLASSES, np.float32))

    def probe() -> list[Scored]:
        train, val, test = extract(programs, weights, splits)
        source = head.probabilities(train.features, "sigmoid").astype(np.float64)
        scored, reasons = score_all(Features(*train.wide(), *val.wide(), *test.wide(), CLASSES, source))
        assert not reasons, reasons
        return scored

    return lambda: [program(weights, batch) for batch in ready], probe


def run(quick: bool) -> list[Figure]:
    """Probes ViT-mu at 28 px and, unless `quick`, Ti/16 at 224 px on a task of 1,000 images: features and all scores."""
    figures = []
    for case in (setting.VIT_MU,) if quick else (setting.VIT_MU, setting.TI16):
        bare, probe = contenders(case)
        times = interleave({"forward": bare, "probe": probe}, 1 if quick else 3)
        what = f"{case.model}, {case.resolution} px, {sum(SIZES):,} images"
        figures.append(Figure("probe", f"{what}: forward pass", "s", times.of("forward")))
        figures.append(Figure("probe", f"{what}: features and scores", "s", times.of("probe")))
        ratio = times.ratio("probe", "forward")
        figures.append(Figure("probe", f"{what}: time", "x", ratio, "bare forward pass", TARGETS.get(case.model, "")))
    return figures
