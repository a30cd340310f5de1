"""All figures of the papers that can be asked for by name."""

from __future__ import annotations

from bench.errors import UserError, choose_from
from bench.report import augreg, scaling
from bench.report.catalogue import FigureFacts

FIGURES: dict[str, FigureFacts] = augreg.FIGURES | scaling.FIGURES


def find(name: str) -> FigureFacts:
    """Returns the figure of a name.

    Raises:
      UserError: there is none.
    """
    if name not in FIGURES:
        raise UserError(f"no figure {name!r}; {choose_from(name, FIGURES)}")
    return FIGURES[name]
