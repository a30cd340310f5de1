"""Adaptation of a checkpoint: a fresh head on trained weights, and what is refused."""

from dataclasses import replace

import made_sets
import numpy as np
import pytest
import tiny

from bench import weights
from bench.errors import UserError
from bench.models.variables import flat
from bench.points import TASKS, Transfer, Upstream
from bench.points.tasks import EXTRAS
from bench.train.checkpoints import Checkpoints
from bench.train.fit import Watch
from sweeps.lanes import mates
from vtab import adapt, tasks


@pytest.fixture
def config(monkeypatch):
    tiny.register(monkeypatch)
    monkeypatch.setitem(tasks.EMBEDDED_LOADERS, "digits", lambda _: tiny.DATA)
    upstream = Upstream("tiny", "mnist5k", 1.0, 0.01, "none", 0.0, 0.0, 0.0, resolution=8)
    return Transfer(upstream, "digits", 12, 0.05, 8, batch_size=8)


def trained():
    made = tiny.programs()
    return made.init(np.uint32(3))


def test_a_transfer_starts_from_the_trained_weights_and_learns_the_task(config, tmp_path):
    params = trained()
    weights.save(tmp_path / "w.npz", params)
    record = adapt.run(config, tmp_path / "w.npz", tmp_path / "run", tmp_path / "run" / "attempts" / "1", 1e9, Watch())
    assert record.status == "ok"
    assert [(m.split, m.n) for m in record.measurements] == [("val", 21), ("test", 37)]
    assert record.measurements[0].value > 0.5  # three classes by brightness: chance is a third
    assert record.cost.steps == 12
    assert record.cost.images == 96


def test_only_the_head_is_new(config):
    from bench.train.program import Programs
    from bench.train.static import Static

    made, params = Programs(Static.of(config)), trained()
    mixed = adapt.with_new_head(made, flat(params), 0, "w.npz")
    assert mixed["head"]["kernel"].shape == (8, 16)
    assert mixed["embedding"]["kernel"] is params["embedding"]["kernel"]
    assert flat(mixed).keys() == flat(params).keys()


def test_weights_of_another_architecture_are_refused_naming_the_parameter(config):
    from bench.train.program import Programs
    from bench.train.static import Static

    made, params = Programs(Static.of(config)), trained()
    broken = {**params, "cls": np.zeros((1, 1, 9), np.float32)}
    with pytest.raises(UserError, match=r"'cls'.*\(1, 1, 9\).*\(1, 1, 8\)"):
        adapt.with_new_head(made, flat(broken), 0, "w.npz")
    missing = {k: v for k, v in params.items() if k != "embedding"}
    with pytest.raises(UserError, match="embedding"):
        adapt.with_new_head(made, flat(missing), 0, "w.npz")


def test_weights_that_are_not_finite_give_a_diverged_record_without_scores(config, tmp_path):
    params = trained()
    params["cls"] = np.full_like(params["cls"], np.nan)
    weights.save(tmp_path / "w.npz", params)
    record = adapt.run(config, tmp_path / "w.npz", tmp_path / "run", tmp_path / "run" / "attempts" / "1", 1e9, Watch())
    assert record.status == "diverged"
    assert "nan at step 0" in record.why
    assert record.measurements == ()


def adapted(config, tmp_path, made=None):
    weights.save(tmp_path / "w.npz", made or trained())
    return adapt.run(config, tmp_path / "w.npz", tmp_path / "run", tmp_path / "run" / "attempts" / "1", 1e9, Watch())


@pytest.mark.parametrize(
    ("fit", "measured", "images"),
    [
        ("train", [("val", 21), ("test", 37)], 50),
        ("tune", [("val", 21)], 50),
        ("trainval", [("test", 37)], 71),
    ],
)
def test_a_transfer_learns_from_and_measures_what_its_fit_says(config, tmp_path, monkeypatch, fit, measured, images):
    seen = []
    learn = adapt.fit
    monkeypatch.setattr(adapt, "fit", lambda *a, **k: seen.append((a[2], a[3])) or learn(*a, **k))
    record = adapted(replace(config, fit=fit), tmp_path)
    [(data, order)] = seen
    assert [(m.split, m.n) for m in record.measurements] == measured
    assert (len(data.train), order.size, record.data["train"]) == (images, images, images)
    assert record.status == "ok"


