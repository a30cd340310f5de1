"""Every task on the features of TFDS's own builders: versions, classes, labels and images of a few made examples."""

import re
from dataclasses import replace

import made_sets
import made_tfds
import numpy as np
import pytest

from bench.data import disk
from bench.points import TASKS, UPSTREAM
from bench.points.files import DATA, Files
from bench.points.small import SMALL
from bench.points.tasks import EXTRAS
from bench.points.vtab import FULL, ONE_K
from vtab.tasks import load_task

# What TFDS 4.9 makes of each set today, and how many classes its own label has (None: it has none, or the task has another).
TFDS = {
    "caltech101:3": ("3.0.2", 102),
    "cars196:2": ("2.1.0", 196),
    "cifar10:3": ("3.0.2", 10),
    "cifar100:3": ("3.0.2", 100),
    "clevr:3": ("3.1.0", None),
    "diabetic_retinopathy_detection/btgraham-300:3": ("3.0.0", 5),
    "dmlab:2": ("2.0.1", 6),
    "dsprites:2": ("2.0.0", None),
    "dtd:3": ("3.0.1", 47),
    "eurosat/rgb:2": ("2.0.0", 10),
    "imagenet2012:5": ("5.1.0", 1000),
    "imagenet2012_real:1": ("1.0.0", None),
    "imagenet_v2/matched-frequency:3": ("3.0.0", 1000),
    "kitti:3": ("3.3.0", None),
    "oxford_flowers102:2": ("2.1.1", 102),
    "oxford_iiit_pet:4": ("4.0.0", 37),
    "patch_camelyon:2": ("2.0.0", 2),
    "resisc45:3": ("3.0.0", 45),
    "smallnorb:2": ("2.0.0", None),
    "sun397/tfds:4": ("4.0.0", 397),
    "svhn_cropped:3": ("3.1.0", 10),
}
# Labels that are features of their own, with the number of their classes.
FEATURES = {"label_azimuth": 18, "label_elevation": 9, "label_x_position": 32, "label_orientation": 40}
OFFICIAL = [t for t in TASKS.values() if t.files and t not in SMALL]
SIZES = {"train": 9, "validation": 5, "test": 7}
# Thresholds of VTAB's code, to be compared with `>` one by one.
CLEVR, KITTI = (0, 8, 8.5, 9, 9.5, 10, 100), (-100, 8, 20, 999)
DISTANCES = [8.0, 8.001, 8.5, 8.6, 9.0, 9.2, 9.5, 9.9, 10.0]
DEPTHS = [7.9, 8.0, 8.1, 20.0, 20.1, 500.0, 999.0, -100.0 + 1e-3, 12.0]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGREG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def beyond(thresholds, value):
    return max(i for i, threshold in enumerate(thresholds) if value > threshold)


def label(task, example):
    """Returns an example's label by VTAB's own words."""
    kind, objects = task.files.label, example.get("objects")
    if kind == "clevr_count":
        return len(objects["size"]) - 3
    if kind == "clevr_distance":
        return beyond(CLEVR, min(objects["pixel_coords"][:, 2]))
    if kind == "closest_vehicle_distance":
        depths = [z for z, type_ in zip(objects["location"][:, 2], objects["type"], strict=True) if type_ in (0, 1, 2)]
        return beyond(KITTI, min([*depths, 1000.0]))
    if kind == "dsprites_location":
        return int(np.floor(np.float32(example["label_x_position"]) / np.float32(32 / 16)))
    if kind == "dsprites_orientation":
        return int(np.floor(np.float32(example["label_orientation"]) / np.float32(40 / 16)))
    return int(example[kind])


def clevr_objects(i):
    count = 3 + i % 8
    rng = np.random.default_rng(i)
    coordinates = rng.uniform(10, 12, (count, 3)).astype(np.float32)
    coordinates[i % count, 2] = DISTANCES[i]
    words = dict.fromkeys(("color", "material", "shape", "size"), np.zeros(count, np.int64))
    return {**words, "rotation": np.zeros(count, np.float32), "3d_coords": coordinates, "pixel_coords": coordinates}


def kitti_objects(i):
    # A pedestrian (3) is closer than any vehicle; the last image has nothing else.
    types = np.array([3] if i == 8 else [3, i % 3, 2], np.int64)
    location = np.full((len(types), 3), 1.0, np.float32)
    location[1:2, 2], location[2:, 2] = DEPTHS[i], 998.0 if DEPTHS[i] < 998 else 1500.0
    return {
        **dict.fromkeys(("alpha", "rotation_y", "truncated"), np.zeros(len(types), np.float32)),
        "type": types,
        "occluded": np.zeros(len(types), np.int64),
        "location": location,
        "bbox": np.tile(np.array([0, 0, 1, 1], np.float32), (len(types), 1)),
        "dimensions": location,
    }


