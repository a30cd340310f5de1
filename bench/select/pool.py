"""What a strategy may know before it asks for a fine-tune: checkpoints, runs that could be trained, scores, earlier tasks.

Nothing in a pool comes from a test set. Columns are a list of what is allowed, so that a column added to a table stays out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError

# Strings are Python's: the arrays that pandas keeps its own in are slow to take small parts of.
CHECKPOINTS = {"name": "object", "ds": "object", "final_val": "float64", "params": "float64", "flops": "float64"}
RUNS = {
    "filename": "object",
    "adapt_lr": "float64",
    "adapt_steps": "float64",
    "adapt_resolution": "float64",
    "flops": "float64",
}
HISTORY = {"filename": "object", "adapt_ds": "object", "adapt_group": "object", "score": "float64"}
NO_HISTORY = pd.DataFrame(columns=list(HISTORY)).astype(HISTORY)


@dataclass(frozen=True)
class Pool:
    """The checkpoints that compete for one task. Make it with `of`, which sorts, completes and checks.

    Attributes:
      checkpoints: index `filename`, sorted; columns of `CHECKPOINTS`: model, upstream set, upstream validation accuracy,
        parameters, FLOPs of an image's forward pass. Unknown cells are empty.
      runs: transfer runs that can be asked for; index `adapt_filename`, sorted by (`filename`, `adapt_filename`); columns of
        `RUNS`; `flops` are those of the whole training.
      scores: index as of `checkpoints`; one column a score, empty where a checkpoint has none.
      history: best downstream validation score of each checkpoint on other tasks; columns of `HISTORY`.
      task, group: of the task, the group empty where it is not known.
      seed: of strategies that draw.
    """

    checkpoints: pd.DataFrame
    runs: pd.DataFrame
    scores: pd.DataFrame
    history: pd.DataFrame
    task: str
    group: str = ""
    seed: int = 0

    @classmethod
    def of(
        cls,
        checkpoints: pd.DataFrame,
        runs: pd.DataFrame,
        scores: pd.DataFrame | None = None,
        history: pd.DataFrame | None = None,
        *,
        task: str,
        group: str = "",
        seed: int = 0,
    ) -> Pool:
        """Returns the pool of frames in any order, whose other columns are left out.

        Args:
          checkpoints: needs a column `filename`, and has those of `CHECKPOINTS` that are known.
          runs: needs columns `adapt_filename` and `filename`, and has those of `RUNS` that are known. Runs of other checkpoints
            are left out.
          scores: column `filename`, and one column a score; None for no scores.
          history: columns of `HISTORY`; None for no other tasks. Rows of other checkpoints are left out.
          task: as of the class.
          group: as of the class.
          seed: as of the class.

        Raises:
          UserError: a checkpoint or a run stands there twice.
        """
        known = _indexed(checkpoints, "filename", CHECKPOINTS).sort_index()
        could = _indexed(runs[[c for c in ("adapt_filename", *RUNS) if c in runs]], "adapt_filename", RUNS)
        could = could.rename_axis("adapt_filename").sort_values(["filename", "adapt_filename"])
        told = pd.DataFrame(index=known.index) if scores is None else _once(scores.set_index("filename")).reindex(known.index)
        past = NO_HISTORY if history is None else _typed(history, HISTORY)
        past = past[past["filename"].isin(known.index)].sort_values(["adapt_ds", "filename"], ignore_index=True)
        told = told[sorted(told.columns)].astype("float64")
        return cls(known, could[could["filename"].isin(known.index)], told, past, task, group, seed)

    def copy(self) -> Pool:
        """Returns a pool of the same content that shares no frame with this one."""
        return replace(
            self,
            checkpoints=self.checkpoints.copy(),
            runs=self.runs.copy(),
            scores=self.scores.copy(),
            history=self.history.copy(),
        )

    @cached_property
    def checkpoint_of(self) -> dict[str, str]:
        """Returns the checkpoint of every run, by the name of the run."""
        return dict(zip(self.runs.index.tolist(), self.runs["filename"].tolist(), strict=True))

    def runs_of(self, filenames: Sequence[str]) -> list[str]:
        """Returns all runs of the given checkpoints, in the order of `runs`."""
        return [str(run) for run in self.runs.index[self.runs["filename"].isin(filenames)]]


def _indexed(frame: pd.DataFrame, key: str, columns: dict[str, str]) -> pd.DataFrame:
    return _typed(_once(frame[[key, *(c for c in columns if c in frame)]].set_index(key)), columns)


def _typed(frame: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """The columns as named, empty where there is none; `astype` of a whole frame takes ten times as long where all fit."""
    known: dict[str, Any] = {c: frame[c] if c in frame else pd.Series(np.nan, index=frame.index) for c in columns}
    return pd.DataFrame({c: v if v.dtype == columns[c] else v.astype(columns[c]) for c, v in known.items()}, index=frame.index)


def _once(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index = frame.index.astype("object")
    twice = frame.index.duplicated()
    if twice.any():
        raise UserError(f"a pool has {frame.index[twice][0]!r} twice")
    return frame
