"""Whether several runs train faster as lanes of one program than one after the other."""

from __future__ import annotations

from bench.perf import setting
from bench.perf.figure import Figure
from bench.perf.timing import Spread
from bench.train.gain import COUNTS, gains
from bench.train.program import Programs

# RandAugment (2, 10), dropout on: as in the middle of the grid.
STRENGTHS = {"layers": 2, "magnitude": 10, "dropout": 0.1}


def run(quick: bool) -> list[Figure]:
    """Probes ViT-mu and NFNet-mu at 28 px and Ti/16 at 224 px with 2, 4 and 8 lanes; when `quick`, ViT-mu with 2."""
    cases = (setting.VIT_MU,) if quick else (setting.VIT_MU, setting.NFNET_MU, setting.TI16)
    figures = []
    for case in cases:
        found = gains(
            Programs(case.static), setting.hyper(**STRENGTHS), True, COUNTS[:1] if quick else COUNTS, 3 if quick else 7
        )
        for count, each in found.items():
            figures.append(Figure("lanes", f"{case.name}, {count} lanes", "x", Spread.of(each), "one run after the other"))
    return figures
