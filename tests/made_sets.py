"""Tiny sets of JPEG files, laid out on disk in each of the forms that sets are found in."""

import contextlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from bench.data.sources import crc32c
from bench.points import TASKS
from bench.points.files import DATA, Files
from bench.points.tasks import Task
from sweeps import cli

NAME = "tiny_set"
CLASSES = 3
# Images of each split; TFDS keeps train and val together, as it does for most sets.
SIZES = {"train": 12, "val": 5, "test": 6}
FILES = Files(f"{NAME}:1", "train[:12]", "train[12:]", "test")
FORMS = ("tfds", "lists", "folders", "npz")
TASK = Task(NAME, "natural", CLASSES, *SIZES.values(), files=FILES)


def jpeg(seed, side=16):
    """Returns a JPEG file of smooth noise, another one for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((side, side + 3), Image.Resampling.BILINEAR).save(file, "JPEG")
    return file.getvalue()


def splits():
    """Returns (files, labels) of every split, labels in turn, all files different."""
    found, seed = {}, 0
    for purpose, size in SIZES.items():
        found[purpose] = [jpeg(seed + i) for i in range(size)], [i % CLASSES for i in range(size)]
        seed += size
    return found


def known(monkeypatch, folder):
    """Makes `NAME` a task, and `folder` the only one that sets are looked for in; returns it."""
    monkeypatch.setenv(DATA, str(folder))
    monkeypatch.setitem(TASKS, NAME, TASK)
    return folder


def augreg_data(capsys, *arguments):
    """Runs `augreg data` in this process; returns exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as left:
        cli.main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return left.value.code, captured.out, captured.err


def write(root, form, made=None, name=NAME):
    """Lays out splits under `root`, which stands for a folder of sets; returns the set's place."""
    made = made or splits()
    root.mkdir(parents=True, exist_ok=True)
    if form == "npz":
        return _npz(root / f"{name}.npz", made)
    if form == "tfds":
        files, labels = ([*made["train"][i], *made["val"][i]] for i in (0, 1))
        return write_tfds(root, {"train": (files, labels), "test": made["test"]}, name)
    return (_lists if form == "lists" else _folders)(root / name, made)


def _npz(path, made):
    arrays = {}
    for purpose, (files, labels) in made.items():
        arrays[f"{purpose}_jpg"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"{purpose}_off"] = np.cumsum([0, *map(len, files)])
        arrays[f"{purpose}_y"] = np.array(labels)
    np.savez(path, **arrays)
    return path


def _lists(place, made):
    for purpose, (files, labels) in made.items():
        folder = place / "images" / purpose
        folder.mkdir(parents=True)
        names = [f"{i:03}.jpg" for i in range(len(files))]
        for name, file in zip(names, files, strict=True):
            (folder / name).write_bytes(file)
        lines = [f"images/{purpose}/{name} {label}\n" for name, label in zip(names, labels, strict=True)]
        (place / f"{purpose}.txt").write_text("".join(lines))
    return place


def _folders(place, made):
    for purpose, (files, labels) in made.items():
        for i, (file, label) in enumerate(zip(files, labels, strict=True)):
            path = place / purpose / "abcdefgh"[label] / f"{i:03}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file)
    return place


def write_tfds(root, made, name=NAME, version="1.0.0", config=None, features=None, more=()):
    """Prepares a set with TFDS, as ArrayRecord files, which needs no TensorFlow; examples stay in order.

    Args:
      root: folder of sets.
      made: (files, labels) of every split.
      name, version: of the set.
      config: of the set.
      features: in place of image and label; `more` then has them.
      more: for each split, what examples have besides image and label.
    """
    import tensorflow_datasets as tfds

    more = dict(more)
    configs = [tfds.core.BuilderConfig(name=config)] if config else []
    given = features(tfds.features) if features else {"label": tfds.features.Scalar(np.int64)}

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        BUILDER_CONFIGS = configs

        def _info(self):
            kinds = {"image": tfds.features.Image(encoding_format="jpeg"), **given}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(kinds), disable_shuffling=True)

        def _split_generators(self, dl_manager):  # noqa: ARG002 - TFDS's signature
            return {split: self._generate_examples(split) for split in made}

        def _generate_examples(self, split):
            files, labels = made[split]
            for i, (file, label) in enumerate(zip(files, labels, strict=True)):
                rest = {key: values[i] for key, values in more.get(split, {}).items()}
                own = {"label": label} if "label" in given else {}
                yield i, {"image": io.BytesIO(file), **own, **rest}

    Made.name = name
    builder = Made(data_dir=str(root), file_format="array_record")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        builder.download_and_prepare()
    return root / name / (config or "") / version


def as_tfrecord(place):
    """Turns a prepared set of ArrayRecord files into one of TFRecord files."""
    from array_record.python.array_record_module import ArrayRecordReader

    for path in sorted(place.glob("*.array_record-*")):
        reader = ArrayRecordReader(str(path))
        framed = []
        for record in reader.read_all():
            size = struct.pack("<Q", len(record))
            checks = crc32c.masked(crc32c.checksums([size, record])).astype("<u4")
            framed += [size, checks[0].tobytes(), record, checks[1].tobytes()]
        reader.close()
        path.with_name(path.name.replace("array_record", "tfrecord")).write_bytes(b"".join(framed))
        path.unlink()
    facts = place / "dataset_info.json"
    facts.write_text(facts.read_text().replace("array_record", "tfrecord"))
    return place
