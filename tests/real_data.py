"""Real images for tests, where they are at hand; they are never part of the project."""

import os
from pathlib import Path

import pytest


def real_data(name):
    """Returns the `.npz` of a small labelled set of real images; skips the test where it is not at hand."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("AUGREG_TEST_DATA") or beside) / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"real images are not here: {path} (AUGREG_TEST_DATA names their folder)")
    return path
