"""Adaptation of a checkpoint: a fresh head on trained weights, and what is refused."""

import numpy as np
import pytest
import tiny

from bench import weights
from bench.errors import UserError
from bench.models.variables import flat
from bench.points import Transfer, Upstream
from bench.train.fit import Watch
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
