"""What a folder says of a sweep: the states of its runs, the story of one of them, and what may be tried again or cancelled."""

import subprocess
import sys
from dataclasses import replace

import pytest
from made import accept, commit, record

from bench.errors import UserError
from bench.records.record import Cost
from sweeps.job import Job
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.lock import Lock
from sweeps.named import find
from sweeps.story import Story, cancel, retry, status_lines

SWEEP = find("smoke")
FIRST, SECOND, THIRD, FOURTH = SWEEP.upstream_points


@pytest.fixture
def workdir(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.claim("smoke")
    return workdir


def launched(workdir, *configs, **report):
    job = Job(workdir, configs)
    job.write()
    launch = Launch.new(job)
    if report:
        launch.report({"step": 0, "steps": 0, "done": 0, "runs": len(configs), "run": "", **report})
    return launch


def states(workdir, points=SWEEP.upstream_points):
    story = Story(workdir.path)
    return [story.state(p) for p in points]


def test_every_state_is_found_in_the_folder(workdir):
    assert states(workdir) == ["waiting"] * 4
    launch = launched(workdir, FIRST, SECOND, THIRD, FOURTH, run=FOURTH.name)
    lock = Lock.take(launch.lock, "1 0")
    accept(workdir, FIRST)
    accept(workdir, SECOND, status="diverged")
    workdir.run(THIRD).claim(launch.attempt)
    workdir.run(THIRD).fail(launch.attempt, "ValueError: no", "Traceback\n  line\n")
    assert states(workdir) == ["done", "diverged", "waiting", "running"]
    workdir.run(THIRD).claim("x.0002")
    workdir.run(THIRD).fail("x.0002", "ValueError: no", "Traceback\n  line\n")
    assert states(workdir) == ["done", "diverged", "failed", "running"]
    lock.release()
    workdir.run(FOURTH).cancel()
    assert states(workdir) == ["done", "diverged", "failed", "cancelled"]


def test_a_run_has_failed_by_the_limit_that_its_sweep_was_run_with(workdir):
    workdir.run(FIRST).claim("x.0001")
    workdir.run(FIRST).fail("x.0001", "ValueError: no")
    assert Story(workdir.path).state(FIRST) == "waiting"
    workdir.remember({**workdir.about(), "failures": 1})
    assert Story(workdir.path).state(FIRST) == "failed"


def test_looking_at_a_sweep_needs_no_optuna():
    code = "import sys, sweeps.story; print(*({'optuna', 'sqlalchemy', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == ""


def test_the_story_of_a_run_has_its_launches_its_errors_and_what_was_accepted(workdir):
    first = launched(workdir, FIRST, SECOND, run=FIRST.name, step=25, steps=101)
    first.fence("no sign of life for 300 s")
    second = launched(workdir, FIRST, SECOND, run=FIRST.name, step=50, steps=101)
    second.finish("preempted")
    third = launched(workdir, FIRST, SECOND, run=FIRST.name, step=75, steps=101)
    launched(workdir, FIRST, SECOND)
    workdir.run(FIRST).claim(third.attempt)
    workdir.run(FIRST).fail(third.attempt, "ValueError: no", "Traceback\n  line\n")
    torn = Cost(train_seconds=2.0, steps=101, attempts=3, attempt=f"{third.job.id}.0004", skipped=("step 75: torn",))
    replace(record(FIRST), cost=torn).commit(workdir.run(FIRST).claim(torn.attempt))
    workdir.run(FIRST).accept(torn.attempt)
    lines = Story(workdir.path).why(FIRST.name)
    job = first.job.id
    at = f"of 101 of {FIRST.name}"
    assert lines[:5] == [
        f"{FIRST.name}: done",
        f"  launch {job}.0001: given up: no sign of life for 300 s, last seen at step 25 {at}",
        f"  launch {job}.0002: preempted, last seen at step 50 {at}",
        f"  launch {job}.0003: lost: killed before it could say why, last seen at step 75 {at}",
        f"  launch {job}.0004: lost: killed before it could say why",
    ]
    assert lines[5:8] == [f"  attempt {job}.0003 failed: ValueError: no", "    Traceback", "      line"]
    assert lines[8] == "  passed over checkpoint step 75: torn"
    assert lines[9].startswith(f"  accepted from attempt {job}.0004: validation accuracy 0.")
    assert lines[9].endswith(", 101 steps, 2 s of training in 3 attempts")


def test_a_waiting_run_says_what_it_waits_for(workdir):
    transfer = SWEEP.transfer_points[0]
    assert transfer.upstream == FIRST

    def why(config):
        return Story(workdir.path).why(config.name)[0].removeprefix(f"{config.name}: ")

    assert why(FIRST) == "waiting for a free place: no worker has had it yet"
    assert why(transfer) == f"waiting for its upstream run, which is waiting: {FIRST.name}"
    launch = launched(workdir, FIRST, SECOND, run=FIRST.name, done=0)
    lock = Lock.take(launch.lock, "1 0")
    assert why(SECOND) == "waiting for the runs before it in its job: 0 of 2 are done"
    assert why(FIRST) == "running"
    lock.release()
    assert why(SECOND) == "waiting to be launched again by `augreg run`"
    accept(workdir, FIRST)
    assert why(transfer) == "waiting for a free place: no worker has had it yet"


def test_failed_and_cancelled_runs_are_tried_again_when_somebody_says_so(workdir):
    for config in (FIRST, SECOND):
        workdir.run(config).claim("x.0001")
        workdir.run(config).fail("x.0001", "no data", final=True)
    cancel(workdir.path, (THIRD.name,))
    accept(workdir, FOURTH)
    assert states(workdir) == ["failed", "failed", "cancelled", "done"]
    assert retry(workdir.path, (SECOND.name,)) == [SECOND.name]
    assert states(workdir) == ["failed", "waiting", "cancelled", "done"]
    assert retry(workdir.path, ()) == [FIRST.name, THIRD.name]
    assert states(workdir) == ["waiting", "waiting", "waiting", "done"]
    with pytest.raises(UserError, match=rf"^{FOURTH.name} is done: only what failed or was cancelled can be tried again"):
        retry(workdir.path, (FOURTH.name,))
    with pytest.raises(UserError, match=rf"^{FOURTH.name} is done: there is nothing to cancel"):
        cancel(workdir.path, (FOURTH.name,))


def test_an_unknown_run_is_one_line_with_the_nearest_names(workdir):
    wrong = FIRST.name.replace("aug_none", "aug_nonne")
    with pytest.raises(UserError, match=rf"^sweep 'smoke' has no run '{wrong}'; did you mean {FIRST.name} or ") as caught:
        Story(workdir.path).why(wrong)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="has no run 'x'; `augreg plan smoke --names` lists them"):
        retry(workdir.path, ("x",))


