"""Sets on disk, from their facts to a trained model: in memory where they fit, decoded on the way where they do not."""

import made_sets
import numpy as np
import pytest
import tiny

from bench import data
from bench.data import stream
from bench.data.arrays import InMemory
from bench.data.geometry import Geometry
from bench.data.load import geometries, load
from bench.data.order import Order
from bench.data.stream import Streamed
from bench.errors import UserError
from bench.points import UPSTREAM, Upstream
from bench.points.datasets import UpstreamSet
from bench.records.record import read_record
from bench.train import upstream
from bench.train.fit import Preempted, Watch
from bench.train.program import programs

SIDE = 8


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", str(tmp_path))
    made_sets.write(tmp_path, "npz")
    return tmp_path


def loaded(**options):
    return load(made_sets.NAME, made_sets.FILES, made_sets.SIZES, made_sets.CLASSES, SIDE, **options)


def test_geometries_are_the_papers():
    assert geometries(224, crop=True) == (
        Geometry("inception_crop", 224, flip=True),
        Geometry("small_central_crop", 224, small=256),
    )
    assert geometries(224, crop=False) == (Geometry("resize", 224),) * 2
    # Images that are small already are cropped by the training step.
    assert geometries(32, crop=True, side=32) == (Geometry("resize", 32),) * 2
    assert geometries(24, crop=True, side=32)[0].kind == "inception_crop"
    # big_vision's transfer.py: 448 for 384 px, where 8/7 would make 439.
    assert geometries(384, crop=True)[1] == Geometry("small_central_crop", 384, small=448)


@pytest.mark.usefixtures("folder")
def test_what_is_not_random_and_fits_is_decoded_once():
    plain, cropped = loaded(crop=False), loaded(crop=True)
    assert all(isinstance(s, InMemory) for s in (plain.train, plain.val, plain.test, cropped.val, cropped.test))
    assert isinstance(cropped.train, Streamed)
    assert [len(s) for s in (plain.train, plain.val, plain.test)] == list(made_sets.SIZES.values())


@pytest.mark.usefixtures("folder")
def test_in_memory_or_on_the_way_are_the_same_images_under_the_same_fingerprint(monkeypatch):
    held = loaded(crop=False)
    monkeypatch.setattr(stream, "KEPT", 0)
    read = loaded(crop=False)
    assert isinstance(read.train, Streamed)
    assert read.facts() == held.facts()
    chunks = [Order(12, 4, 0).chunk(step, 2) for step in (0, 2)]
    for purpose in ("train", "val", "test"):
        one, other = getattr(held, purpose), getattr(read, purpose)
        for a, b in zip(one.in_order(5), other.in_order(5), strict=True):
            assert np.array_equal(a.images, b.images)
            assert np.array_equal(a.labels, b.labels)
    for a, b in zip(held.train.batches(chunks, 0), read.train.batches(chunks, 0), strict=True):
        assert a.images.shape == (2, 4, SIDE, SIDE, 3)
        assert np.array_equal(a.images, b.images)
        assert np.array_equal(a.labels, b.labels)


@pytest.mark.usefixtures("folder")
def test_a_fingerprint_is_of_what_is_stored_not_of_its_geometry():
    assert loaded(crop=False).facts() == loaded(crop=True).facts()


def every(split):
    [seen] = split.in_order(100)
    return list(zip(map(bytes, seen.images), seen.labels.tolist(), strict=True))


@pytest.mark.parametrize("form", made_sets.FORMS)
def test_train_and_val_are_learnt_from_together_train_first(form, tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", str(tmp_path))
    made_sets.write(tmp_path, form)
    apart, both = loaded(crop=False), loaded(crop=False, joined=True)
    assert every(both.train) == every(apart.train) + every(apart.val)
    assert (every(both.val), every(both.test)) == (every(apart.val), every(apart.test))
    assert both.facts()["train"] == 17
    assert both.facts()["fingerprint"] != apart.facts()["fingerprint"]
    # Of a set that is cropped, the images of val are cropped as those of train.
    cropped = loaded(crop=True, joined=True)
    assert isinstance(cropped.train, Streamed)
    assert cropped.train.training.kind == "inception_crop"
    assert len(cropped.train) == 17


def test_a_list_of_train_and_val_gives_their_order(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", str(tmp_path))
    place = made_sets.write(tmp_path, "lists")
    (place / "train.txt").rename(place / "train800.txt")
    (place / "val.txt").rename(place / "val200.txt")
    lines = [line for name in ("train800", "val200") for line in (place / f"{name}.txt").read_text().splitlines()]
    (place / "train800val200.txt").write_text("\n".join(reversed(lines)) + "\n\n")
    apart = loaded(crop=False)
    assert every(loaded(crop=False, joined=True).train) == [*reversed(every(apart.train) + every(apart.val))]
    for wrong in (lines[1:], [*lines[:-1], lines[-1][:-1] + "2"]):
        (place / "train800val200.txt").write_text("\n".join(wrong))
        with pytest.raises(UserError, match=r"train800val200\.txt: does not name the images of train800\.txt and val200\.txt"):
            loaded(crop=False, joined=True)


@pytest.fixture
def config(folder, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", str(folder))
    tiny.register(monkeypatch)
    facts = UpstreamSet(made_sets.NAME, *(12, 5, 6), made_sets.CLASSES, SIDE, 4, 2, loss="softmax", files=made_sets.FILES)
    monkeypatch.setitem(UPSTREAM, made_sets.NAME, facts)
    data.load_upstream.cache_clear()
    programs.cache_clear()
    yield Upstream("tiny", made_sets.NAME, 20.0, 0.01, "light1", 0.1, 0.1, 0.0)
    data.load_upstream.cache_clear()
    programs.cache_clear()


def run(config, folder, attempt, **watch):
    record = upstream.run(config, folder, folder / "attempts" / attempt, 1e9, Watch(**watch))
    record.commit(folder)
    return read_record(folder / "record.json")


def test_a_run_over_files_goes_on_after_an_interruption_as_if_there_had_been_none(config, tmp_path):
    whole = run(config, tmp_path / "whole", "1")
    assert whole.status == "ok"
    assert whole.cost.steps == 60
    assert whole.data == {**data.load_upstream(made_sets.NAME, SIDE).facts()}
    stops = iter([True])
    with pytest.raises(Preempted):
        run(config, tmp_path / "broken", "1", stop=lambda: next(stops, False))
    resumed = run(config, tmp_path / "broken", "2")
    assert resumed.measurements == whole.measurements
    weights = [np.load(next((tmp_path / name).glob("attempts/*/weights.npz"))) for name in ("whole", "broken")]
    assert weights[0].files == weights[1].files
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0].files)
