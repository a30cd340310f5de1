"""A member of a launch whose worker trains nothing: it counts steps, checkpoints after each, and otherwise does as workers do.

`python quick_member.py LAUNCH_FOLDER ...`, as `python -m sweeps.member`. The folder of the job, or of the sweep, says how long
(`quick.json`); the job's keeps the checkpoint.
"""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sweeps import member
from sweeps.launch import DONE, PREEMPTED, Launch


def checkpoint(folder):
    """Returns the steps that the job in a folder has done."""
    path = folder / "checkpoint"
    return int(path.read_text()) if path.exists() else 0


def work(given, _):
    """Counts; only the first process of a launch writes."""
    launch, stopped = Launch.read(given.folder), []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    plans = (given.folder.parent / "quick.json", launch.job.workdir.path / "quick.json")
    plan = json.loads(next(path for path in plans if path.exists()).read_text())
    print("member", given.process, "of", given.of, "on", sorted(os.sched_getaffinity(0)), flush=True)
    step, beat = checkpoint(given.folder.parent), 0
    while step < plan["steps"] and not stopped:
        time.sleep(plan["seconds"])
        step, beat = step + 1, beat + 1
        if given.process == 0:
            written = given.folder.parent / "checkpoint.new"
            written.write_text(str(step))
            written.replace(given.folder.parent / "checkpoint")
            report = {"beat": beat, "step": step, "steps": plan["steps"], "done": 0, "compiled": [], "pid": os.getpid()}
            launch.report(report)
    if given.process == 0:
        if not stopped and plan.get("commit"):
            from made import record

            for config in launch.job.configs:
                made, attempt = record(config), launch.job.workdir.run(config).claim(launch.attempt)
                replace(made, cost=replace(made.cost, attempt=launch.attempt)).commit(attempt)
        launch.finish(PREEMPTED if stopped else DONE)
    return 0


if __name__ == "__main__":
    sys.exit(member.main(sys.argv[1:], work))
