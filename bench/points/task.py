"""What is known of every downstream task."""

from __future__ import annotations

from dataclasses import dataclass

from bench.points.files import Files

GROUPS = ("natural", "specialized", "structured")


@dataclass(frozen=True)
class Task:
    """Facts of a downstream task; `synthetic` marks rendered images; `files` says where images are that are not embedded."""

    name: str
    group: str
    classes: int
    train: int
    val: int
    test: int
    synthetic: bool = False
    files: Files | None = None
