"""How the best model size and the best number of epochs grow with compute."""

from __future__ import annotations

from bench.findings.finding import CONTRADICTED, NOT_SEPARABLE, SUPPORTED, Evidence, Finding, Verdict
from bench.findings.loss_power_law import one_set, several_models
from bench.select.frontier import frontier, power_law
from bench.select.published_scaling import nfnet

_EVEN = (1 / 3, 2 / 3)
"""Exponents of the epochs that pass for equal rates: at 0.5 they take half of the growth of compute, in logarithms, and the
compute of an epoch the rest; at these ends one grows twice as fast as the other."""
_BENT = 1 / 3
"""Share of the frontier at an edge of the grid from which on the edges, not the optimum, may set its direction."""
_STATED = 5_000.0
"""TPU-v4 core-hours above which the paper finds more than one epoch best."""


def test(evidence: Evidence) -> Verdict:
    """Judges whether the exponent is that of equal rates and, of core-hours, where one epoch is passed."""
    runs = several_models(evidence.read(one_set, nfnet))
    law = power_law(runs, "epochs")
    best = frontier(runs)
    # A model is known by the compute of its epoch; only its order counts here.
    sizes = runs.groupby("model")["size"].median()
    edges = best["epochs"].isin([runs["epochs"].min(), runs["epochs"].max()])
    edges |= best["model"].isin([sizes.idxmin(), sizes.idxmax()])
    unit = "core-hours" if evidence.table is None else "FLOPs"
    least, most = _EVEN
    why = (
        f"along the frontier the best epochs grow as compute ^ {law.exponent.text('.2f')}; {least:.2f} to {most:.2f} are equal"
        " rates"
    )
    one = law.one
    passes = law.exponent.value > 0
    if passes:
        why += f", and pass one epoch at {one.text('.3g')} {unit}"
        if evidence.table is not None:
            why += f", which is not held against the paper's {_STATED:,.0f} core-hours"
    low, high = law.exponent.low, law.exponent.high
    if not law.exponent.known:
        verdict, why = NOT_SEPARABLE, f"{why}; too few runs to say"
    elif passes and edges.mean() > _BENT:
        verdict = NOT_SEPARABLE
        why += f"; {int(edges.sum())} of {len(best)} runs on the frontier are at an edge of the grid, which may bend it"
    elif least <= low and high <= most:
        verdict = SUPPORTED if evidence.table is not None or one.low <= _STATED <= one.high else CONTRADICTED
    else:
        verdict = CONTRADICTED if high < least or low > most else NOT_SEPARABLE
    return Verdict(verdict, why, law.exponent.value, law.exponent.low, law.exponent.high, "exponent of epochs", len(runs))


FINDING = Finding(
    "size-and-epochs-together",
    "Model size and epochs should grow at the same rate, beyond one epoch from about 5,000 TPU-v4 core-hours on",
    '"ConvNets Match Vision Transformers at Scale", section 2 and Fig. 2',
    test,
)
