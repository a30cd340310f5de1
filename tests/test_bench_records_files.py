"""Atomic files and records."""

import errno
import functools
import json
import math
import os
import threading
from dataclasses import replace

import disk
import numpy as np
import pytest

from bench import weights
from bench.errors import UserError
from bench.points import Transfer, Upstream
from bench.records import atomic
from bench.records.record import FILE, Cost, Measurement, Record, read_record

UPSTREAM = Upstream("ViT-mu", "mnist5k", 2, 0.003, "light1", 0.03, 0.1, 0.1)
TRANSFER = Transfer(UPSTREAM, "digits", 20, 0.03, 28, batch_size=64)
DATA = {"train": 400, "val": 500, "test": 500, "fingerprint": "c5fdb4bf10dc9301"}


def record(config=UPSTREAM, **changes):
    values = {
        "config": config,
        "status": "ok",
        "measurements": (
            Measurement("val", "accuracy", 500, 0.7, 10),
            Measurement("val", "accuracy", 500, 0.1 + 0.2, 20),
            Measurement("test", "accuracy", 500, 1 / 3, 20),
        ),
        "params": 12_345,
        "data": DATA,
        "device": "cpu",
        "code_version": "0.1.0",
        "cost": Cost(train_seconds=1.25, steps=20, images=1280),
    }
    return Record(**{**values, **changes})


