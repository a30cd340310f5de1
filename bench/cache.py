"""Where what can be made or fetched again is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

# The environment variable that names another folder for all of it.
VARIABLE = "AUGREG_CACHE"


def folder(kind: str) -> Path:
    """Returns the folder of one kind of thing: in AUGREG_CACHE, else in `augreg-bench` in the user's cache, as XDG has it."""
    if own := os.environ.get(VARIABLE):
        return Path(own) / kind
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "augreg-bench" / kind