def test_status_tells_who_leads_who_works_and_what_went_wrong(workdir):
    accept(workdir, FIRST, status="diverged")
    commit(workdir, SECOND)  # not accepted yet
    workdir.run(THIRD).claim("x.0001")
    workdir.run(THIRD).fail("x.0001", "no data", final=True)
    launch = launched(workdir, SECOND, FOURTH, run=FOURTH.name, step=3, steps=9, seconds={}, compiled=[])
    lock, lead = Lock.take(launch.lock, "1 0"), Lock.take(workdir.path / "coordinator.lock", "process 7 on here")
    launch.report(
        {**launch.progress(), "seconds": dict.fromkeys(("import", "compile", "upstream", "transfer"), 1.0), "kind": ""}
    )
    lines = status_lines(workdir.path)
    assert lines[:4] == [
        "smoke: 1/4 upstream, 0/8 transfer, 1 diverged, 1 failed done, 1 workers alive, led by process 7 on here",
        f"  launch {launch.attempt}: at work, last seen at step 3 of 9 of {FOURTH.name}",
        f"  diverged: {FIRST.name}",
        f"  failed: {THIRD.name}",
    ]
    lock.release()
    lead.release()
    assert ", 0 workers alive, no coordinator" in status_lines(workdir.path)[0]
