"""Checkpoints from elsewhere: found out what they are, written in our layout, once, under names of their own."""

import shutil

import numpy as np
import pytest
import weightless
from made import SWEEP, commit, record

from bench import weights
from bench.errors import UserError
from bench.points import Checkpoint, Upstream
from bench.weights import timm
from sweeps import given
from sweeps.layout import Workdir

RELEASED = "Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0"
MU = Upstream("ViT-mu", "mnist5k", 1.0, 0.1, "none", 0.0, 0.0, 0.0)


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path / "work")


def saved(path, model="ViT-mu", seed=0, layout="ours", **options):
    """Writes random weights; returns (path, those weights in our layout)."""
    flat = weightless.flat(model, seed=seed, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights.write(path, timm.to_timm(flat, model) if layout == "timm" else flat)
    return path, flat


@pytest.mark.parametrize(("suffix", "layout"), [(".npz", "ours"), (".safetensors", "timm")])
@pytest.mark.parametrize("model", ["ViT-mu", "NFNet-mu"])
def test_a_file_is_known_by_its_shapes_and_is_one_checkpoint_in_any_layout(tmp_path, workdir, model, suffix, layout):
    path, flat = saved(tmp_path / f"my net{suffix}", model, layout=layout)
    [found] = given.take([str(path)], workdir)
    assert found.checkpoint == Checkpoint(model, "my-net", weights.identity(flat))
    assert (found.source, found.val) == (str(path), None)
    assert weightless.same(weights.read(workdir.weights(found.checkpoint)), flat)


def test_a_name_of_a_run_says_the_model_and_everything_else(tmp_path, workdir):
    path, _ = saved(tmp_path / f"{MU.name}.npz")
    [found] = given.take([str(path)], workdir)
    assert found.checkpoint.run == MU
    assert found.checkpoint.name == MU.name


def test_an_adapted_checkpoint_is_not_its_upstream_run(tmp_path, workdir):
    path, _ = saved(tmp_path / f"{MU.name}--digits-steps_100-lr_0.1-res_28.npz")
    [found] = given.take([str(path)], workdir)
    assert (found.checkpoint.model, found.checkpoint.run) == ("ViT-mu", None)
    assert found.checkpoint.label == f"{MU.name}-digits-steps_100-lr_0.1-res_28"
    assert "--" not in found.checkpoint.name


def test_a_file_that_is_called_as_all_are_is_named_by_its_folder(tmp_path, workdir):
    path, _ = saved(tmp_path / "vit_mu.here" / "resolve" / "main" / "model.safetensors")
    [found] = given.take([str(path)], workdir)
    assert found.checkpoint.label == "vit_mu.here"


def test_a_released_name_that_is_no_file_here_is_looked_for_in_the_bucket(tmp_path, workdir, monkeypatch):
    asked = []

    def read(place):
        asked.append(str(place))
        raise UserError("offline")

    monkeypatch.setattr(given.weights, "read", read)
    for location in (RELEASED, str(tmp_path / "other.npz")):
        with pytest.raises(UserError, match="offline"):
            given.take([location], workdir)
    assert asked == [f"gs://vit_models/augreg/{RELEASED}.npz", str(tmp_path / "other.npz")]


def test_taken_again_nothing_is_written_and_what_was_changed_is_noticed(tmp_path, workdir):
    path, flat = saved(tmp_path / f"{MU.name}.npz")
    [first] = given.take([str(path)], workdir)
    file = workdir.weights(first.checkpoint)
    before = file.stat()
    assert given.take([str(path), str(path)], workdir) == (first,)
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    weights.write(file, {**flat, "head/bias": flat["head/bias"] + 1})
    with pytest.raises(UserError, match="are different weights of one name: rename the new one, or use another --workdir"):
        given.take([str(path)], workdir)


# Heads


@pytest.mark.parametrize("gone", ["all of it", "the bias", "of another width"])
def test_a_head_that_is_none_of_the_model_is_left_out_and_one_that_is_stays(tmp_path, workdir, gone):
    flat = weightless.flat("ViT-mu", classes=7)
    assert {"head/kernel", "head/bias"} <= weights.standard(flat, "x", "ViT-mu").keys()
    if gone == "of another width":
        changed = {**flat, "head/kernel": np.zeros((5, 7), np.float32)}
    else:
        changed = {k: v for k, v in flat.items() if not (k.startswith("head/") and (gone == "all of it" or "bias" in k))}
    weights.write(tmp_path / "w.npz", changed)
    [found] = given.take([str(tmp_path / "w.npz")], workdir)
    kept = weights.read(workdir.weights(found.checkpoint))
    assert weightless.same(kept, {k: v for k, v in flat.items() if not k.startswith("head/")})


def test_a_hidden_layer_before_the_head_is_left_out_with_it(tmp_path, workdir):
    """Features are what comes before it, and the head is not a map of those."""
    _, flat = saved(tmp_path / "w.npz")
    more = {"pre_logits/kernel": np.ones((48, 48), np.float32), "pre_logits/bias": np.ones(48, np.float32)}
    weights.write(tmp_path / "w.npz", {**flat, **more})
    [found] = given.take([str(tmp_path / "w.npz")], workdir)
    kept = weights.read(workdir.weights(found.checkpoint))
    assert kept.keys() == {k for k in flat if not k.startswith("head/")}


# Folders of sweeps


@pytest.fixture
def sweep(tmp_path):
    """A sweep's folder: two models, four runs each, of which one diverged and one has no record."""
    folder = Workdir(tmp_path / "sweep")
    folder.claim("two-models")
    *some, _ = SWEEP.upstream_points
    for number, config in enumerate(some):
        commit(folder, config, status="diverged" if number == 0 else "ok")
        if number:
            weights.write(folder.run(config).attempt("made.0001") / "weights.npz", weightless.flat(config.model, seed=number))
        assert folder.run(config).accept("made.0001")
    return folder


def test_a_folder_of_a_sweep_is_all_its_finished_runs(sweep, workdir):
    found = given.take([str(sweep.path)], workdir)
    expected = sorted(SWEEP.upstream_points[1:-1], key=lambda c: c.name)
    assert [each.checkpoint.run for each in found] == expected
    assert [each.val for each in found] == [record(c).last("val").value for c in expected]
    for each, config in zip(found, expected, strict=True):
        assert weightless.same(weights.read(workdir.weights(each.checkpoint)), weights.read(sweep.weights(config)))


def test_the_best_of_each_model_by_validation(sweep, workdir):
    found = given.take([str(sweep.path)], workdir, best=True)
    by_model = {}
    for config in SWEEP.upstream_points[1:-1]:
        by_model.setdefault(config.model, []).append((record(config).last("val").value, config.name))
    assert {each.checkpoint.name for each in found} == {max(runs)[1] for runs in by_model.values()}
    assert len(found) == 2


def test_a_folder_without_a_sweep_or_without_finished_runs(tmp_path, sweep, workdir):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match="photos: holds no sweep; a checkpoint is a file, an address, or the folder of"):
        given.take([str(tmp_path / "photos")], workdir)
    shutil.rmtree(sweep.path / "runs")
    with pytest.raises(UserError, match="has no finished upstream run; `augreg status"):
        given.take([str(sweep.path)], workdir)


