"""What a figure that can be asked for by name is: the facts that a list of figures shows, its data and its drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bench.errors import UserError

TABLE = "table"
"""The released columns of the table are enough."""
OWN = "own runs"
"""The table's further columns, which only runs of one's own fill."""
PUBLISHED = "published numbers"
"""Numbers of a paper, from `results/published`."""
KINDS = (TABLE, OWN, PUBLISHED)


@dataclass(frozen=True)
class FigureFacts:
    """One figure of a paper.

    Attributes:
      name: what it is asked for by, such as `fig4` or `nfnet-frontier`.
      about: what it shows, one line.
      source: the paper, and the number of its figure or table.
      uses: what it can be drawn from, of `KINDS`, the preferred first.
      data: the rows that it shows, of a table in the schema of `bench.records.schema`; of None, from published numbers. The
        frame says in a column or on the face of the drawing which of `uses` it was. Raises `UserError` where the table lacks
        what it needs, or where None is given and nothing was published.
      draw: these rows as a figure of its own, unknown to pyplot.
    """

    name: str
    about: str
    source: str
    uses: tuple[str, ...]
    data: Callable[[pd.DataFrame | None], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]

    def __post_init__(self) -> None:
        if not self.uses or set(self.uses) - set(KINDS):
            raise UserError(f"figure {self.name}: can be drawn from {self.uses}; valid: {', '.join(KINDS)}")


def catalogue(figures: Iterable[FigureFacts]) -> dict[str, FigureFacts]:
    """Returns the figures by name, in the order given.

    Raises:
      UserError: two of one name.
    """
    found: dict[str, FigureFacts] = {}
    for figure in figures:
        if figure.name in found:
            raise UserError(f"two figures are called {figure.name!r}")
        found[figure.name] = figure
    return found
