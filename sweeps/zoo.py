"""What `augreg models` prints."""

from __future__ import annotations

from collections.abc import Iterator

from bench.errors import UserError
from bench.points.variants import FAMILIES, VARIANTS
from bench.train import describe

_LINE = "{:<20}{:<16}{:>15}{:>9}{:>10}{:>11}  {}"


def model_lines(family: str | None) -> Iterator[str]:
    """Returns a table of all variants (of one family), line by line as they are computed.

    Raises:
      UserError: no such family.
    """
    found = describe.summaries(family)
    yield _LINE.format("model", "family", "parameters", "GMACs", "weights", "training", "source")
    for each in found:
        variant = each.variant
        figures = (f"{each.params:,}", f"{each.macs / 1e9:.2f}", *(f"{n / 1e6:,.0f} MB" for n in (each.weights, each.training)))
        yield _LINE.format(variant.name, variant.family, *figures, variant.source)
    yield ""
    yield "Heads of 1,000 classes; multiply-adds of one forward pass at 224 px (the papers' FLOPs). Weights are float32;"
    yield "training adds gradients and the state of the family's optimiser, and activations: `augreg models MODEL` has them."
    for known in FAMILIES.values():
        if known.modifiers and family in (None, known.name):
            names = (f"{v.name}:{modifier}" for modifier in known.modifiers for v in reversed(known.variants))
            example = next(name for name in names if name in VARIANTS)
            yield f"Modifiers of {known.name}, as in {example}: {', '.join(known.modifiers)}"


def layer_lines(name: str, resolution: int, depth: int) -> Iterator[str]:
    """Returns what one model is and its layers down to `depth` levels, for images of `resolution` pixels.

    Raises:
      UserError: no such model, or it cannot take such images.
    """
    if resolution < 1 or depth < 1:
        raise UserError(f"--resolution and --depth must be at least 1, not {resolution} and {depth}")
    layers, activations = describe.layers(name, resolution, depth)
    found = describe.summarise(name)
    macs: int = found.variant.spec.macs(resolution, describe.CLASSES)
    yield f"{name} ({found.variant.family}; {found.variant.source}), in file names {found.variant.prefix}"
    yield f"{found.variant.spec}"
    yield (
        f"{found.params:,} parameters, {macs / 1e9:.2f} GMACs at {resolution} px; {found.weights / 1e6:,.0f} MB of weights,"
        f" {found.training / 1e6:,.0f} MB in training and {activations / 1e6:,.1f} MB of activations an image (float32)"
    )
    yield ""
    yield f"{'layer':<60}{'output':>18}{'parameters':>14}"
    for layer in layers:
        path = "  " * layer.path.count("/") + layer.path.rsplit("/", 1)[-1]
        yield f"{path:<60}{' x '.join(map(str, layer.output)):>18}{layer.params:>14,}"
