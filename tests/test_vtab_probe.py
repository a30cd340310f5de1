"""Probes: features kept under all they depend on, scores of them, and how a probe ends otherwise."""

import logging
from dataclasses import asdict, replace

import numpy as np
import pytest
import tiny

from bench import weights
from bench.cost import forward_flops
from bench.data.arrays import InMemory
from bench.data.geometry import Geometry
from bench.data.sources.arrays import Arrays
from bench.data.split import Dataset
from bench.data.stream import Streamed
from bench.errors import UserError
from bench.models import variables
from bench.points import Checkpoint, Probe, Upstream
from bench.records.record import read_record
from bench.select.scores import SCORES
from bench.train.fit import Preempted, Watch
from bench.train.program import COMPILED
from bench.weights.heads import take_apart
from vtab import features, probe

RUN = Upstream("Ti/16", "mnist5k", 1.0, 0.01, "none", 0.0, 0.0, 0.0, resolution=8)
RELEASED = "Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0"
TRAIN = {name for name, score in SCORES.items() if score.split_kind == "train"}
HELD_OUT = set(SCORES) - TRAIN


@pytest.fixture(scope="module")
def trained():
    """Returns fresh weights of the tiny model with a head of four classes, by name."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.register(patch)
        flat = variables.flat(tiny.programs().init(np.uint32(3)))
    head = np.random.default_rng(0).normal(size=flat["head/kernel"].shape).astype(np.float32)
    return {name: np.asarray(value) for name, value in flat.items()} | {"head/kernel": head}


@pytest.fixture
def ready(monkeypatch, tmp_path, trained):
    """Returns a probe of a written checkpoint, and the folder that it lies in."""
    tiny.register(monkeypatch)
    monkeypatch.setattr(probe, "load_task", lambda *_: tiny.DATA)
    weights.write(tmp_path / "w.npz", trained)
    return Probe(replace(RUN, model="tiny"), "digits", 8), tmp_path


def run(config, folder, watch=None):
    return probe.run(config, folder / "w.npz", folder / "attempt", watch or Watch(), cache=folder / "features")


def look(config, folder, data=tiny.DATA, **changes):
    return features.look(config, data, folder / "w.npz", Watch(), cache=folder / "features", **changes)


def kept(folder):
    return sorted((folder / "features").glob("*.npz"))


def no_model(monkeypatch):
    """Makes every extraction fail."""
    monkeypatch.setattr(features, "extract", lambda *_: pytest.fail("features were extracted"))


def test_a_probe_is_a_record_of_all_scores(ready):
    config, folder = ready
    record = run(config, folder)
    assert (record.status, record.why) == ("ok", "")
    found = {(m.metric, m.split): m for m in record.measurements}
    assert set(found) == {(n, "train") for n in TRAIN} | {(n, s) for n in HELD_OUT for s in ("val", "test")}
    assert {m.n for m in record.measurements if m.metric != "parc"} == {50, 21, 37}
    assert all(np.isfinite(m.value) and m.step == 0 for m in record.measurements)
    assert found["linear_probe", "test"].value > 0.5  # three classes by brightness: chance is a third
    assert (record.data["train"], record.data["val"], record.data["test"]) == (50, 21, 37)
    assert record.cost.images == 108
    assert record.cost.train_flops == 108 * forward_flops("tiny", 8, 0)
    assert record.cost.eval_seconds > 0
    assert record.cost.train_seconds == 0


def test_a_record_reads_back(ready):
    config, folder = ready
    record = run(config, folder)
    record.commit(folder)
    assert read_record(folder / "record.json") == record


def test_scores_repeat_to_the_last_bit(ready):
    config, folder = ready
    first = run(config, folder)
    again = probe.run(config, folder / "w.npz", folder / "other", Watch())
    assert first.measurements == again.measurements == run(config, folder).measurements


def test_features_are_extracted_once(ready, monkeypatch):
    config, folder = ready
    first = look(config, folder)
    no_model(monkeypatch)
    again = look(config, folder)
    for purpose, (x, y) in first.splits.items():
        np.testing.assert_array_equal(again.splits[purpose].features, x)
        np.testing.assert_array_equal(again.splits[purpose].labels, y)
    assert (again.images, again.seconds, again.compiling) == (108, 0.0, 0.0)
    # The seed decides what scores draw, not what the model sees.
    look(replace(config, seed=1), folder)
    assert len(kept(folder)) == 1


def test_without_a_shared_folder_they_stay_with_the_attempt(ready):
    config, folder = ready
    probe.run(config, folder / "w.npz", folder / "attempt", Watch())
    assert len(list((folder / "attempt").glob("digits-*.npz"))) == 1


@pytest.mark.parametrize("what", ["weights", "checkpoint", "facts", "images", "resolution", "code", "number"])
def test_whatever_changes_makes_other_features(ready, monkeypatch, trained, what):
    config, folder = ready
    data = tiny.DATA
    look(config, folder)
    if what == "weights":
        weights.write(folder / "w.npz", {**trained, "cls": trained["cls"] + 1})
    elif what == "checkpoint":
        config = replace(config, upstream=Checkpoint("tiny", "mine", "0" * 16))
    elif what == "facts":
        config = replace(config, task="mine", own=replace(config.facts, name="mine"))
    elif what == "images":
        data = replace(data, val=replace(data.val, labels=data.val.labels[::-1]))
    elif what == "resolution":
        config = replace(config, resolution=16)
        monkeypatch.setattr(features, "extract", lambda *_: [features.Extracted(np.ones((1, 8)), np.ones(1))] * 3)
    elif what == "code":
        monkeypatch.setattr("bench.__version__", "9.9")
    else:
        monkeypatch.setattr(features, "TRAIN_IMAGES", 40)
    look(config, folder, data)
    assert len(kept(folder)) == 2


def test_a_damaged_file_costs_an_extraction(ready, caplog):
    config, folder = ready
    first = look(config, folder)
    (path,) = kept(folder)
    path.write_bytes(path.read_bytes()[:-200])
    with caplog.at_level(logging.WARNING):
        again = look(config, folder)
    assert "extracted anew" in caplog.text
    np.testing.assert_array_equal(again.splits["test"].features, first.splits["test"].features)
    assert look(config, folder).seconds == 0


def test_a_file_under_a_wrong_name_is_not_believed(ready, trained):
    config, folder = ready
    look(config, folder)
    (right,) = kept(folder)
    weights.write(folder / "w.npz", {**trained, "cls": trained["cls"] + 1})
    other = look(config, folder)
    (wrong,) = set(kept(folder)) - {right}
    wrong.write_bytes(right.read_bytes())
    np.testing.assert_array_equal(look(config, folder).splits["val"].features, other.splits["val"].features)


def test_where_features_cannot_be_kept_the_probe_goes_on(ready, caplog):
    config, folder = ready
    (folder / "features").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert run(config, folder).status == "ok"
    assert "cannot be written" in caplog.text


def test_checkpoints_and_tasks_share_one_program(ready, monkeypatch, trained):
    config, folder = ready
    look(config, folder)
    before = len(COMPILED)
    weights.write(folder / "w.npz", {**trained, "head/kernel": np.zeros((8, 9), np.float32), "head/bias": np.zeros(9, "f4")})
    smaller = Dataset(*(tiny.split(n, n) for n in (9, 8, 7)))
    monkeypatch.setattr(probe, "load_task", lambda *_: smaller)
    run(replace(config, task="synthetic_sprites_position"), folder)
    assert len(COMPILED) == before


def test_of_many_training_images_the_same_ones_are_looked_at_in_order(ready, monkeypatch):
    config, folder = ready
    whole = look(config, folder).splits["train"]
    monkeypatch.setattr(features, "TRAIN_IMAGES", 20)
    some = look(config, folder)
    places = [int(np.flatnonzero((whole.features == row).all(1))[0]) for row in some.splits["train"].features]
    assert len(places) == 20
    assert places == sorted(set(places))
    assert places != list(range(20))
    assert some.images == 20 + 21 + 37
    np.testing.assert_array_equal(whole.labels[places], some.splits["train"].labels)


def test_some_of_a_split_that_is_read_are_seen_as_in_evaluation():
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3)).astype(np.uint8)
    source = Arrays(images, np.arange(30, dtype=np.int32))
    crop, plain = Geometry("inception_crop", 8, flip=True), Geometry("resize", 8)
    read = features.some(Streamed(source, crop, plain), 10)
    assert (read.training, read.evaluation) == (plain, plain)
    seen = read.source.read(np.arange(10))
    memory = features.some(InMemory(images, source.read(np.arange(30)).labels), 10)
    np.testing.assert_array_equal(seen.labels, memory.labels)
    np.testing.assert_array_equal(seen.images, images[seen.labels])


def test_a_probe_says_how_many_images_it_looks_at():
    assert Probe(RUN, "cifar100", 8).images == 10_000 + 1_000 + 10_000
    assert Probe(RUN, "digits", 8).images == 800 + 200 + 797


def test_it_stops_between_batches_and_between_scores(ready):
    config, folder = ready
    with pytest.raises(Preempted):
        run(config, folder, Watch(stop=lambda: True))
    assert kept(folder) == []
    seen = []
    # The images make one batch: it is asked before it, and before every score.
    with pytest.raises(Preempted):
        run(config, folder, Watch(progress=lambda *p: seen.append(p), stop=lambda: len(seen) > 1))
    assert seen == [(0, 1), (1, 1)]
    assert len(kept(folder)) == 1


def test_a_checkpoint_without_a_head_lacks_leep_alone(ready, trained):
    config, folder = ready
    weights.write(folder / "w.npz", {name: value for name, value in trained.items() if not name.startswith("head")})
    record = run(config, folder)
    assert {m.metric for m in record.measurements} == set(SCORES) - {"leep"}
    assert record.why == "leep: the checkpoint has no source head"


def test_a_score_that_is_not_defined_is_left_out_and_says_why(ready, monkeypatch):
    config, folder = ready

    def undefined(_):
        raise UserError("one class alone")

    monkeypatch.setitem(SCORES, "knn", replace(SCORES["knn"], function=undefined))
    record = run(config, folder)
    assert (record.status, record.why) == ("ok", "knn: one class alone")
    assert {m.metric for m in record.measurements} == set(SCORES) - {"knn"}


def test_weights_that_are_not_finite_give_a_diverged_record_without_scores(ready, trained):
    config, folder = ready
    weights.write(folder / "w.npz", {**trained, "cls": np.full_like(trained["cls"], np.nan)})
    record = run(config, folder)
    assert (record.status, record.measurements) == ("diverged", ())
    assert record.why == "features of 108 of 108 images are not finite"


def test_weights_of_another_architecture_are_refused(ready, trained):
    config, folder = ready
    weights.write(folder / "w.npz", {**trained, "cls": np.zeros((1, 1, 9), np.float32)})
    with pytest.raises(UserError, match=r"w\.npz: 'cls' has shape"):
        run(config, folder)


@pytest.mark.parametrize(
    ("upstream", "loss"),
    [
        (RUN, "softmax"),
        (replace(RUN, loss="sigmoid"), "sigmoid"),
        (Checkpoint("Ti/16", "mine", "0" * 16), "softmax"),
        (Checkpoint("Ti/16", RELEASED, "0" * 16), "sigmoid"),
    ],
)
def test_the_head_is_read_as_it_was_trained(upstream, loss):
    assert features.loss_of(Probe(upstream, "digits", 8)) == loss


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_scores_get_the_heads_distributions_of_the_training_images(ready, trained, loss):
    config, folder = ready
    config = replace(config, upstream=replace(config.upstream, loss=loss), seed=5)
    found = look(config, folder)
    seen = probe.features(config, found)
    _, head = take_apart(trained, "w", "tiny", 8)
    np.testing.assert_array_equal(seen.train_x, found.splits["train"].features)
    np.testing.assert_array_equal(seen.test_y, tiny.DATA.test.labels)
    np.testing.assert_allclose(seen.train_p, head.probabilities(found.splits["train"].features, loss), rtol=1e-6)
    assert (seen.classes, seen.seed) == (asdict(config.facts)["classes"], 5)
