"""A search under kills: coordinator and workers die at random moments, the study is deleted, the same runs come out."""

import csv
import random
import time

import pytest
from test_sweeps_kill import assert_same_results, finish, start, stop_everything

KILLS = 6


def found(workdir):
    """Returns what a search found, whatever the order in which its runs were proposed."""
    with (workdir / "trials.csv").open() as file:
        return sorted((row["run"], row["status"], row["value"]) for row in csv.DictReader(file))


@pytest.mark.slow
def test_a_tuner_killed_again_and_again_proposes_the_same_runs(tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    text = finish("nfnet-scaling-tuned-mini", undisturbed, timeout=1200)
    chance = random.Random(0)
    for i in range(KILLS):
        process = start("nfnet-scaling-tuned-mini", disturbed, "--checkpoint-seconds", "0")
        time.sleep(chance.uniform(5, 40))
        stop_everything(process, disturbed)
        if i % 2:
            (disturbed / "study.db").unlink(missing_ok=True)
    again = finish("nfnet-scaling-tuned-mini", disturbed, timeout=1200)
    assert found(disturbed) == found(undisturbed)
    best = [line for line in text.splitlines() if line.startswith("best ")]
    assert len(best) == 4  # three budgets, and the best of all
    assert best == [line for line in again.splitlines() if line.startswith("best ")]
    assert_same_results(undisturbed, disturbed)
