"""All claims on some evidence: the frame that the command prints and the page shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.errors import UserError, choose_from
from bench.findings import FINDINGS
from bench.findings.finding import Evidence
from bench.select.runs import transfer_runs, upstream_runs

COLUMNS: dict[str, str] = {
    "finding": "string",
    "claim": "string",
    "evidence": "string",
    "verdict": "string",
    "effect": "float64",
    "low": "float64",
    "high": "float64",
    "unit": "string",
    "runs": "Int64",
    "why": "string",
    "source": "string",
}


def verdicts(
    table: pd.DataFrame | None = None, published: Path | None = None, findings: Iterable[str] | None = None
) -> pd.DataFrame:
    """What the tests of claims say.

    Args:
      table: columns of `bench.records.schema`; None for no table. Transfers that differ in nothing but their seed count as one.
      published: the folder of published numbers; None for none. The two are never mixed: each has rows of its own.
      findings: names of `FINDINGS`; None for all.

    Returns:
      One row per finding and kind of evidence, the table's first; columns and dtypes of `COLUMNS`: `effect` in `unit` with the
      ends of its 95% interval, empty where there is none; `runs` that it was measured on, or published numbers.

    Raises:
      UserError: an unknown finding, neither table nor published numbers, or a table that is empty or contradicts itself.
    """
    wanted = list(FINDINGS) if findings is None else list(findings)
    for name in wanted:
        if name not in FINDINGS:
            raise UserError(f"no finding {name!r}; {choose_from(name, FINDINGS)}")
    if table is not None:
        # What is wrong with the table as a whole must not read as a verdict.
        upstream_runs(table)
        transfer_runs(table)
    if published is not None and not published.is_dir():
        raise UserError(f"{published}: no folder of published numbers; they are in the project's source, results/published")
    evidence = [Evidence(table=table)] if table is not None else []
    evidence += [Evidence(published=published)] if published is not None else []
    if not evidence:
        raise UserError("nothing to test findings on: give a table, published numbers, or both")
    rows = []
    for name in wanted:
        finding = FINDINGS[name]
        facts = {"finding": name, "claim": finding.claim, "source": finding.source}
        rows += [{**facts, "evidence": each.kind, **vars(finding.on(each))} for each in evidence]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
