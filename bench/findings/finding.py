"""What a finding is: a claim of a paper, what it may be tested on, and what the test says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from bench.errors import UserError
from bench.select.runs import over_transfer_seeds

SUPPORTED, CONTRADICTED, NOT_SEPARABLE, NOT_TESTABLE = "supported", "contradicted", "not separable", "not testable here"
VERDICTS = (SUPPORTED, CONTRADICTED, NOT_SEPARABLE, NOT_TESTABLE)
TABLE, PUBLISHED = "table", "published"
"""The two kinds of evidence, which are never mixed."""

Read = TypeVar("Read")


class Untestable(Exception):  # noqa: N818 - what it says is no error of anybody's
    """The evidence lacks what a claim is about; the message says what."""


@dataclass(frozen=True)
class Evidence:
    """What claims are tested on: a table, or published numbers; exactly one of them.

    Attributes:
      table: columns of `bench.records.schema`; transfers that differ in nothing but their seed become one.
      published: the folder of published numbers, see `bench.select.published`.
    """

    table: pd.DataFrame | None = None
    published: Path | None = None

    def __post_init__(self) -> None:
        if (self.table is None) == (self.published is None):
            raise UserError("a finding is tested on a table or on published numbers: give one of them")
        if self.table is not None:
            object.__setattr__(self, "table", over_transfer_seeds(self.table))

    @property
    def kind(self) -> str:
        """Returns `TABLE` or `PUBLISHED`."""
        return PUBLISHED if self.table is None else TABLE

    def read(
        self, of_table: Callable[[pd.DataFrame], Read], of_published: Callable[[Path], Read] | None, missing: str = ""
    ) -> Read:
        """Returns what one of the functions makes of the evidence.

        Args:
          of_table: reads a table.
          of_published: reads a folder of published numbers; None where nothing that would do was published.
          missing: what was not published, for the message.

        Raises:
          Untestable: nothing that would do was published, or what the function raises.
        """
        if self.table is not None:
            return of_table(self.table)
        assert self.published is not None
        if of_published is None:
            raise Untestable(missing)
        return of_published(self.published)


@dataclass(frozen=True)
class Verdict:
    """What a test says.

    Attributes:
      verdict: one of `VERDICTS`.
      why: a sentence or two.
      effect: size of the effect in `unit`, positive in the direction of the claim unless `unit` says otherwise; NaN where there
        is none.
      low, high: ends of its interval of 95%; NaN where there is too little to say.
      unit: of the effect.
      runs: number of runs that it was measured on, or of published numbers.
    """

    verdict: str
    why: str
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    runs: int = 0


@dataclass(frozen=True)
class Finding:
    """A claim and its test.

    Attributes:
      name: what it is called in output.
      claim: one sentence.
      source: paper, section or figure.
      test: measures and judges; raises `Untestable`.
    """

    name: str
    claim: str
    source: str
    test: Callable[[Evidence], Verdict]

    def on(self, evidence: Evidence) -> Verdict:
        """Returns the verdict; evidence that does not do is one, too.

        What is wrong with the evidence as a whole should be found before: here every complaint reads as "not testable".
        """
        try:
            return self.test(evidence)
        except (Untestable, UserError) as why:
            return Verdict(NOT_TESTABLE, str(why))