def refusal(make, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        make(*args, **kwargs)
    return str(caught.value)


def test_write_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    assert atomic.write(path, lambda file: file.write(b"one"))
    assert atomic.write(path, lambda file: file.write(b"two"), durable=False)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_exclusive_write_keeps_the_first(tmp_path):
    path = tmp_path / "file"
    assert atomic.write(path, lambda file: file.write(b"one"), exclusive=True) is True
    assert atomic.write(path, lambda file: file.write(b"two"), exclusive=True) is False
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("exclusive", [False, True])
def test_failure_while_writing_leaves_everything_as_it_was(tmp_path, exclusive):
    def fail(file):
        file.write(b"half")
        raise RuntimeError("disk full")

    path = tmp_path / "file"
    with pytest.raises(RuntimeError):
        atomic.write(path, fail, exclusive=exclusive)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        atomic.write(path, fail, exclusive=exclusive)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_whole_before_it_has_its_name(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    during = []

    def fill(file):
        file.write(b"new")
        file.flush()
        during.append(path.read_bytes())

    atomic.write(path, fill)
    assert during == [b"old"]
    assert path.read_bytes() == b"new"


def test_one_of_many_exclusive_writers_wins(tmp_path):
    path, barrier, won = tmp_path / "file", threading.Barrier(8), []

    def compete(number):
        barrier.wait()
        if atomic.write(path, lambda file: file.write(b"%d" % number * 1000), exclusive=True, durable=False):
            won.append(number)

    threads = [threading.Thread(target=compete, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert path.read_bytes() == b"%d" % won[0] * 1000
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 255)
    assert atomic.write(path, lambda file: file.write(b"x"))
    assert path.read_bytes() == b"x"


def lacking(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["fill", "fsync", "mkstemp", "link"])
def test_a_patient_writer_waits_for_space_and_says_so_once(tmp_path, monkeypatch, caplog, number, where):
    path, pauses, calls = tmp_path / "folder" / "file", [], []
    monkeypatch.setattr(atomic.time, "sleep", pauses.append)

    def failing(real):
        def call(*args, **options):
            calls.append(where)
            if len(calls) <= 3:
                raise lacking(number)
            return real(*args, **options)

        return call

    fill = lambda file: file.write(b"content")  # noqa: E731
    if where == "fill":
        fill = failing(fill)
    else:
        module = atomic.tempfile if where == "mkstemp" else atomic.os
        monkeypatch.setattr(module, where, failing(getattr(module, where)))
    assert atomic.write(path, fill, exclusive=True, patient=True)
    assert path.read_bytes() == b"content"
    assert pauses == [atomic.PAUSE] * 3
    assert list(path.parent.iterdir()) == [path]
    [said] = caplog.messages
    assert said == f"{path} waits for space ({os.strerror(number)}) and is written as soon as there is some"


def test_a_patient_writer_is_asked_each_time_and_may_give_up(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.time, "sleep", lambda _: None)
    asked = []

    def waits(path, error, waited):
        asked.append((path.name, error.errno, waited))
        if waited == 2:
            raise KeyError("enough")

    def fill(_):
        raise lacking(errno.ENOSPC)

    with pytest.raises(KeyError, match="enough"):
        atomic.write(tmp_path / "file", fill, patient=waits)
    assert asked == [("file", errno.ENOSPC, n) for n in range(3)]
    assert list(tmp_path.iterdir()) == []


def test_only_lack_of_space_is_waited_for_and_only_by_the_patient(tmp_path, monkeypatch):
    def fill(_, number):
        raise lacking(number)

    monkeypatch.setattr(atomic.time, "sleep", lambda _: pytest.fail("it waits"))
    for number, patient in ((errno.EACCES, True), (errno.EIO, True), (errno.ENOSPC, False)):
        with pytest.raises(OSError, match=os.strerror(number)):
            atomic.write(tmp_path / "file", functools.partial(fill, number=number), patient=patient)


def test_records_wait_for_space(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            raise lacking(errno.ENOSPC)
        real(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    monkeypatch.setattr(atomic.time, "sleep", lambda _: None)
    with pytest.raises(OSError, match="No space"):
        record().commit(tmp_path)
    calls.clear()
    assert record().commit(tmp_path, patient=True)
    assert read_record(tmp_path / FILE) == record()


def test_weights_wait_for_space_on_a_disk_that_is_full_for_real(tmp_path, monkeypatch, caplog):
    flat = {"a": np.arange(50_000, dtype=np.float32)}
    with disk.small(tmp_path / "disk", "300k") as folder:
        filler = folder / "filler"
        filler.write_bytes(bytes(250_000))
        with pytest.raises(UserError, match="No space left on device"):
            weights.write(folder / "weights.npz", flat)
        assert list(folder.iterdir()) == [filler]
        monkeypatch.setattr(atomic.time, "sleep", lambda _: filler.unlink())
        weights.write(folder / "weights.npz", flat, patient=True)
        assert "waits for space" in caplog.text
        np.testing.assert_array_equal(weights.read(folder / "weights.npz")["a"], flat["a"])


def test_json_is_sorted_and_refuses_nan(tmp_path):
    path = tmp_path / "file.json"
    atomic.write_json(path, {"b": 1, "a": [0.1 + 0.2]})
    assert path.read_text() == '{\n "a": [\n  0.30000000000000004\n ],\n "b": 1\n}\n'
    assert atomic.read_json(path) == {"a": [0.1 + 0.2], "b": 1}
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(path, {"a": math.nan})
    assert atomic.read_json(path) == {"a": [0.1 + 0.2], "b": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b'{"a": ', "not readable as JSON"),
        (b"", "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"[1]", "holds list, not a JSON object"),
    ],
)
def test_unreadable_json_names_the_file(tmp_path, content, said):
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    assert refusal(atomic.read_json, path).startswith(f"{path}: {said}")


@pytest.mark.parametrize(
    "made",
    [
        record(),
        record(TRANSFER),
        record(status="diverged", measurements=(), why="the loss was nan at step 3"),
        record(replace(UPSTREAM, fraction=0.1, seed=3)),
    ],
)
def test_a_committed_record_reads_back_equal(tmp_path, made):
    assert made.commit(tmp_path / "run")
    assert read_record(tmp_path / "run" / FILE) == made


def test_the_file_of_a_record_is_complete_and_plain(tmp_path):
    record(TRANSFER).commit(tmp_path)
    value = json.loads((tmp_path / "record.json").read_text())
    assert (value["version"], value["kind"], value["name"]) == (1, "transfer", TRANSFER.name)
    assert value["digest"] == TRANSFER.digest
    assert value["config"] == TRANSFER.to_dict()
    assert value["measurements"][1] == {
        "metric": "accuracy",
        "n": 500,
        "split": "val",
        "step": 20,
        "value": 0.30000000000000004,
    }
    assert value["data"] == DATA


def test_a_second_commit_is_refused_and_changes_nothing(tmp_path):
    assert record().commit(tmp_path) is True
    before = (tmp_path / FILE).read_bytes()
    assert record(params=1).commit(tmp_path) is False
    assert (tmp_path / FILE).read_bytes() == before


def test_last_and_best_are_of_their_split():
    made = record()
    assert made.last("val") == Measurement("val", "accuracy", 500, 0.1 + 0.2, 20)
    assert (made.best("val"), made.best("test")) == (0.7, 1 / 3)
    assert (made.last("imagenet_v2"), made.best("val", "loss")) == (None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "failed"}, "Record: field 'status' is 'failed'; "),
        ({"params": 1.5}, "Record: field 'params' must be int, not float 1.5"),
        ({"device": None}, "Record: field 'device' must be str, not NoneType"),
        ({"data": {"train": 1, "val": 1, "test": 1}}, "Record: field 'data' lacks 'fingerprint'"),
        ({"data": {**DATA, "val": "500"}}, "Record: field 'data.val' must be int, not str '500'; did you mean 500?"),
    ],
)
def test_records_are_checked_when_made(change, said):
    assert refusal(record, **change).startswith(said)


def test_measurements_are_finite_numbers():
    for value in (math.nan, math.inf):
        assert "field 'value' must be finite" in refusal(Measurement, "val", "accuracy", 5, value, 1)
    assert "field 'value' must be float, not str" in refusal(Measurement, "val", "accuracy", 5, "0.5", 1)
    assert "field 'n' must be int, not bool" in refusal(Measurement, "val", "accuracy", True, 0.5, 1)
    assert "field 'train_seconds' must be finite" in refusal(Cost, train_seconds=math.nan)


def change(*path, to):
    def apply(value):
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = to

    return apply


def drop(key):
    return lambda value: value.pop(key)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (change("version", to=2), "not a valid record (version 2 is not 1)"),
        (change("kind", to="downstream"), "not a valid record (Record: field 'kind' is 'downstream'"),
        (change("config", "wd", to=-1), "not a valid record (Upstream: field 'wd' is -1.0, but must be at least 0"),
        (change("config", to=3), "not a valid record ("),
        (change("config", "colour", to=3), "not a valid record (Upstream: unknown field 'colour'"),
        (change("extra", to=3), "not a valid record (Record: unknown field 'extra'"),
        (change("cost", "dollars", to=3), "not a valid record (Cost: unknown field 'dollars'"),
        (change("cost", to=None), "not a valid record ("),
        (change("measurements", to=3), "not a valid record ("),
        (
            change("measurements", 0, "value", to=math.nan),
            "not a valid record (Measurement: field 'value' must be finite, not nan",
        ),
        (change("measurements", 0, "value", to="0.5"), "not a valid record (Measurement: field 'value' must be float"),
        (change("data", to=None), "not a valid record ("),
        (drop("digest"), "not a valid record (missing field 'digest')"),
        (drop("config"), "not a valid record (missing field 'config')"),
        (drop("params"), "not a valid record (Record: missing field 'params')"),
    ],
)
def test_a_record_that_was_tampered_with_names_its_file(tmp_path, tamper, said):
    record().commit(tmp_path)
    path = tmp_path / FILE
    value = json.loads(path.read_text())
    tamper(value)
    path.write_text(json.dumps(value))
    assert refusal(read_record, path).startswith(f"{path}: {said}")


