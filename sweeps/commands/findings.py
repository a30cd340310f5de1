"""The command `augreg findings`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("table", required=False, type=click.Path(path_type=Path))
@click.option("--published", is_flag=True, help="Test them on the papers' own numbers, in rows of their own.")
@click.option("--finding", "names", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@click.option(
    "--format", "form", type=click.Choice(["md", "csv", "json"]), default="md", show_default=True, help="Markdown, CSV or JSON."
)
def findings(table: Path | None, published: bool, names: tuple[str, ...], form: str) -> None:
    """Test the claims of the papers: verdict, size of the effect with its interval, number of runs."""
    from bench.findings.text import for_people, raw
    from bench.findings.verdicts import verdicts
    from bench.records.table import read_table
    from bench.report.text import markdown
    from bench.select.published import FOLDER

    rows = None if table is None else read_table(table)
    found = verdicts(rows, FOLDER if published else None, names or None)
    text = markdown(for_people(found), {"runs"}) if form == "md" else raw(found, form)
    click.echo(text, nl=False)
