"""What all figures share: text that is never read as markup, and files that are the same bytes every time."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.errors import UserError, choose_from
from bench.records.atomic import export

_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def plain(text: str) -> str:
    """`text` with dollar signs escaped, so that matplotlib does not read a name as a formula."""
    return text.replace("$", r"\$")


def points(fraction: float, decimals: int = 1) -> str:
    """A difference of two accuracies in points, signed; no sign where it rounds to zero."""
    text = f"{100 * fraction:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text


def rendered(fig: Figure, kind: str) -> bytes:
    """The figure as a `png`, `svg` or `pdf` file, without the date and the version of the library that wrote it.

    Raises:
      UserError: another kind of file.
    """
    if kind not in _METADATA:
        raise UserError(f"cannot draw into a file of kind {kind!r}; {choose_from(kind, _METADATA)}")
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "augreg-bench"}):
        fig.savefig(buffer, format=kind, dpi=150, metadata=_METADATA[kind])
    return buffer.getvalue()


def save(fig: Figure, path: Path | str) -> None:
    """Writes the figure into `path`, of the kind that its suffix says: .png, .svg or .pdf.

    Raises:
      UserError: another suffix, or the file cannot be written.
    """
    path = Path(path)
    export(path, rendered(fig, path.suffix.removeprefix(".").lower()))