@pytest.mark.parametrize("tamper", [change("digest", to="0" * 16), change("config", "seed", to=1), change("name", to="other")])
def test_a_record_of_another_code_is_refused(tmp_path, tamper):
    record().commit(tmp_path)
    path = tmp_path / FILE
    value = json.loads(path.read_text())
    tamper(value)
    path.write_text(json.dumps(value))
    said = refusal(read_record, path)
    assert said.startswith(f"{path}: {value['name']} was made under digest {value['digest']}")
    assert "results of two codes are never mixed" in said


def test_a_truncated_record_names_its_file(tmp_path):
    record().commit(tmp_path)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(read_record, path).startswith(f"{path}: not readable as JSON")


def test_a_record_of_a_transfer_without_a_config_object_is_refused(tmp_path):
    record(TRANSFER).commit(tmp_path)
    path = tmp_path / FILE
    value = json.loads(path.read_text())
    value["config"] = 3
    path.write_text(json.dumps(value))
    assert refusal(read_record, path).startswith(f"{path}: not a valid record (")


def test_an_export_that_cannot_be_written_says_why(tmp_path):
    atomic.export(tmp_path / "a.txt", "é")
    atomic.export(tmp_path / "b.png", b"\x89")
    assert ((tmp_path / "a.txt").read_bytes(), (tmp_path / "b.png").read_bytes()) == ("é".encode(), b"\x89")
    (tmp_path / "folder").mkdir()
    assert refusal(atomic.export, tmp_path / "folder", "text") == f"cannot write {tmp_path / 'folder'}: Is a directory"
    assert refusal(atomic.export, tmp_path / "a.txt" / "c.txt", "text").startswith(
        f"cannot write {tmp_path / 'a.txt' / 'c.txt'}: "
    )
