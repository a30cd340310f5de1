"""Metrics of a run: each once over all its attempts, on a full disk as well; trackers, by stand-ins for their packages."""

import contextlib
import errno
import json
import os
import struct
import sys

import disk
import numpy as np
import pytest
import tiny

from bench.errors import UserError
from bench.points import Upstream
from bench.records.metrics import FILE, HEADER, Row, read_metrics
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Preempted, Watch, fit
from bench.train.metrics import Metrics
from bench.train.trackers import TRACKERS, check

CONFIG = Upstream("ViT-mu", "mnist5k", 2, 0.003, "light1", 0.03, 0.1, 0.1)


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        yield tiny.programs()


def train(made, run, attempt, trackers=(), checkpoints=0, **watch):
    folder = run / "attempts" / attempt
    folder.mkdir(parents=True)
    made.pace.took(1e-3)
    return fit(
        made,
        made.start(made.init(np.uint32(0))),
        tiny.DATA,
        tiny.order(),
        tiny.hyper(),
        tiny.CLASSES,
        evaluations=2,
        checkpoints=Checkpoints(run, folder, checkpoints),
        watch=Watch(**watch),
        metrics=Metrics(CONFIG, folder, tiny.order(), trackers),
    )


def numbers(rows):
    """Returns what does not depend on how fast it went."""
    return [row[:5] for row in rows if row.metric != "images_per_second"]


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    found = train(made, run, "only.0001", checkpoints=1e9)
    return found, read_metrics(run)


def test_a_run_gives_losses_rates_speed_and_accuracies(whole):
    found, rows = whole
    assert [(r.step, r.split, r.metric) for r in rows] == [
        *((4, "train", m) for m in ("loss", "learning_rate", "images_per_second")),
        *((8, "train", m) for m in ("loss", "learning_rate", "images_per_second")),
        *((11, "train", m) for m in ("loss", "learning_rate", "images_per_second")),
        (11, "val", "accuracy"),
        *((15, "train", m) for m in ("loss", "learning_rate", "images_per_second")),
        *((19, "train", m) for m in ("loss", "learning_rate", "images_per_second")),
        *((22, "train", m) for m in ("loss", "learning_rate", "images_per_second")),
        (22, "val", "accuracy"),
        (22, "test", "accuracy"),
    ]
    assert [r.value for r in rows if r.metric == "accuracy"] == [m.value for m in found.measurements]
    # 50 examples in batches of 8.
    assert all(r.epoch == pytest.approx(r.step * 8 / 50, rel=1e-5) for r in rows)
    rates = [r.value for r in rows if r.metric == "learning_rate"]
    # The cosine of float64, at the last step of each dispatch; warm-up over 3 of 22 steps to 0.02.
    expected = [0.02 * 0.5 * (1 + np.cos(np.pi * (step - 1 - 3) / (22 - 3))) for step in (4, 8, 11, 15, 19, 22)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-9)
    seconds = [r.seconds for r in rows]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert all(r.value > 0 for r in rows if r.metric == "images_per_second")


def test_stopped_and_crashed_a_run_has_every_row_once(made, whole, tmp_path):
    dispatches = iter(range(100))
    with pytest.raises(Preempted):
        train(made, tmp_path, "job.0001", stop=lambda: next(dispatches) == 1)

    def crash(step, _):
        if step == 19:
            raise KeyError("crash")

    with pytest.raises(KeyError):
        train(made, tmp_path, "job.0002", checkpoints=1e9, progress=crash)
    # Step 19 was written, but no checkpoint after step 8: the next attempt does it all again.
    assert read_metrics(tmp_path)[-1].step == 19
    train(made, tmp_path, "job.0003", checkpoints=1e9)
    assert numbers(read_metrics(tmp_path)) == numbers(whole[1])
    assert numbers(read_metrics(tmp_path, "job.0003")) == numbers(whole[1])
    # The attempt that was not gone on from is a way of its own.
    assert numbers(read_metrics(tmp_path, "job.0002")) == [row for row in numbers(whole[1]) if row[0] <= 19]
    assert [row.step for row in read_metrics(tmp_path, "job.0001")][-1] == 8
    seconds = [row.seconds for row in read_metrics(tmp_path)]
    assert seconds == sorted(seconds)


