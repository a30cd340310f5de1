"""Sweeps whose points depend on results, killed with SIGKILL again and again: the same runs, and the same is decided."""

import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from processes import ENVIRONMENT, kill, stop_everything, wait_for

from sweeps.layout import Workdir
from sweeps.story import Story

SCRIPT = str(Path(__file__).with_name("following.py"))


def lead(name, workdir):
    workdir.mkdir(exist_ok=True)
    (workdir / "quick.json").write_text('{"steps": 3, "seconds": 0.02, "commit": true}')
    log = (workdir.parent / f"{workdir.name}.log").open("ab")
    with log:
        return subprocess.Popen([sys.executable, SCRIPT, name, str(workdir)], stdout=log, stderr=log, env=ENVIRONMENT)


def accepted(workdir):
    return len(list(workdir.glob("runs/*/record.json")))


@pytest.mark.parametrize("name", [pytest.param("tune", marks=pytest.mark.slow), "live"])
def test_killed_at_random_moments_a_sweep_that_follows_its_results_ends_in_the_same(tmp_path, name):
    undisturbed, disturbed, chance = tmp_path / "undisturbed", tmp_path / "disturbed", random.Random(0)
    assert lead(name, undisturbed).wait(120) == 0
    for part in (0.2, 0.5, 0.8):
        process = lead(name, disturbed)
        enough = part * accepted(undisturbed)
        wait_for(partial(lambda least: accepted(disturbed) > least, enough), 60)
        time.sleep(chance.uniform(0, 0.3))
        if part == 0.5:  # the coordinator alone: its workers go on
            kill(process.pid)
            process.wait()
        else:
            stop_everything(process, disturbed)
    (disturbed / "study.db").unlink(missing_ok=True)
    process = lead(name, disturbed)
    assert process.wait(120) == 0, (tmp_path / "disturbed.log").read_text()
    stories = [Story(path) for path in (undisturbed, disturbed)]
    assert stories[0].points == stories[1].points
    assert stories[0].follow.lines() == stories[1].follow.lines()
    assert all(story.status().complete for story in stories)
    names = [{r.config.name for r in Workdir(path).records()} for path in (undisturbed, disturbed)]
    assert names[0] == names[1] == set(stories[0].points)
