"""`augreg transfer`: what is put together from checkpoints, tasks and a protocol, and what is left for people."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import weightless
from made import accept, record
from made_sets import jpeg

from bench import weights
from bench.data.disk import roots
from bench.errors import UserError
from bench.points import TASKS, Checkpoint, Upstream
from bench.points.files import DATA
from bench.points.task import Task
from bench.records.record import Measurement
from bench.records.table import read_table
from sweeps import outcome, transfer, upstream_scores
from sweeps.commands import running
from sweeps.follow import Retrain, Scores
from sweeps.given import Given
from sweeps.growth import claim, sweep_of
from sweeps.layout import Workdir
from sweeps.live import Live
from vtab.protocols import PROTOCOLS

MINE = Checkpoint("ViT-mu", "mine", "0" * 16)
YOURS = Checkpoint("NFNet-mu", "yours", "1" * 16)
RUN = Upstream("ViT-mu", "mnist5k", 1.0, 0.1, "none", 0.0, 0.0, 0.0)
TRAINED = Checkpoint("ViT-mu", RUN.name, "2" * 16)
BIRDS = Task("birds", "own", 3, 20, 10, 10, version=5)
OWN = PROTOCOLS["own"]
FEW = transfer.Wanted((0.1, 0.3), (10,), (28,), 8)


# What is run


def test_every_setting_of_a_protocol_on_every_task_and_a_probe_of_every_pair():
    tasks = transfer.tasks_of(["digits"], BIRDS, OWN)
    assert tasks == {"digits": None, "birds": BIRDS}
    sweep = transfer.put_together((MINE, YOURS), tasks, OWN)
    assert (sweep.name, sweep.given, sweep.follow, sweep.size) == ("transfer", (MINE, YOURS), None, (0, 2 * 2 * 8))
    assert {(t.task, t.own, t.facts) for t in sweep.transfer_points} == {
        ("digits", None, TASKS["digits"]),
        ("birds", BIRDS, BIRDS),
    }
    assert {(t.lr, t.steps, t.resolution, t.batch_size, t.fit) for t in sweep.transfer_points} == {
        (lr, steps, 224, 512, "train") for lr in (0.001, 0.003, 0.01, 0.03) for steps in (500, 2_500)
    }
    assert {(p.upstream, p.task, p.resolution) for p in sweep.probe_points} == {
        (c, task, 224) for c in (MINE, YOURS) for task in tasks
    }


def test_settings_of_ones_own_take_the_place_of_the_protocols():
    sweep = transfer.put_together((MINE,), {"birds": BIRDS}, OWN, transfer.Wanted((0.1, 0.1), (10,), (28, 42), 8))
    assert sorted((t.lr, t.steps, t.resolution, t.batch_size) for t in sweep.transfer_points) == [
        (0.1, 10, 28, 8),
        (0.1, 10, 42, 8),
    ]


def test_ones_own_images_are_seen_at_the_pixels_of_the_upstream_runs_where_these_agree():
    def pixels(*given, protocol=OWN):
        return {t.resolution for t in transfer.put_together(given, {"digits": None}, protocol).transfer_points}

    assert pixels(TRAINED) == {28}
    assert pixels(TRAINED, MINE) == {224}
    assert pixels(TRAINED, protocol=PROTOCOLS["vtab-full"]) == {224}


def test_a_protocol_has_its_tasks_their_settings_and_what_follows():
    names = transfer.tasks_of((), None, PROTOCOLS["augreg-five"])
    sweep = transfer.put_together((MINE,), names, PROTOCOLS["augreg-five"])
    assert sweep.size == (0, 68)
    assert {t.steps for t in sweep.transfer_points if t.task == "imagenet2012"} == {20_000}
    tuned = transfer.put_together((MINE,), {"vtab1k_svhn": None}, PROTOCOLS["vtab-1k"])
    assert isinstance(tuned.follow, Retrain)
    assert {t.fit for t in tuned.transfer_points} == {"tune"}
    probed = transfer.put_together((MINE,), {"digits": None}, PROTOCOLS["linear-probe"])
    assert isinstance(probed.follow, Scores)
    assert [p.task for p in probed.planned] == ["digits"]
    assert isinstance(
        transfer.put_together((MINE,), {"digits": None}, PROTOCOLS["knn"], FEW).follow, type(None)
    )  # settings make it one that fine-tunes


def test_the_rule_says_what_is_trained():
    assert transfer.rule("", None, False, {}) is None
    assert transfer.rule("", None, True, {}) == Scores()
    assert transfer.rule("halving", 3, False, {"a": 0.5}) == Live("halving", 3, {"a": 0.5})


@pytest.mark.parametrize("follow", [None, Live("size")])
def test_a_folder_gives_back_the_sweep_that_it_was_made_for(follow, tmp_path):
    """Nobody but the folder knows it: there is no module of that name."""
    sweep = transfer.put_together((MINE, TRAINED), transfer.tasks_of(["digits"], BIRDS, OWN), OWN, FEW, follow)
    claim(Workdir(tmp_path), sweep)
    again = sweep_of(Workdir(tmp_path))
    assert {p.digest for p in again.points} == {p.digest for p in sweep.points}
    assert again.follow == sweep.follow


def test_more_checkpoints_are_more_of_the_same_study(tmp_path):
    tasks = {"birds": BIRDS}
    claim(Workdir(tmp_path), transfer.put_together((MINE,), tasks, OWN, FEW))
    grown = claim(Workdir(tmp_path), transfer.put_together((MINE, YOURS), tasks, OWN, FEW))
    assert (grown.study, grown.said.split(":")[0]) == ("transfer", "transfer has grown")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: transfer.protocol("vtab1k"), "unknown protocol 'vtab1k': did you mean 'vtab-1k'"),
        (lambda: transfer.tasks_of(["digit"], None, OWN), "unknown task 'digit': did you mean 'digits'.*given with --data"),
        (lambda: transfer.tasks_of((), None, OWN), "protocol 'own' has no tasks of its own; give --data FOLDER"),
        (lambda: transfer.rule("halvin", None, False, {}), "no strategy 'halvin'; did you mean 'halving'"),
        (
            lambda: transfer.put_together((MINE,), {"digits": None}, PROTOCOLS["knn"], transfer.Wanted((0.1,))),
            "protocol 'knn' fine-tunes nothing: give both --lr and --steps, or another --protocol",
        ),
        (
            lambda: transfer.put_together((MINE,), {"digits": None}, PROTOCOLS["knn"], follow=Live("size")),
            "fine-tunes nothing",
        ),
    ],
)
def test_what_is_unknown_or_leads_nowhere_is_said(call, match):
    with pytest.raises(UserError, match=match):
        call()


def test_the_users_folder_is_looked_in_before_all_others_and_only_once(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA, f"/a{os.pathsep}gs://bucket/b")
    for _ in range(2):
        transfer.look_first_in(tmp_path)
        assert roots() == [str(tmp_path), "/a", "gs://bucket/b"]


# What is known of checkpoints


def test_upstream_scores_are_read_by_name_or_label_and_other_rows_are_passed_over(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(f"model,filename,final_val\nx,mine,0.5\nx,stranger,0.9\nx,{RUN.name},0.25\nx,{RUN.name},0.25\nx,yours,\n")
    assert upstream_scores.read(path, (MINE, YOURS, TRAINED)) == {MINE.name: 0.5, RUN.name: 0.25}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "no such file of upstream scores"),
        ("", "not readable as CSV"),
        ("filename,val\nmine,0.5\n", "has no column 'final_val'"),
        ("filename,final_val\nmine,50\n", "row 1: final_val is '50', but must be a fraction from 0 to 1"),
        ("filename,final_val\nmine,good\n", "final_val is 'good'"),
        ("filename,final_val\nmine,nan\n", "has the final_val of none of the 2 checkpoints"),
        ("filename,final_val\nmin,0.5\n", "has the final_val of none of the 2 checkpoints; did you mean 'mine'"),
        ("filename,final_val\nmine,0.5\nmine,0.6\n", "row 2: mine has final_val 0.6 and, before, 0.5"),
    ],
)
def test_upstream_scores_that_say_nothing_or_nonsense(tmp_path, text, match):
    path = tmp_path / "scores.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=match):
        upstream_scores.read(path, (MINE, YOURS))


def test_what_is_known_is_remembered_and_what_was_given_counts_more(tmp_path):
    workdir = Workdir(tmp_path)
    assert upstream_scores.about(workdir) == {}
    upstream_scores.note(workdir, (Given(MINE, "/a.npz"), Given(TRAINED, "/run", 0.25)), {})
    assert upstream_scores.accuracies(workdir, (MINE, TRAINED)) == {RUN.name: 0.25}
    upstream_scores.note(workdir, (Given(MINE, "/a.npz"), Given(TRAINED, "/run", 0.25)), {MINE.name: 0.5, RUN.name: 0.75})
    assert upstream_scores.accuracies(workdir, (MINE, TRAINED)) == {MINE.name: 0.5, RUN.name: 0.75}
    upstream_scores.note(workdir, (Given(MINE, "/b.npz"),), {})
    assert upstream_scores.about(workdir)[MINE.name] == {"source": "/b.npz", "final_val": 0.5}
    assert upstream_scores.accuracies(workdir, (TRAINED,)) == {RUN.name: 0.75}


# What is left for people


def finished(path, follow=None, protocol=OWN):
    """Returns a sweep of two checkpoints and its folder, in which all that is asked for has a record."""
    workdir = Workdir(path)
    sweep = transfer.put_together(
        (MINE, TRAINED), {"birds": BIRDS}, protocol, FEW if protocol is OWN else transfer.Wanted(), follow
    )
    claim(workdir, sweep)
    upstream_scores.note(workdir, (Given(MINE, "/a.npz"), Given(TRAINED, "/run", 0.25)), {})
    for number, config in enumerate(sweep.probe_points):
        values = {("train", "logme"): 1.0 + number, ("val", "linear_probe"): 0.5 + number / 10, ("test", "linear_probe"): 0.123}
        measured = tuple(Measurement(split, score, 10, value, 0) for (split, score), value in values.items())
        run = workdir.run(config)
        made = record(config)
        object.__setattr__(made, "measurements", measured)
        made.commit(run.claim("made.0001"))
        run.accept("made.0001")
    return sweep, workdir


def test_a_recommendation_strategies_and_known_upstream_scores(tmp_path):
    sweep, workdir = finished(tmp_path)
    for number, config in enumerate(sorted(sweep.transfer_points, key=lambda c: c.name)):
        accept(workdir, config, value=0.2 + number / 10)
    lines = list(outcome.write(sweep, workdir, OWN))
    best = max(sweep.transfer_points, key=lambda c: c.name)
    assert lines[2].startswith(f"Take {best.upstream.name} with lr {best.lr:g}, 10 steps, 28 px: 50.0% on validation, 25.0%")
    assert (tmp_path / "recommended.md").read_text().splitlines() == lines
    assert str(workdir.given(best.upstream)) in (tmp_path / "recommended.md").read_text()
    compared = pd.read_csv(tmp_path / "selection.csv")
    assert {"upstream_best", "adapt_all", "linear_probe", "logme"} <= set(compared["strategy"])
    assert set(compared["name"]) == {"any model"}
    assert (tmp_path / "selection.png").stat().st_size > 1000


def test_only_what_is_asked_for_now_is_ranked(tmp_path):
    sweep, workdir = finished(tmp_path)
    for config in sweep.transfer_points:
        accept(workdir, config)
    tuned = transfer.put_together((MINE,), {"birds": BIRDS}, PROTOCOLS["vtab-1k"], FEW)
    for config in tuned.transfer_points:
        accept(workdir, config)
    lines = list(outcome.write(sweep, workdir, OWN))  # the two protocols do not compare
    assert sum(line.startswith("| ViT_mu") for line in lines) == 2
    few = transfer.put_together((MINE,), {"birds": BIRDS}, OWN, FEW)
    [row] = [line for line in outcome.write(few, workdir, OWN) if line.startswith("| ViT_mu")]
    assert MINE.name in row


def test_where_a_strategy_was_at_work_its_choice_is_recommended_and_nothing_compared(tmp_path):
    sweep, workdir = finished(tmp_path, Live("upstream_best", None, {RUN.name: 0.25}))
    runs = sorted((t for t in sweep.transfer_points if t.upstream == TRAINED), key=lambda c: c.name)
    for number, config in enumerate(runs):
        accept(workdir, config, value=0.3 - number / 10)
    lines = list(outcome.write(sweep, workdir, OWN))
    assert lines[2].startswith(f"Take {RUN.name} with lr {runs[0].lr:g}")
    assert lines[2].endswith("No other checkpoint was adapted.")
    assert not (tmp_path / "selection.csv").exists()


def test_scores_alone_are_a_table_without_test_and_only_those_of_the_protocol(tmp_path):
    sweep, workdir = finished(tmp_path, Scores())
    text = "\n".join(outcome.write(sweep, workdir, OWN))
    assert text.startswith("birds, 28 px (accuracies are on validation):\n")
    assert "0.123" not in text
    rows = [line.split() for line in text.splitlines()[1:] if line]
    second = max(sweep.probe_points, key=lambda p: list(sweep.probe_points).index(p)).upstream.name
    assert rows[0] == ["linear_probe", "logme"]
    assert rows[1] == [second, "0.6", "2"]
    assert not (tmp_path / "recommended.md").exists()
    only = "\n".join(outcome.write(sweep, workdir, PROTOCOLS["linear-probe"]))
    assert "logme" not in only


# The command


def pictures(place, count=6):
    for number, kind in enumerate(("lynx", "heron", "otter")):
        (place / kind).mkdir(parents=True)
        for i in range(count):
            (place / kind / f"{i}.jpg").write_bytes(jpeg(1000 * number + i))
    return place


@pytest.fixture
def checkpoint(tmp_path):
    weights.write(tmp_path / "net.npz", weightless.flat("ViT-mu"))
    return tmp_path / "net.npz"


def test_the_command_puts_everything_together(augreg, tmp_path, checkpoint, monkeypatch):
    ran = []
    monkeypatch.setenv(DATA, "/elsewhere")
    monkeypatch.setattr(running, "run_with", lambda *given: ran.append(given))
    monkeypatch.setattr(outcome, "write", lambda *_: ["what to take"])
    (tmp_path / "val.csv").write_text("filename,final_val\nnet,0.5\n")
    work = tmp_path / "work"
    code, out, err = augreg(
        *("transfer", checkpoint, "--data", pictures(tmp_path / "my pets"), "--task", "digits", "--workdir", work),
        *("--lr", "0.1", "--steps", "10", "--resolution", "28", "--batch-size", "8", "--workers", "1"),
        *("--upstream-scores", tmp_path / "val.csv", "--strategy", "hybrid", "--budget", "1"),
    )
    assert (code, out) == (0, "what to take\n"), err
    assert "my_pets: 3 classes, train 12, val 3, test 3 images (val and test cut off by content, stratified)" in err
    [(sweep, path, chosen)] = ran
    assert (path, chosen["workers"], chosen["executor"]) == (work, 1, "local")
    [given] = sweep.given
    assert (given.model, given.label) == ("ViT-mu", "net")
    assert Workdir(work).weights(given).exists()
    assert sweep.follow == Live("hybrid", 1, {given.name: 0.5})
    assert {(t.task, t.lr, t.steps, t.batch_size) for t in sweep.transfer_points} == {
        ("digits", 0.1, 10, 8),
        ("my_pets", 0.1, 10, 8),
    }
    assert roots() == [str(work / "data"), "/elsewhere"]
    assert json.loads((work / "checkpoints" / "about.json").read_text())[given.name]["source"] == str(checkpoint)


@pytest.mark.parametrize("records", [True, False])
def test_what_did_not_fail_is_reported_before_the_error(augreg, tmp_path, checkpoint, monkeypatch, records):
    def fails(sweep, path, _):
        if records:
            accept(Workdir(path), sweep.transfer_points[0])
        raise UserError("one failed")

    monkeypatch.setattr(running, "run_with", fails)
    monkeypatch.setattr(outcome, "write", lambda *_: ["what to take"])
    called = augreg("transfer", checkpoint, "--task", "digits", "--workdir", tmp_path / "work")
    assert called == (2, "what to take\n" if records else "", "augreg: one failed\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "x", "--task", "digits"], "--name says what the images of --data are called: give both"),
        (["--budget", "2", "--task", "digits"], "--budget says how many checkpoints a --strategy may adapt: give both"),
        (["--strategy", "size", "--scores-only", "--task", "digits"], "--strategy and --scores-only exclude each other"),
        (["--task", "digit"], "unknown task 'digit': did you mean 'digits'"),
        (["--protocol", "mine", "--task", "digits"], "unknown protocol 'mine'"),
        ([], "nothing to transfer to"),
        (["--task", "digits", "--model", "ViT-nu"], "unknown model 'ViT-nu'"),
        (["--data", "nowhere"], "nowhere: no such folder or file"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_run(augreg, tmp_path, checkpoint, monkeypatch, arguments, said):
    monkeypatch.setattr(running, "run_with", None)
    monkeypatch.chdir(tmp_path)
    code, out, err = augreg("transfer", checkpoint, *arguments, "--workdir", tmp_path / "work")
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("augreg: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "work" / "sweep.json").exists()


def test_the_folder_of_another_sweep_is_left_as_it_is(augreg, tmp_path, checkpoint):
    work = tmp_path / "work"
    Workdir(work).claim("smoke")
    code, out, err = augreg("transfer", checkpoint, "--data", pictures(tmp_path / "pets"), "--workdir", work)
    assert (code, out) == (2, "")
    assert err == f"augreg: {work} holds the sweep 'smoke', not 'transfer': choose another --workdir\n"
    assert [path.name for path in work.iterdir()] == ["sweep.json"]


def test_from_files_and_photographs_to_a_recommendation_and_again(augreg, tmp_path, monkeypatch):
    """The whole way, with workers that train: two checkpoints, of which a strategy adapts the one that its score prefers."""
    monkeypatch.setenv(DATA, str(tmp_path / "none"))
    names = []
    for number, label in enumerate(("first", "second")):
        weights.write(tmp_path / f"{label}.npz", {k: v * 0.1 for k, v in weightless.flat("ViT-mu", seed=number).items()})
        names.append(tmp_path / f"{label}.npz")
    (tmp_path / "val.csv").write_text("filename,final_val\nfirst,0.25\nsecond,0.75\n")
    work = tmp_path / "work"
    arguments = (
        *("transfer", *names, "--data", pictures(tmp_path / "pets"), "--workdir", work, "--workers", "1"),
        *("--lr", "0.1", "--steps", "3", "--resolution", "28", "--batch-size", "8"),
        *("--upstream-scores", tmp_path / "val.csv", "--strategy", "upstream_best"),
    )
    # In a process of its own, which may leave workers behind that are about to end.
    command = [sys.executable, "-P", "-m", "sweeps.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    out = done.stdout
    assert done.returncode == 0, done.stderr
    assert "2/2 probe, 1/1 transfer done" in done.stderr
    assert out.splitlines()[2].startswith("Take ViT_mu-second-w_")
    table = read_table(work / "table.csv")
    assert table["final_val"].tolist() == [0.75]
    assert table["adapt_group"].tolist() == ["own"]
    assert (table["adapt_n_val"].tolist(), table["adapt_n_test"].tolist()) == ([3], [3])
    scores = pd.read_csv(work / "scores.csv")
    assert scores["filename"].nunique() == 2
    assert {"logme", "linear_probe", "knn", "ridge_1"} <= set(scores["score"])
    assert np.isfinite(scores["value"]).all()
    before = {p: p.stat().st_mtime_ns for p in Path(work, "runs").rglob("record.json")}
    assert augreg(*arguments)[:2] == (0, out)
    assert {p: p.stat().st_mtime_ns for p in Path(work, "runs").rglob("record.json")} == before
    code, out, _ = augreg("status", work)
    assert code == 0
    assert "upstream_best chooses ViT_mu-second" in out
