import json
import warnings

import numpy as np
import pytest
from real_data import real_data

from bench.data.sources import labels
from bench.errors import UserError
from bench.points import TASKS
from bench.points.small import SMALL
from bench.points.tasks import GROUPS
from vtab.tasks import EMBEDDED_LOADERS, load_task, sprites

FINGERPRINTS = {
    "digits": "fecfd1a383d635c4",
    "lfw_faces": "7034b7543dd853af",
    "synthetic_sprites_position": "e0d0e5d4d1e34358",
    "synthetic_sprites_orientation": "f481d73a05618831",
}
CLASS_COUNTS = {
    "digits": [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    "lfw_faces": [100, 100],
}


def splits(data):
    return data.train, data.val, data.test


def every(data, field):
    return np.concatenate([getattr(split, field) for split in splits(data)])


def raw_latents(**fixed):
    """Returns the raw latents of every sprite whose other latents are the given ones."""
    axes = {"shape": range(3), "scale": range(6), "orientation": range(40), "x": [15], "y": [15]} | fixed
    grid = np.meshgrid(*axes.values(), indexing="ij")
    return {name: values.ravel() for name, values in zip(axes, grid, strict=True)}


@pytest.mark.parametrize("name", list(EMBEDDED_LOADERS))
def test_a_task_is_what_its_facts_say(name):
    facts, data = TASKS[name], load_task(TASKS[name], 28)
    assert {p: data.facts()[p] for p in ("train", "val", "test")} == {p: getattr(facts, p) for p in ("train", "val", "test")}
    assert data.facts()["fingerprint"] == FINGERPRINTS[name]
    assert sorted(set(every(data, "labels").tolist())) == list(range(facts.classes))
    assert facts.group in GROUPS
    assert facts.synthetic == name.startswith("synthetic_")
    for split in splits(data):
        assert split.images.shape == (len(split), 28, 28, 3)
        assert (split.images == split.images[..., :1]).all()
        assert split.images.max() > 200 > split.images.min()


def test_every_fingerprint_is_pinned_and_every_group_has_a_task():
    assert set(FINGERPRINTS) == set(EMBEDDED_LOADERS) <= set(TASKS)
    assert {TASKS[name].group for name in EMBEDDED_LOADERS} == set(GROUPS)


@pytest.mark.parametrize("name", list(CLASS_COUNTS))
def test_whole_sources_are_used(name):
    assert np.bincount(every(load_task(TASKS[name], 28), "labels")).tolist() == CLASS_COUNTS[name]


@pytest.mark.parametrize("name", list(EMBEDDED_LOADERS))
def test_train_and_val_together(name):
    apart, both = load_task(TASKS[name], 8), load_task(TASKS[name], 8, "trainval")
    for field in ("images", "labels"):
        parts = [getattr(s, field) for s in (apart.train, apart.val)]
        assert np.array_equal(getattr(both.train, field), np.concatenate(parts))
    assert both.val is apart.val
    assert both.test is apart.test
    assert load_task(TASKS[name], 8, "tune") is apart


@pytest.mark.parametrize("task", SMALL, ids=lambda t: t.name)
def test_the_small_real_tasks(task, tmp_path, monkeypatch):
    path = real_data("cifar10" if task.name == "cifar10_1k" else task.name)
    (tmp_path / f"{task.name}.npz").symlink_to(path)
    monkeypatch.setenv("AUGREG_DATA", str(tmp_path))
    facts = json.loads(path.with_suffix(".json").read_text())
    data = load_task(task, 16)
    counts = [np.bincount(split.labels, minlength=task.classes).tolist() for split in splits(data)]
    assert counts == [facts["class_counts"][purpose] for purpose in ("train", "val", "test")]
    assert (task.group, task.classes) == (facts["group"], len(facts["classes"]))


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    source = load_digits()
    data = load_task(TASKS["digits"], 8)
    ours = sorted((int(y), x[..., 0].tobytes()) for s in splits(data) for x, y in zip(s.images, s.labels, strict=True))
    # 0..16 on 0..255: 16 values, each its own grey.
    grey = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    theirs = np.array(grey, np.uint8)[source.images.astype(int)]
    assert ours == sorted((int(y), x.tobytes()) for x, y in zip(theirs, source.target, strict=True))


def test_faces_are_the_ones_labelled_one():
    from skimage.data import lfw_subset

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = np.round(lfw_subset() * 255).astype(np.uint8)
    faces = {image.tobytes() for image in source[:100]}
    data = load_task(TASKS["lfw_faces"], 25)
    found = {x[..., 0].tobytes() for s in splits(data) for x, y in zip(s.images, s.labels, strict=True) if y == 1}
    assert found == faces


def test_a_task_is_resized_to_what_was_asked():
    assert load_task(TASKS["digits"], 12).train.images.shape == (800, 12, 12, 3)
    assert load_task(TASKS["digits"], 12) is load_task(TASKS["digits"], 12)
    assert np.array_equal(load_task(TASKS["digits"], 12).test.labels, load_task(TASKS["digits"], 28).test.labels)


def test_labels_are_features_or_functions():
    made = {task.files.label for task in TASKS.values() if task.files}
    functions = {name for name in made if hasattr(labels, name)}
    assert made - functions == {"label", "label_azimuth", "label_elevation"}
    assert functions == {
        *("closest_vehicle_distance", "clevr_count", "clevr_distance", "dsprites_location", "dsprites_orientation")
    }


@pytest.mark.parametrize("name", sorted(n for n, t in TASKS.items() if t.files))
def test_tasks_that_are_not_on_disk_say_so(name, tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", str(tmp_path))
    with pytest.raises(UserError, match=rf"^{name} is not on disk: .*{tmp_path}.*to get it: "):
        load_task(TASKS[name], 28)


def test_sprite_labels_are_vtabs():
    raw = np.arange(32)
    assert np.array_equal(sprites.label(raw, 32), raw // 2)
    turns = sprites.label(np.arange(40), 40)
    assert np.array_equal(turns, np.floor(np.arange(40) / 2.5))
    assert np.bincount(turns).tolist() == [3, 2] * 8


@pytest.mark.parametrize(("name", "latent", "values"), [("position", "x", 32), ("orientation", "orientation", 40)])
def test_sprite_images_carry_the_label_of_their_latent(name, latent, values):
    raw = sprites.latents(1500)
    data = load_task(TASKS[f"synthetic_sprites_{name}"], 64)
    expected = sorted(zip((raw[latent] * 16 // values).tolist(), map(bytes, sprites.render(raw)), strict=True))
    assert (
        sorted((int(y), x[..., 0].tobytes()) for s in splits(data) for x, y in zip(s.images, s.labels, strict=True)) == expected
    )


def test_sprite_latents_are_independent_and_cover_their_range():
    raw = sprites.latents(20_000)
    for name, values in {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}.items():
        counts = np.bincount(raw[name])
        assert len(counts) == values
        assert np.abs(counts - 20_000 / values).max() < 5 * np.sqrt(20_000 / values)
    assert np.abs(np.corrcoef(list(raw.values())) - np.eye(5)).max() < 0.04


def test_sprites_are_binary_and_lie_within_the_image():
    for x, y in ((0, 0), (0, 31), (31, 0), (31, 31), (15, 16)):
        images = sprites.render(raw_latents(x=[x], y=[y]))
        assert images.dtype == np.uint8
        assert np.unique(images).tolist() == [0, 255]
        assert not images[:, [0, -1], :].any()
        assert not images[:, :, [0, -1]].any()


@pytest.mark.parametrize(("shape", "offset"), [(0, 0.5), (1, 0.5), (2, 3.0)])
def test_sprites_sit_where_their_latents_say(shape, offset):
    # Positions run from 16 to 48 pixels; a heart's centre of mass lies off its centre.
    raw = raw_latents(shape=[shape], orientation=[0, 7, 20], x=[0, 10, 31], y=[0, 21, 31])
    images = sprites.render(raw) / 255
    grid = np.arange(64) + 0.5
    mass = images.sum((1, 2))
    x, y = (images.sum(1) * grid).sum(1) / mass, (images.sum(2) * grid).sum(1) / mass
    assert np.abs(x - (16 + 32 * raw["x"] / 31)).max() < offset
    assert np.abs(y - (16 + 32 * raw["y"] / 31)).max() < offset


def test_sprites_grow_with_their_scale():
    raw = raw_latents()
    area = (sprites.render(raw) > 0).sum((1, 2)).reshape(3, 6, 40).mean(2)
    assert (np.diff(area, axis=1) > 0).all()
    # Scales run from 1/2 to 1, so areas from 1/4 to 1.
    assert np.allclose(area[:, 0] / area[:, -1], 0.25, atol=0.02)
    # A square of side 1.8, an ellipse of half-axes 1 and 0.6, in units of 11 pixels.
    assert area[0, -1] == pytest.approx(3.24 * 121, rel=0.01)
    assert area[1, -1] == pytest.approx(0.6 * np.pi * 121, rel=0.01)


def test_orientation_zero_is_upright():
    square, ellipse, heart = sprites.render(raw_latents(scale=[5], orientation=[0])) > 0
    assert square.sum() == square.any(0).sum() * square.any(1).sum()  # a whole rectangle
    assert ellipse.any(0).sum() > 1.5 * ellipse.any(1).sum()
    # The heart is symmetric from left to right about its centre at 16 + 32 * 15 / 31 pixels, up to the pixel grid.
    columns = np.flatnonzero(heart.any(0)) + 0.5
    assert abs(columns.mean() - (16 + 32 * 15 / 31)) <= 0.5


def test_distinct_latents_give_distinct_sprites_but_for_symmetry():
    raw = raw_latents()
    images = sprites.render(raw)
    # 40 orientations are 39 steps of a whole turn: the first and the last are one angle, as in dSprites.
    turns = images.reshape(3, 6, 40, -1)
    assert np.array_equal(turns[:, :, 0], turns[:, :, 39])
    seen = {}
    for image, *latent in zip(images, raw["shape"].tolist(), raw["scale"].tolist(), raw["orientation"].tolist(), strict=True):
        seen.setdefault(image.tobytes(), []).append(latent)
    # On the pixel grid squares a quarter turn apart, give or take a step, and ellipses half a turn apart may look alike.
    period, slack = {0: 9.75, 1: 19.5, 2: 39}, {0: 1, 1: 1, 2: 0}
    for (shape, scale, first), *others in seen.values():
        for other_shape, other_scale, other in others:
            assert (other_shape, other_scale) == (shape, scale)
            turned = round((other - first) / period[shape])
            assert turned >= 1
            assert abs(other - first - turned * period[shape]) <= slack[shape]