def test_rows_beyond_the_checkpoint_of_an_earlier_attempt_are_superseded_and_a_torn_line_is_none(tmp_path):
    def write(attempt, earlier, step, rows, torn=""):
        folder = tmp_path / "attempts" / attempt
        folder.mkdir(parents=True)
        lines = [",".join(HEADER), f"{step},0,attempt,{earlier},0,0", *(f"{s},0.5,train,loss,{v},1.5" for s, v in rows)]
        (folder / FILE).write_text("\n".join(lines) + "\n" + torn)

    write("a", "", 0, [(1, 9.0), (2, 8.0), (3, 7.0)], torn="4,0.5,train,lo")
    write("b", "a", 2, [(3, 6.0), (4, 5.0)])
    write("zombie", "a", 1, [(2, 1.0), (3, 1.0)])
    write("c", "b", 3, [])
    assert [(r.step, r.value) for r in read_metrics(tmp_path, "c")] == [(1, 9.0), (2, 8.0), (3, 6.0)]
    assert [(r.step, r.value) for r in read_metrics(tmp_path)] == [(1, 9.0), (2, 8.0), (3, 6.0), (4, 5.0)]
    assert [(r.step, r.value) for r in read_metrics(tmp_path, "a")] == [(1, 9.0), (2, 8.0), (3, 7.0)]
    assert read_metrics(tmp_path, "none") == read_metrics(tmp_path / "nothing") == []


def metrics_of(folder, *trackers):
    folder.mkdir(parents=True, exist_ok=True)
    made = Metrics(CONFIG, folder, tiny.order(), trackers)
    made.begin(0, None, 0)
    return made


def test_on_a_full_disk_rows_wait_and_nothing_is_written_twice(tmp_path, caplog):
    with disk.small(tmp_path / "disk", "64k") as run:
        attempt = run / "attempts" / "a"
        made = metrics_of(attempt)
        filler = run / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        for step in range(1, 200):
            made._log(step, "train", {"loss": step / 7}, 1.0)
        assert len(read_metrics(run)) < 199
        assert caplog.text.count("cannot be written now") == 1
        filler.unlink()
        made.close("ok")
        assert [(r.step, r.value) for r in read_metrics(run)] == [(step, step / 7) for step in range(1, 200)]


def test_a_write_that_fails_half_way_leaves_no_half_row(tmp_path, monkeypatch, caplog):
    made = metrics_of(tmp_path / "attempts" / "a")
    made._log(1, "train", {"loss": 1.0}, 1.0)
    opened = type(tmp_path).open

    class Half:
        def __init__(self, file):
            self._file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def tell(self):
            return self._file.tell()

        def fileno(self):
            return self._file.fileno()

        def write(self, data):
            return self._file.write(data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "open", lambda self, *a, **k: Half(opened(self, *a, **k)))
        made._log(2, "train", {"loss": 2.0}, 1.0)
    assert os.strerror(errno.ENOSPC) in caplog.text
    assert [r.step for r in read_metrics(tmp_path)] == [1]
    made._log(3, "train", {"loss": 3.0}, 1.0)
    assert [r.step for r in read_metrics(tmp_path)] == [1, 2, 3]


# Trackers


def events(folder):
    """Returns (tag, step, value) of the scalars in TensorBoard's event files: length, CRC, data, CRC, again and again."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (size,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + size])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value if v.HasField("simple_value")]
            at += size + 16
    return found


def test_tensorboard_gets_every_row(made, whole, tmp_path):
    train(made, tmp_path, "a", ("tensorboard",), checkpoints=1e9)
    found = events(tmp_path / "attempts" / "a" / "tensorboard")
    expected = [(f"{r.split}/{r.metric}", r.step, np.float32(r.value)) for r in whole[1] if r.metric != "images_per_second"]
    assert [e for e in found if e[0] != "train/images_per_second"] == expected


WANDB = """
import json, os
calls = []

def note(*call):
    with open(os.environ["STAND_IN"], "a") as file:
        file.write(json.dumps(call) + "\\n")

class Run:
    def define_metric(self, name, step_metric=None):
        note("define", name, step_metric)
    def log(self, values):
        note("log", values)
    def finish(self, exit_code):
        note("finish", exit_code)

def init(*, id, name, config, dir, resume):
    note("init", id, name, config["lr"], resume)
    return Run()
"""
MLFLOW = """
import json, os
from types import SimpleNamespace as N
FILE = os.environ["STAND_IN"]

def calls():
    if not os.path.exists(FILE):
        return []
    with open(FILE) as file:
        return [json.loads(line) for line in file]

def note(*call):
    with open(FILE, "a") as file:
        file.write(json.dumps(call) + "\\n")

class MlflowClient:
    def get_experiment_by_name(self, name):
        return N(experiment_id="7") if any(c[0] == "experiment" for c in calls()) else None
    def create_experiment(self, name):
        note("experiment", name)
        return "7"
    def search_runs(self, ids, filter_string, max_results):
        assert ids == ["7"]
        [digest] = [c[1] for c in calls() if c[0] == "run"] or [""]
        found = digest and filter_string == f"tags.`augreg.digest` = '{digest}'"
        return [N(info=N(run_id="r1"))] if found else []
    def create_run(self, experiment, run_name, tags):
        note("run", tags["augreg.digest"], run_name)
        return N(info=N(run_id="r1"))
    def update_run(self, run, status):
        note("update", run, status)
    def log_batch(self, run, metrics=(), params=()):
        note("batch", run, [list(m) for m in metrics], len(params))
    def set_terminated(self, run, status):
        note("end", run, status)
