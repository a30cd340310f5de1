"""TensorBoard: event files in the attempt's folder, written by tensorboardX; `tensorboard --logdir WORKDIR/runs` shows them."""

from __future__ import annotations

from collections.abc import Sequence

from tensorboardX import SummaryWriter

from bench.records.metrics import Row
from bench.train.trackers import About

FOLDER = "tensorboard"


class TensorBoard:
    """Writes scalars `SPLIT/METRIC`; steps beyond the one it goes on from, should any be there, are marked as superseded."""

    def __init__(self, about: About) -> None:
        self._writer = SummaryWriter(str(about.attempt / FOLDER), purge_step=about.step + 1 if about.step else None)
        self._writer.add_text("run", about.name, about.step)

    def log(self, rows: Sequence[Row]) -> None:
        """Writes rows."""
        for row in rows:
            self._writer.add_scalar(f"{row.split}/{row.metric}", row.value, row.step)

    def close(self, status: str) -> None:  # noqa: ARG002 - events have no end
        """Writes what is left."""
        self._writer.close()