def test_lanes_learn_from_and_measure_what_their_fit_says(config, tmp_path):
    weights.save(tmp_path / "w.npz", trained())
    for fit, measured in (("tune", ["val"]), ("trainval", ["test"])):
        group = [replace(config, fit=fit, lr=lr) for lr in (0.05, 0.01)]
        folders = [tmp_path / fit / str(i) for i in range(2)]
        kept = Checkpoints(tmp_path / fit, tmp_path / fit / "attempts" / "1", 1e9)
        records = adapt.run_group(group, [tmp_path / "w.npz"] * 2, folders, kept, Watch())
        assert [[m.split for m in record.measurements] for record in records] == [measured] * 2
        assert {record.data["train"] for record in records} == {50 if fit == "tune" else 71}


def test_runs_that_learn_from_other_examples_are_no_lanes_of_one_group(config):
    assert mates(replace(config, fit="tune")) == mates(replace(config, fit="tune", lr=1.0))
    assert mates(replace(config, fit="tune")) != mates(replace(config, fit="trainval"))


@pytest.fixture
def imagenet(config, tmp_path, monkeypatch):
    """A transfer to imagenet2012, of which there are a few images of three classes, as there are of its other sets."""
    sizes = {"train": 12, "val": 5, "test": 6}
    small = replace(TASKS["imagenet2012"], classes=made_sets.CLASSES, **sizes)
    monkeypatch.setitem(TASKS, "imagenet2012", small)
    monkeypatch.setenv("AUGREG_DATA", str(tmp_path / "sets"))
    made_sets.write(tmp_path / "sets", "npz", name="imagenet2012")
    return replace(config, task="imagenet2012", steps=2)


def test_imagenets_other_sets_are_measured_where_they_are_and_asked_for_once_where_not(imagenet, tmp_path, monkeypatch, caplog):
    record = adapted(imagenet, tmp_path)
    assert [m.split for m in record.measurements] == ["val", "test"]
    said = [line for line in caplog.messages if "is not measured by" in line]
    assert [line.split(":")[0] for line in said] == [f"imagenet2012 is not measured by {name}" for name in EXTRAS]
    assert "there is no imagenet_v2/matched-frequency/3.*" in said[0]
    assert "put ILSVRC2012_img_val.tar into TFDS's downloads/manual" in said[1]
    tasks.load_task(imagenet.facts, 8, "trainval")
    assert len([line for line in caplog.messages if "is not measured by" in line]) == 2

    made = made_sets.splits()
    for name, purpose, count in (("imagenet_v2", "test", 4), ("imagenet2012_real", "test", 6)):
        monkeypatch.setitem(EXTRAS, name, replace(EXTRAS[name], images=count))
        files, labels = made[purpose]
        made_sets.write(tmp_path / "more", "npz", {purpose: (files[:count], labels[:count])}, name)
    monkeypatch.setenv("AUGREG_DATA", f"{tmp_path / 'sets'}:{tmp_path / 'more'}")
    for fit, measured in {
        "train": [("val", 5), ("test", 6), ("imagenet_v2", 4), ("imagenet2012_real", 6)],
        "tune": [("val", 5), ("imagenet_v2", 4)],
        "trainval": [("test", 6), ("imagenet2012_real", 6)],
    }.items():
        found = adapted(replace(imagenet, fit=fit), tmp_path / fit)
        assert [(m.split, m.n) for m in found.measurements] == measured
    # Whether they are there says nothing of the task's own images.
    whole = tasks.load_task(imagenet.facts, 8).facts()
    assert whole["fingerprint"] == record.data["fingerprint"]
    assert set(whole["fingerprints"]) == {"train", "val", "test", *EXTRAS}
    # The images of ReaL are here those of test.
    test, real = (
        m.value for m in adapted(imagenet, tmp_path / "again").measurements if m.split in ("test", "imagenet2012_real")
    )
    assert test == real
