"""Faults for real: workers and coordinators killed with SIGKILL, and the table still comes out the same, bit for bit."""

import os
import random
import signal
import time

import pytest
from processes import (
    assert_same_results,
    finish,
    kill,
    start,
    stop_everything,
    under_way,
    wait_for,
    workers,
)

from bench.records.table import read_table
from sweeps.layout import Workdir
from sweeps.timing import timing


def test_killed_again_and_again_the_sweep_ends_in_the_same_table(tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for name in ("bench", "sweeps", "vtab"):  # a user's folders of these names, where the command is given
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('not ours')")
    finish("smoke", undisturbed, timeout=300)
    counted = timing(Workdir(undisturbed))
    assert (counted.train_steps("upstream"), counted.train_steps("transfer")) == (1, 1)  # one architecture, four settings
    assert [phase for phase, seconds in counted.seconds.items() if seconds > 0] == ["import", "compile", "upstream", "transfer"]
    each_dispatch = ("--checkpoint-seconds", "0")

    # A worker dies in the middle of a run; the coordinator notices and starts another.
    process = start("smoke", disturbed, *each_dispatch)
    wait_for(lambda: under_way(disturbed), 120)
    [victim] = workers(disturbed)
    kill(victim)
    wait_for(lambda: workers(disturbed) not in ([], [victim]), 30)

    # Coordinator and worker die in the middle of a run: as if the machine had been switched off.
    wait_for(lambda: under_way(disturbed), 120)
    stop_everything(process, disturbed)
    assert not (disturbed / "table.csv").exists()

    # Only the coordinator dies: its worker goes on, and the next coordinator adopts it instead of starting a second one.
    process = start("smoke", disturbed, *each_dispatch)
    wait_for(lambda: workers(disturbed), 60)
    [survivor] = workers(disturbed)
    kill(process.pid)
    process.wait()
    os.kill(survivor, signal.SIGSTOP)  # else it may be done before two more coordinators have started
    assert workers(disturbed) == [survivor]
    process = start("smoke", disturbed, *each_dispatch)
    wait_for(lambda: f"process {process.pid} " in (disturbed / "coordinator.lock").read_text(), 60)
    assert workers(disturbed) == [survivor]

    # A second coordinator beside a live one is refused; Ctrl-C checkpoints the workers and leaves none behind.
    second = start("smoke", disturbed)
    assert second.wait(60) == 2
    os.kill(survivor, signal.SIGCONT)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert workers(disturbed) == []

    (disturbed / "study.db").unlink()  # a projection: it is built again
    finish("smoke", disturbed, *each_dispatch, timeout=300)
    assert_same_results(undisturbed, disturbed)
    records = list(Workdir(disturbed).records())
    assert len(records) == 12
    assert max(r.cost.attempts for r in records) > 1  # some run did go on from a checkpoint
    assert (disturbed / "study.db").exists()

    text = finish("smoke", disturbed, timeout=60)
    assert "nothing to do" in text.splitlines()[-1]


@pytest.mark.slow
def test_the_demo_killed_at_three_random_moments_ends_in_the_same_table(tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    finish("demo", undisturbed, timeout=1200)
    counted = timing(Workdir(undisturbed))
    assert (counted.train_steps("upstream"), counted.train_steps("transfer")) == (2, 2)  # two architectures, 32 settings
    assert read_table(undisturbed / "table.csv")["final_test"].max() > 0.9
    seconds = [random.uniform(20, 150) for _ in range(3)]
    print("killed after", seconds)
    for wait in seconds:
        process = start("demo", disturbed, "--checkpoint-seconds", "3")
        time.sleep(wait)
        stop_everything(process, disturbed)
    finish("demo", disturbed, timeout=1200)
    assert_same_results(undisturbed, disturbed)
