"""Weights & Biases. Where to, and whether online, say its own variables: WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE."""

from __future__ import annotations

from collections.abc import Sequence

import wandb

from bench.records.metrics import Row
from bench.train.trackers import About


class WandB:
    """One run there for each run here, whatever the number of attempts.

    Steps are a metric of their own: W&B's counter only goes up, and an attempt may begin before the step that the last one had
    got to. What is logged twice then is equal.
    """

    def __init__(self, about: About) -> None:
        self._run = wandb.init(
            id=about.digest, name=about.name, config=dict(about.config), dir=str(about.attempt), resume="allow"
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, rows: Sequence[Row]) -> None:
        """Logs the rows of one step."""
        self._run.log({"step": rows[0].step, "epoch": rows[0].epoch, **{f"{r.split}/{r.metric}": r.value for r in rows}})

    def close(self, status: str) -> None:
        """Ends the run there; one that is stopped goes on under the same id."""
        self._run.finish(exit_code=0 if status in ("ok", "pruned") else 1)
