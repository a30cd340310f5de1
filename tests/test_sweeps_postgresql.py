"""The study in a real PostgreSQL: the same projection, a database that goes away for a while, and the dashboard on both."""

import json
from dataclasses import replace
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
from made import SWEEP, record
from postgresql import Server

from bench.errors import UserError
from sweeps import study as study_module
from sweeps.storage import storage_of
from sweeps.study import Study


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(study_module, "RETRY_SECONDS", 0.0)


def filled(address):
    study = Study(address, SWEEP)
    for point in SWEEP.points[:-1]:
        study.started(point)
        if point != SWEEP.points[3]:
            study.accept(record(point, status="diverged" if point == SWEEP.points[1] else "ok"))
    assert study.flush() == ""
    study._close()


def projected(storage):
    found = {}
    for name in ("two-models", "two-models-transfer"):
        trials = optuna.load_study(study_name=name, storage=storage).get_trials()
        found[name] = [(t.number, t.state.name, t.values, t.params, t.user_attrs) for t in trials]
    return found


def test_the_studies_are_the_same_in_either_database(server, tmp_path):
    found = []
    for address in (server.address, f"sqlite:///{tmp_path / 'study.db'}"):
        filled(address)
        storage = storage_of(address)
        found.append(projected(storage))
        storage.engine.dispose()
    assert found[0] == found[1]
    states = [state for _, state, *_ in found[0]["two-models"]]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "RUNNING", *["COMPLETE"] * 4]
    assert len(found[0]["two-models-transfer"]) == 15


def get(app, path):
    environ, answer = {}, []
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = path
    body = b"".join(app(environ, lambda status, _headers, _info=None: answer.append(status)))
    assert answer == ["200 OK"]
    return json.loads(body)


@pytest.mark.filterwarnings("ignore")  # the dashboard's own
@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_the_dashboard_shows_the_studies(server, tmp_path, kind):
    address = server.address if kind == "postgresql" else f"sqlite:///{tmp_path / 'study.db'}"
    filled(address)
    storage = storage_of(address)
    app = optuna_dashboard.wsgi(storage)
    studies = {s["study_name"]: s["study_id"] for s in get(app, "/api/studies")["study_summaries"]}
    assert set(studies) == {"two-models", "two-models-transfer"}
    shown = get(app, f"/api/studies/{studies['two-models']}")["trials"]
    assert sorted(t["state"] for t in shown) == ["Complete"] * 6 + ["Fail", "Running"]
    storage.engine.dispose()


def test_what_happens_while_the_database_is_down_is_written_when_it_is_back(server):
    study = Study(server.address, replace(SWEEP, name="down"))
    first, second, third = SWEEP.upstream_points[:3]
    study.started(first)
    assert study.flush() == ""
    server.stop()
    study.accept(record(first))
    study.started(second)
    study.accept(record(second))
    study.started(third)
    trouble = study.flush()
    assert trouble.startswith("the study's database does not answer (")
    assert trouble.endswith("); nothing is lost")
    assert study.flush() != ""
    server.start()
    assert study.flush() == ""
    storage = storage_of(server.address)
    trials = optuna.load_study(study_name="down", storage=storage).get_trials()
    storage.engine.dispose()
    study._close()
    assert [(t.user_attrs["name"], t.state.name) for t in trials] == [
        (first.name, "COMPLETE"),
        (second.name, "COMPLETE"),
        (third.name, "RUNNING"),
    ]


def test_a_database_that_is_down_from_the_start_delays_nothing(server):
    server.stop()
    study = Study(server.address, replace(SWEEP, name="late"))
    study.started(SWEEP.points[0])
    assert "does not answer" in study.flush()
    server.start()
    assert study.flush() == ""
    study._close()


@pytest.mark.parametrize("address", ["results/study.db", "", "postgres"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UserError, match="is no address of a database, such as postgresql://USER@HOST/NAME"):
        storage_of(address)