def box(_):
    return np.array([0, 0, 1, 1], np.float32)


CHANGES = {
    "cars196": {"bbox": box},
    "oxford_iiit_pet": {"head_bbox": box},
    "clevr": {"objects": clevr_objects},
    "dsprites": {
        "image": lambda i: np.random.default_rng(i).integers(0, 2, (64, 64, 1)).astype(np.uint8),
        "label_x_position": lambda i: [0, 1, 2, 15, 16, 29, 30, 31, 3][i],
        "label_orientation": lambda i: [0, 2, 3, 4, 5, 37, 38, 39, 7][i],
    },
    "kitti": {"objects": kitti_objects},
    "smallnorb": {"label_azimuth": lambda i: 2 * i, "label_elevation": lambda i: i % 9},
    "svhn_cropped": {"label": lambda i: (9 + i) % 10},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns a function that prepares a set, once: the folder of sets, and its examples by split."""
    done = {}

    def prepare(files):
        if files.tfds not in done:
            root, builder = tmp_path_factory.mktemp("sets"), made_tfds.builder(files.tfds)
            splits = {s: made_tfds.examples(builder, n, **CHANGES.get(files.name, {})) for s, n in SIZES.items()}
            made_tfds.prepare(root, builder, splits)
            done[files.tfds] = root, splits
        return done[files.tfds]

    return prepare


def shrunk(files):
    """Returns the same cuts with their numbers replaced by 2, 4, 6 and 8, in order."""
    numbers = sorted({int(n) for spec in files.splits().values() for n in re.findall(r"[0-9]+", spec)})
    small = {str(n): str(2 * i + 2) for i, n in enumerate(numbers)}
    cuts = {p: re.sub(r"[0-9]+", lambda m: small[m[0]], spec) for p, spec in files.splits().items()}
    return replace(files, **cuts)


def cut(spec, splits):
    name, low, high = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", spec).groups()
    return splits[name][slice(int(low) if low else None, int(high) if high else None)]


def test_every_version_resolves_and_has_the_classes_of_the_facts():
    assert {t.files.tfds for t in (*OFFICIAL, *EXTRAS.values())} == set(TFDS)
    for tfds, (version, classes) in TFDS.items():
        builder = made_tfds.builder(tfds)
        assert str(builder.version) == version
        assert builder.info.features["image"].shape[-1] in (1, 3)
        if classes:
            assert builder.info.features["label"].num_classes == classes
            of = [t for t in OFFICIAL if t.files.tfds == tfds] + [UPSTREAM["i1k"]] * (tfds == "imagenet2012:5")
            assert all(t.classes == classes for t in of)
            assert all(t.files.label == "label" for t in of)


def test_labels_made_of_other_features_have_the_values_that_the_code_takes_for_granted():
    features = {name: made_tfds.builder(name).info.features for name in ("kitti:3", "smallnorb:2", "dsprites:2")}
    kinds = features["kitti:3"]["objects"].feature["type"]
    assert kinds.names[:3] == ["Car", "Van", "Truck"]
    counts = {name: each[name].num_classes for each in features.values() for name in FEATURES if name in each}
    assert counts == FEATURES
    for name in ("vtab_smallnorb_azimuth", "vtab_smallnorb_elevation"):
        assert TASKS[name].classes == FEATURES[TASKS[name].files.label]


def test_a_split_means_to_tfds_what_the_facts_say():
    # TFDS's own arithmetic, over the full sizes that its documentation states.
    import tensorflow_datasets as tfds
    from test_bench_points_facts import TFDS_SPLITS

    for task in OFFICIAL:
        splits = {
            name: tfds.core.SplitInfo(name=name, shard_lengths=[n], num_bytes=0)
            for name, n in TFDS_SPLITS[task.files.name].items()
        }
        for purpose, spec in task.files.splits().items():
            [part] = tfds.core.ReadInstruction.from_spec(spec).to_absolute(tfds.core.SplitDict(splits.values()))
            whole = splits[part.splitname].num_examples
            size = (whole if part.to is None else part.to) - (part.from_ or 0)
            assert size == getattr(task, purpose), (task.name, purpose)


@pytest.mark.parametrize("task", OFFICIAL, ids=lambda t: t.name)
def test_labels_and_cuts_on_made_examples(task, made, monkeypatch):
    root, splits = made(task.files)
    monkeypatch.setenv(DATA, str(root))
    files = shrunk(task.files)
    expected = {p: [label(task, e) for e in cut(spec, splits)] for p, spec in files.splits().items()}
    sizes = {purpose: len(labels) for purpose, labels in expected.items()}
    small = replace(task, name=f"made_{task.name}", files=files, crop=False, **sizes)
    for fit in ("train", "trainval"):
        data = load_task(small, 8, fit)
        assert data.val.labels.tolist() == expected["val"]
        assert data.test.labels.tolist() == expected["test"]
        both = expected["train"] + (expected["val"] if fit == "trainval" else [])
        assert data.train.labels.tolist() == both
        assert data.train.images.shape == (len(both), 8, 8, 3)


def test_all_19_are_there():
    assert {t.name for t in OFFICIAL} >= {*FULL, *ONE_K}
    assert len(FULL) == len(ONE_K) == 19


@pytest.mark.parametrize("name", ["dsprites_location", "smallnorb_azimuth", "svhn", "cifar100", "camelyon"])
def test_images_are_the_stored_ones_in_three_channels_and_two_values_become_black_and_white(name, made, monkeypatch):
    task = TASKS[f"vtab_{name}"]
    root, splits = made(task.files)
    monkeypatch.setenv(DATA, str(root))
    files = shrunk(task.files)
    stored = np.stack([e["image"] for e in cut(files.train, splits)])
    stretched = stored * np.uint8(255) if task.files.name == "dsprites" else stored
    sizes = {p: len(cut(spec, splits)) for p, spec in files.splits().items()}
    data = load_task(replace(task, name=f"made_{name}", files=files, **sizes), stored.shape[1])
    assert np.array_equal(data.train.images, np.broadcast_to(stretched, (*stored.shape[:3], 3)))
    if task.files.name == "dsprites":
        assert np.unique(data.train.images).tolist() == [0, 255]


def test_images_that_are_not_of_zeros_and_ones_are_refused(tmp_path, monkeypatch):
    from bench.errors import UserError

    builder = made_tfds.builder("dsprites:2")
    grey = made_tfds.examples(builder, 2, image=lambda i: np.full((64, 64, 1), 255 * i, np.uint8))
    made_tfds.prepare(tmp_path, builder, {"train": grey})
    monkeypatch.setenv(DATA, str(tmp_path))
    found = disk.find("made", Files("dsprites:2", train="train", label="dsprites_location"))
    with pytest.raises(UserError, match=r"dsprites-train\.array_record.*record 1: holds other values than 0 and 1"):
        found.open("train").read(np.arange(2))


@pytest.mark.parametrize("name", list(EXTRAS))
def test_imagenets_other_sets_on_made_examples(name, made, monkeypatch):
    extra = EXTRAS[name]
    several = [[], [3], [7, 8], [1], [2]]
    monkeypatch.setitem(CHANGES, "imagenet2012_real", {"real_label": lambda i: np.array(several[i % 5], np.int64)})
    root, splits = made(extra.files)
    monkeypatch.setenv(DATA, str(root))
    examples = splits[extra.files.test]
    source = disk.open_set(name, extra.files, {"test": len(examples)}, 1000)["test"]
    labels = source.read(np.arange(len(examples))).labels
    if name == "imagenet_v2":
        assert labels.tolist() == [int(e["label"]) for e in examples]
    else:
        assert [[n for n in row if n >= 0] for row in labels.tolist()] == several
    assert source.names(np.arange(len(examples))) == [e["file_name"] for e in examples]


def test_examples_have_the_names_of_their_files(made, monkeypatch):
    for tfds, feature in (("caltech101:3", "image/file_name"), ("eurosat/rgb:2", "filename"), ("cifar100:3", "id")):
        files = Files(tfds, train="train")
        root, splits = made(files)
        monkeypatch.setenv(DATA, str(root))
        names = disk.find("made", files).open("train").names(np.array([3, 0]))
        assert names == [splits["train"][i][feature] for i in (3, 0)]


def test_examples_without_names_have_tfdss_own(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    builder = made_tfds.builder("dsprites:2")
    made_tfds.prepare(tmp_path, builder, {"train": made_tfds.examples(builder, 9, **CHANGES["dsprites"])})
    place = made_sets.as_tfrecord(tmp_path / "dsprites" / "2.0.0")
    monkeypatch.setenv(DATA, str(tmp_path))
    source = disk.find("made", Files("dsprites:2", train="train[2:]", label="dsprites_location")).open("train")
    config = tfds.ReadConfig(add_tfds_id=True)
    theirs = tfds.builder_from_directory(place).as_dataset(split="train[2:]", read_config=config)
    assert source.names(np.arange(7)) == [e["tfds_id"].decode() for e in theirs.as_numpy_iterator()]
