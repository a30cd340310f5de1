"""Waste and predictions, from reports and records made by hand."""

from dataclasses import replace

import pytest
from made import record

from bench.cost.devices import DEVICES
from bench.records.atomic import write_json
from bench.records.record import Cost
from sweeps.accounting import Report, accuracy, lines, reports, waste
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.named import find
from sweeps.predict import Predictor

A, B = find("smoke").upstream_points[:2]


def report(attempt, run, step, resumed, train, ended=True, setup=(2.0, 3.0)):
    seconds = {"import": setup[0], "compile": setup[1], "upstream": train, "probe": 0.0, "transfer": 0.0}
    return Report(attempt, "upstream", run, step, resumed, seconds, ended)


def done(config, attempt, seconds=50.0, steps=100, **changes):
    return replace(record(config, **changes), cost=Cost(train_seconds=seconds, eval_seconds=5.0, steps=steps, attempt=attempt))


# One launch finished A and was killed at step 60 of B, whose newest checkpoint was of step 40; the next one did the rest.
KILLED = report("j.0001", B.name, 60, 0, 90.0)
REST = report("j.0002", B.name, 100, 40, 35.0)
RECORDS = [done(A, "j.0001"), done(B, "j.0002")]


def test_steps_after_the_last_checkpoint_are_trained_again():
    found = waste([KILLED, REST], RECORDS)
    assert found.repeated_steps == 20
    # B's steps took half a second each.
    assert found.repeated == 10.0
    assert (found.imported, found.compiled) == (4.0, 6.0)
    assert found.useful == 90.0 + 35.0 - 10.0
    assert found.total == sum(r.total for r in (KILLED, REST))
    # Both launches left an accepted record.
    assert (found.launches, found.preemptions, found.preempted) == (2, 0, 0.0)


def test_launches_without_an_accepted_record_were_preempted():
    lost = report("j.0001", A.name, 30, 0, 20.0)
    again = report("j.0002", A.name, 100, 30, 40.0)
    found = waste([lost, again], [done(A, "j.0002")])
    assert (found.preemptions, found.preempted) == (1, 25.0)
    assert found.repeated_steps == 0  # a signal in time: it wrote a checkpoint where it stopped
    alive = report("j.0003", B.name, 5, 0, 3.0, ended=False)
    assert waste([lost, again, alive], [done(A, "j.0002")]).preemptions == 1


def test_a_launch_that_died_before_its_first_step_repeats_nothing():
    early = report("early.0001", B.name, 0, 0, 0.5)
    found = waste([KILLED, early, REST], RECORDS)
    assert found.repeated_steps == 20
    assert found.preemptions == 1


def test_a_run_without_a_record_costs_what_its_launch_said():
    # 60 steps in 90 s.
    found = waste([KILLED, replace(REST, ended=False)], RECORDS[:1])
    assert found.repeated == pytest.approx(20 * 1.5)


def test_idle_is_what_slots_could_have_done():
    found = waste([KILLED, REST], RECORDS)
    assert found.idle(2, 100.0) == 2 * 100.0 - 135.0
    assert found.idle(2, 100.0, before=95.0) == 2 * 100.0 - 40.0
    assert found.idle(1, 10.0) == 0.0


def test_the_waste_is_told_in_one_line():
    assert waste([], []).lines() == []
    [line] = waste([KILLED, REST, report("k.0001", A.name, 3, 0, 5.0)], RECORDS).lines()
    assert line == (
        "waste: import 6 s (4%), compile 9 s (6%), repeated 10 s (7%); 20 steps trained again; 1 launches (10 s) left no result"
    )


def test_predictions_are_compared_run_by_run():
    predicted = Predictor(DEVICES["cpu-core"], 0).seconds(A).middle
    records = [done(c, "x", seconds=predicted * factor - 5.0) for c, factor in ((A, 1.25), (B, 2.5))]
    [found] = accuracy(records)
    assert (found.model, found.kind, found.device, found.runs) == ("ViT-mu", "upstream", "cpu-core", 2)
    assert found.predicted == pytest.approx(2 * predicted)
    assert found.actual == pytest.approx(3.75 * predicted)
    assert found.error == pytest.approx((0.2 + 0.6) / 2)
    # The closed form says: within a factor of 2.
    assert found.within == 0.5


def test_diverged_runs_and_unknown_devices_are_no_measure():
    assert accuracy([done(A, "x", status="diverged"), replace(done(B, "x"), device="Radeon")]) == []


def test_reports_are_read_from_the_folder_of_a_sweep(tmp_path):
    workdir = Workdir(tmp_path)
    for number, seen in ((1, KILLED), (2, REST)):
        folder = workdir.jobs / "j" / f"{number:04d}"
        value = {"kind": "upstream", "run": seen.run, "step": seen.step, "resumed": seen.resumed, "seconds": dict(seen.seconds)}
        write_json(folder / "progress.json", value)
    held = Lock.take(workdir.jobs / "j" / "0002" / "lock", "")
    found = reports(workdir)
    assert found == [KILLED, replace(REST, ended=False)]
    held.release()
    assert reports(workdir) == [KILLED, REST]
    for each in RECORDS:
        each.commit(workdir.run(each.config).folder)
    said = lines(workdir)
    assert said[0].startswith("ViT-mu upstream: predicted")
    assert said[-1].startswith("waste: import 4 s")
