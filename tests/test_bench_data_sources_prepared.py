"""Folders that are no prepared data sets, sets that are damaged, and sets elsewhere."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from photographs import FORMATS, TRAIN, made_photos, prepare

from bench.data.sources import tfds
from bench.data.sources.source import Joined, Part, fingerprint
from bench.errors import UserError


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGREG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """The folders of one set of made images, prepared in both formats."""
    photos = made_photos()
    return {kind: prepare(tmp_path_factory.mktemp(kind), photos, kind) for kind in FORMATS}


@pytest.fixture(params=FORMATS)
def kind(request):
    return request.param


@pytest.fixture
def folder(directories, kind, tmp_path):
    """A prepared folder of its own, to be damaged."""
    return Path(shutil.copytree(directories[kind], tmp_path / "photographs" / "1.0.0"))


# Folders that are none, and damage


def refused(directory, said, spec="train"):
    with pytest.raises(UserError, match=said) as caught:
        tfds.open_split(str(directory), spec)
    assert str(caught.value).startswith(str(directory))
    assert "\n" not in str(caught.value)


def test_the_home_folder_may_be_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(tfds.open_split("~/1.0.0", "train")) == TRAIN


def test_missing_folders(folder, tmp_path):
    refused(tmp_path / "nowhere", "no such folder: prepare it with TFDS")
    refused(folder.parent, rf"not the folder of a version: give {folder} \(there: 1\.0\.0\)")
    refused(tmp_path, rf"not the folder of a version: give {folder} \(there: photographs/1\.0\.0\)")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"no dataset_info\.json in it: .* interrupted: prepare it with TFDS .* again")


@pytest.mark.parametrize("left", ["incomplete.IELU8Z_1.0.0", "1.0.0.incompleteIELU8Z"])
def test_interrupted_preparation(folder, left):
    begun = folder.rename(folder.parent / left)
    refused(folder, f"preparing it was interrupted: remove {begun} and prepare it with TFDS .* again")
    refused(begun, "preparing it was interrupted: remove it and prepare")


def test_facts_that_are_missing_or_damaged(folder):
    facts = (folder / "dataset_info.json").read_text()
    for damaged in ("", "{", facts[: len(facts) // 2], "[]"):
        (folder / "dataset_info.json").write_text(damaged)
        refused(folder, r"TFDS cannot read dataset_info\.json or features\.json: .*; prepare it with TFDS .* again")
    (folder / "dataset_info.json").write_text(facts)
    (folder / "features.json").write_text("{")
    refused(folder, "TFDS cannot read")
    (folder / "features.json").unlink()
    refused(folder, r"no features\.json in it: prepared by TFDS 3\.2 or older")
    (folder / "dataset_info.json").unlink()
    refused(folder, r"no dataset_info\.json in it")


def test_only_the_files_of_a_slice_are_looked_at(folder, kind):
    (folder / f"photographs-train.{kind}-00002-of-00003").unlink()
    assert len(tfds.open_split(str(folder), "train[:20]+train[5:25]")) == 40
    with pytest.raises(UserError, match=rf"train\.{kind}-00002-of-00003: cannot be read: No such file"):
        tfds.open_split(str(folder), "train[:30]")


def test_another_count_than_promised(folder, kind):
    facts = json.loads((folder / "dataset_info.json").read_text())
    assert facts["splits"][0]["shardLengths"] == ["13", "14", "13"]
    facts["splits"][0]["shardLengths"] = ["13", "15", "13"]
    (folder / "dataset_info.json").write_text(json.dumps(facts))
    refused(folder, rf"train\.{kind}-00001-of-00003: 14 records, but dataset_info\.json promises 15: fetch")
    assert len(tfds.open_split(str(folder), "train[:13]")) == 13


def test_formats_that_are_not_read(folder):
    facts = json.loads((folder / "dataset_info.json").read_text())
    facts["fileFormat"] = "riegeli"
    (folder / "dataset_info.json").write_text(json.dumps(facts))
    refused(folder, "riegeli files are not read: prepare it again as tfrecord or array_record")


def test_damaged_files(folder, kind):
    shard = folder / f"photographs-train.{kind}-00001-of-00003"
    whole = shard.read_bytes()
    shard.unlink()
    refused(folder, r"00001-of-00003: cannot be read: No such file")
    for content, said in (
        (b"", "the file is empty"),
        (whole[: len(whole) // 2], r"the file ends within it at byte \d|not an ArrayRecord file, or damaged or cut short"),
        (b"noise" * 30_000, "not a TFRecord file|not an ArrayRecord file"),
    ):
        shard.write_bytes(content)
        refused(folder, rf"00001-of-00003(, record \d+)?( at byte \d+)?: ({said})")
    shard.write_bytes(whole)
    assert len(tfds.open_split(str(folder), "train")) == TRAIN


def test_a_flipped_bit_is_found_when_the_set_is_checked(folder, kind):
    shard = folder / f"photographs-train.{kind}-00001-of-00003"
    content = bytearray(shard.read_bytes())
    image = tfds.open_split(str(folder), "train[17:18]").read(np.arange(1)).images[0]
    at = content.find(image) if kind == "tfrecord" else 3000
    content[at + 20] ^= 16
    shard.write_bytes(content)
    source = tfds.open_split(str(folder), "train")
    said = (
        r"00001-of-00003, record 4: does not agree with its checksum"
        if kind == "tfrecord"
        else r"00001-of-00003, record \d+ or near: .*orrupt"
    )
    for view in (source, Part(source, range(10, 30)), Joined([source, source])):
        with pytest.raises(UserError, match=said):
            view.check()
    tfds.open_split(str(folder), "train[:13]+train[27:]").check()


def test_a_record_that_is_no_example(folder, kind, monkeypatch):
    source = tfds.open_split(str(folder), "train")
    monkeypatch.setattr(source._records, "read", lambda *_, **__: [b"garbage"])
    with pytest.raises(
        UserError, match=rf"train\.{kind}-00000-of-00003, record 7: the record has no 'image' or no label.*DecodeError"
    ):
        source.read(np.array([7]))


def test_missing_packages_are_named(folder, kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    if kind == "array_record":
        refused(folder, "needs another package: pip install array_record")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    refused(folder, "needs another package: pip install tensorflow-datasets")


# Elsewhere


@pytest.fixture
def bucket(monkeypatch):
    class Bucket(MemoryFileSystem):
        store, pseudo_dirs, protocol = {}, [""], ("gs", "gcs")

    monkeypatch.setitem(_registry, "gs", Bucket)
    return Bucket()


@pytest.mark.parametrize("address", ["gs://sets/photographs/1.0.0", "gs://sets/photographs/1.0.0/"])
def test_a_prepared_set_in_a_bucket(directories, bucket, address):
    local = directories["tfrecord"]
    for path in local.iterdir():
        bucket.pipe_file(f"gs://sets/photographs/1.0.0/{path.name}", path.read_bytes())
    source = tfds.open_split(address, "train[20:]+validation")
    assert fingerprint(source) == fingerprint(tfds.open_split(str(local), "train[20:]+validation"))
    assert source.where(0) == "gs://sets/photographs/1.0.0/photographs-train.tfrecord-00001-of-00003, record 7"
    source.check()
    bucket.rm_file("gs://sets/photographs/1.0.0/photographs-train.tfrecord-00002-of-00003")
    with pytest.raises(UserError, match=r"gs://.*train\.tfrecord-00002-of-00003: no such file or bucket there"):
        tfds.open_split(address, "train")


def test_array_records_in_a_bucket_are_refused(directories, bucket):
    for path in directories["array_record"].iterdir():
        bucket.pipe_file(f"gs://sets/1.0.0/{path.name}", path.read_bytes())
    refused("gs://sets/1.0.0", r"ArrayRecord files are read from this machine only: copy them, or mount the bucket")


def test_buckets_without_a_prepared_set(bucket, monkeypatch):
    refused("gs://sets/1.0.0", "no such file or bucket there, or not for these credentials")
    bucket.pipe_file("gs://sets/1.0.0/dataset_info.json", b"{}")
    refused("gs://sets/1.0.0", r"no features\.json there: not the folder of a prepared version, or not copied whole")
    bucket.pipe_file("gs://sets/1.0.0/features.json", b"{}")
    refused("gs://sets/1.0.0", "TFDS cannot read")
    refused("gs://sets/incomplete.IELU8Z_1.0.0", "preparing it was interrupted")
    monkeypatch.setattr(type(bucket), "ls", lambda *_, **__: (_ for _ in ()).throw(OSError("Anonymous caller, 401")))
    refused("gs://sets/1.0.0", "cannot be read: Anonymous caller, 401; check the address and your credentials")


def test_without_the_package_for_buckets(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.delitem(_registry, "gs", raising=False)
    refused("gs://sets/1.0.0", r"needs more packages: pip install 'augreg-bench\[remote\]'")
