"""MLflow. Where to, its own variables say: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from bench.records.metrics import Row
from bench.train.trackers import About

# The experiment where MLFLOW_EXPERIMENT_NAME names none.
EXPERIMENT = "augreg"
TAG = "augreg.digest"
_STATUS = {"ok": "FINISHED", "pruned": "FINISHED", "diverged": "FAILED", "stopped": "KILLED"}
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
        # Milliseconds of the run itself: MLflow's relative time, whatever pauses lie between attempts.
        metrics = [Metric(f"{r.split}/{r.metric}", r.value, round(r.seconds * 1000), r.step) for r in rows]
        self._client.log_batch(self._run, metrics)

    def close(self, status: str) -> None:
        """Ends the run there; one that is stopped goes on."""
        self._client.set_terminated(self._run, _STATUS[status])
