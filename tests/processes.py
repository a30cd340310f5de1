"""Real sweeps in processes of their own, to be killed, stopped and compared."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from bench.records.schema import VOLATILE
from bench.records.table import read_table
from sweeps.lock import Lock

# What a user has: neither the strictness nor the quick compilation of the tests.
ENVIRONMENT = {
    k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_NUMPY_DTYPE_PROMOTION", "JAX_NUMPY_RANK_PROMOTION")
}


def start(sweep, workdir, *options):
    """Starts `augreg run` in a session of its own."""
    log = (workdir.parent / f"{workdir.name}.log").open("ab")
    with log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "sweeps.cli", "run", sweep, "--workdir", str(workdir), *options],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=workdir.parent,
            env=ENVIRONMENT,
            start_new_session=True,
        )


def finish(sweep, workdir, *options, timeout):
    """Runs `augreg run` to its end and returns what it printed since the log began."""
    process = start(sweep, workdir, *options)
    code = process.wait(timeout)
    text = (workdir.parent / f"{workdir.name}.log").read_text()
    assert code == 0, text
    return text


def workers(workdir):
    """Returns the process numbers of the live workers."""
    return [int(p.read_text().split()[0]) for p in workdir.glob("jobs/*/*/lock") if Lock.held(p) and p.read_text()]


def kill(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def stop_everything(process, workdir):
    kill(process.pid)
    process.wait()
    for pid in workers(workdir):
        kill(pid)
    wait_for(lambda: not workers(workdir), 10)


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def under_way(workdir):
    """Returns whether some unfinished run has a checkpoint."""
    manifests = workdir.glob("runs/*/attempts/*/checkpoints/*/manifest.json")
    return any(not (p.parents[4] / "record.json").exists() for p in manifests)


def assert_same_results(one, other):
    a, b = (read_table(Path(w) / "table.csv").drop(columns=list(VOLATILE)) for w in (one, other))
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert a["final_val"].notna().all()
    weights = sorted(p.relative_to(one).parts[1] for p in Path(one).glob("runs/*/attempts/*/weights.npz"))
    assert weights
    for name in weights:
        files = [sorted(Path(w).glob(f"runs/{name}/attempts/*/weights.npz"))[-1] for w in (one, other)]
        with np.load(files[0]) as x, np.load(files[1]) as y:
            assert x.files == y.files
            for key in x.files:
                np.testing.assert_array_equal(x[key], y[key])


def attempts(workdir):
    """Returns the number of attempts at every run."""
    return {p.name: len(list(p.glob("attempts/*"))) for p in workdir.glob("runs/*")}
