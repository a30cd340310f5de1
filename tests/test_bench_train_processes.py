"""Two processes, as on two hosts, train what one trains: each is fed its part of every batch, without talking to the other."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from two_processes import CHUNK, ORDER, STEPS, trained

PROCESSES = 2


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def found():
    script, address = Path(__file__).with_name("two_processes.py"), f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, script, address, str(PROCESSES), str(i)], stdout=subprocess.PIPE, text=True, env=environment
        )
        for i in range(PROCESSES)
    ]
    outputs = [process.communicate(timeout=240)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.parametrize("how", ["resident", "read"])
def test_side_by_side_the_parts_are_the_batch(found, how):
    assert [one["devices"] for one in found] == [PROCESSES] * PROCESSES
    examples, right = zip(*(one[how] for one in found), strict=True)
    assert all(right)
    assert np.array_equal(np.concatenate(examples, axis=1), ORDER.chunk(0, STEPS).examples)


def test_what_is_learnt_is_what_one_process_learns(found, monkeypatch):
    tiny.register(monkeypatch)
    losses, right = trained(tiny.programs(chunk=CHUNK))
    for one in found:
        # Sums over processes round differently.
        assert one["losses"] == pytest.approx(losses, rel=1e-5)
        assert one["right"] == right
