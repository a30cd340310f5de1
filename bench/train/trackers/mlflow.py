"""MLflow. Where to, its own variables say: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from bench.records.metrics import Row
from bench.train.trackers import About

# The experiment where MLFLOW_EXPERIMENT_NAME names none.
EXPERIMENT = "augreg"
TAG = "augreg.digest"
_STATUS = {"ok": "FINISHED", "diverged": "FAILED", "stopped": "KILLED"}
# Characters of a parameter's value that every server takes.
_LONGEST = 500


class MLflow:
    """One run there for each run here, found again by its digest, whatever the number of attempts."""

    def __init__(self, about: About) -> None:
        self._client = client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = client.get_experiment_by_name(name)
        folder = experiment.experiment_id if experiment else client.create_experiment(name)
        if found := client.search_runs([folder], f"tags.`{TAG}` = '{about.digest}'", max_results=1):
            self._run = found[0].info.run_id
            client.update_run(self._run, status="RUNNING")
        else:
            self._run = client.create_run(folder, run_name=about.name, tags={TAG: about.digest}).info.run_id
            client.log_batch(self._run, params=[Param(key, str(value)[:_LONGEST]) for key, value in about.config.items()])

    def log(self, rows: Sequence[Row]) -> None:
        """Logs rows."""
        # A label for people; nothing here depends on the clock.
        now = time.time_ns() // 1_000_000
        self._client.log_batch(self._run, [Metric(f"{r.split}/{r.metric}", r.value, now, r.step) for r in rows])

    def close(self, status: str) -> None:
        """Ends the run there; one that is stopped goes on."""
        self._client.set_terminated(self._run, _STATUS[status])