"""
ENTITIES = """
from typing import NamedTuple
class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int
class Param(NamedTuple):
    key: str
    value: str
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Packages of the trackers that only write down how they were called; returns a function that reads it."""
    packages = tmp_path / "packages"
    (packages / "mlflow").mkdir(parents=True)
    (packages / "wandb.py").write_text(WANDB)
    (packages / "mlflow" / "__init__.py").write_text("")
    (packages / "mlflow" / "tracking.py").write_text(MLFLOW)
    (packages / "mlflow" / "entities.py").write_text(ENTITIES)
    monkeypatch.setenv("STAND_IN", str(tmp_path / "calls"))
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.syspath_prepend(packages)

    def forget():
        for name in [n for n in sys.modules if n.split(".")[0] in ("wandb", "mlflow") or n.startswith("bench.train.trackers.")]:
            monkeypatch.delitem(sys.modules, name)

    forget()
    yield lambda: [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    forget()


def interrupted(made, run, tracker):
    dispatches = iter(range(100))
    with pytest.raises(Preempted):
        train(made, run, "a", (tracker,), stop=lambda: next(dispatches) == 1)
    train(made, run, "b", (tracker,), checkpoints=1e9)


def test_wandb_has_one_run_for_all_attempts(made, whole, tmp_path, stand_in):
    interrupted(made, tmp_path / "run", "wandb")
    calls = stand_in()
    begun = ["init", CONFIG.digest, CONFIG.name, CONFIG.lr, "allow"]
    assert [call for call in calls if call[0] == "init"] == [begun, begun]
    assert calls[1:3] == [["define", "step", None], ["define", "*", "step"]]
    assert [call[1] for call in calls if call[0] == "finish"] == [1, 0]
    logged = [call[1] for call in calls if call[0] == "log"]
    assert [values["step"] for values in logged] == [4, 8, 11, 11, 15, 19, 22, 22, 22]
    losses = {r.step: r.value for r in whole[1] if r.metric == "loss"}
    assert {v["step"]: v["train/loss"] for v in logged if "train/loss" in v} == losses
    assert [v["test/accuracy"] for v in logged if "test/accuracy" in v] == [whole[1][-1].value]


def test_mlflow_has_one_run_for_all_attempts(made, whole, tmp_path, stand_in):
    interrupted(made, tmp_path / "run", "mlflow")
    calls = stand_in()
    assert calls[:3] == [
        ["experiment", "augreg"],
        ["run", CONFIG.digest, CONFIG.name],
        ["batch", "r1", [], len(CONFIG.to_dict())],
    ]
    assert [call for call in calls if call[0] in ("end", "update")] == [
        ["end", "r1", "KILLED"],
        ["update", "r1", "RUNNING"],
        ["end", "r1", "FINISHED"],
    ]
    logged = [(key, step, value) for call in calls if call[0] == "batch" for key, value, _, step in call[2]]
    expected = [(f"{r.split}/{r.metric}", r.step, r.value) for r in whole[1]]
    assert [e[:2] for e in logged] == [e[:2] for e in expected]
    assert [e for e in logged if "second" not in e[0]] == [e for e in expected if "second" not in e[0]]


def test_a_tracker_that_fails_ends_no_run_and_is_named_once(made, whole, tmp_path, stand_in, caplog, monkeypatch):
    import wandb

    def unreachable(*_):
        raise ConnectionError("no network")

    monkeypatch.setattr(wandb.Run, "log", unreachable)
    found = train(made, tmp_path / "run", "a", ("wandb",), checkpoints=1e9)
    assert found.measurements == whole[0].measurements
    assert caplog.text.count("tracker wandb failed; the run goes on without it (ConnectionError: no network)") == 1
    monkeypatch.setattr(wandb, "init", unreachable)
    train(made, tmp_path / "run", "b", ("wandb",), checkpoints=1e9)
    assert numbers(read_metrics(tmp_path / "run", "b")) == numbers(whole[1])
    assert stand_in()[0][0] == "init"


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_whose_package_is_missing_says_which_extra_brings_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for refuse in (lambda: check([name]), lambda: Metrics(CONFIG, tmp_path, tiny.order(), (name,))):
        with pytest.raises(UserError) as caught:
            refuse()
        said = f"tracker '{name}' needs '{name}', which is not installed: pip install 'augreg-bench[{name}]'"
        assert str(caught.value) == said


def test_an_unknown_tracker_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="unknown tracker 'tensorbord': did you mean 'tensorboard'"):
        check(["tensorbord"])
    check([])
    check(["tensorboard"])
    assert set(TRACKERS) == {"tensorboard", "wandb", "mlflow"}


def test_a_row_reads_back_as_it_was_written(tmp_path):
    made = metrics_of(tmp_path / "attempts" / "a")
    value = 0.1 + 0.2
    made._log(3, "val", {"accuracy": value}, 12.3456)
    assert read_metrics(tmp_path) == [Row(3, 0.48, "val", "accuracy", value, 12.346)]