# What does not fit


def test_another_model_than_said_and_whose_it_is(tmp_path, workdir):
    path, _ = saved(tmp_path / "w.npz", "NFNet-mu")
    with pytest.raises(UserError, match=r"which ViT-mu does not have|which ViT-mu needs") as error:
        given.take([str(path)], workdir, "ViT-mu")
    assert "the file is of NFNet-mu" in str(error.value)
    misnamed = path.rename(tmp_path / f"{MU.name}.npz")
    with pytest.raises(UserError, match="the file is of NFNet-mu"):
        given.take([str(misnamed)], workdir)
    with pytest.raises(UserError, match="unknown model 'ViT-nu': did you mean 'ViT-mu'"):
        given.take([str(misnamed)], workdir, "ViT-nu")
    assert not (workdir.path / "checkpoints").exists()


def test_arrays_of_no_known_model(tmp_path, workdir):
    weights.write(tmp_path / "w.npz", {"x": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match=r"w.npz: fits no model known here, or is not complete; say what it is with --model"):
        given.take([str(tmp_path / "w.npz")], workdir)


def test_weights_that_are_not_finite(tmp_path, workdir):
    path, flat = saved(tmp_path / "w.npz")
    weights.write(path, {**flat, "cls": flat["cls"] * np.nan})
    with pytest.raises(UserError, match="'cls' are not finite: that training diverged"):
        given.take([str(path)], workdir)


def test_two_files_of_one_name(tmp_path, workdir):
    one, _ = saved(tmp_path / "a" / f"{MU.name}.npz", seed=1)
    other, _ = saved(tmp_path / "b" / f"{MU.name}.npz", seed=2)
    with pytest.raises(UserError, match=r"b/.* \([0-9a-f]{16}\) and .*are different weights of one name: rename"):
        given.take([str(one), str(other)], workdir)
