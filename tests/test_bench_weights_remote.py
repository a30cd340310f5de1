"""Weights from elsewhere: over http from a server on this machine, and from buckets that memory stands in for."""

import logging
import pickle
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import weightless
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from bench import remote, weights
from bench.errors import UserError

FLAT = {"x": np.random.default_rng(0).standard_normal((300, 1000)).astype(np.float32)}


class Server(ThreadingHTTPServer):
    """Answers with what `files` holds; counts the bodies that it began to send."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.sent, self.status, self.cut, self.version = {}, 0, 200, None, "1"
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        content = self.server.files.get(self.path)
        status = self.server.status if content is not None else 404
        if status != 200:
            self.send_error(status)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{self.server.version}"')
        self.end_headers()
        if self.command == "GET":
            self.server.sent += 1
            self.wfile.write(content[: self.server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "augreg-bench" / "weights"


@pytest.fixture
def content(tmp_path):
    weights.write(tmp_path / "w.npz", FLAT)
    return (tmp_path / "w.npz").read_bytes()


@pytest.fixture
def server(content):
    with Server() as server:
        server.files["/augreg/w.npz"] = content
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def refused(address, match):
    with pytest.raises(UserError, match=match) as caught:
        weights.read(address)
    assert str(caught.value).startswith(f"{address}: ")
    assert "\n" not in str(caught.value)


def test_a_file_is_fetched_once(server, cache):
    address = f"{server.address}/augreg/w.npz"
    assert weightless.same(weights.read(address), FLAT)
    assert weightless.same(weights.read(address), FLAT)
    assert server.sent == 1
    [kept] = cache.iterdir()
    assert kept.name.endswith("-w.npz")


def test_another_version_is_fetched_anew(server, tmp_path):
    address = f"{server.address}/augreg/w.npz"
    weights.read(address)
    weights.write(tmp_path / "w.npz", {"y": FLAT["x"]})
    server.files["/augreg/w.npz"], server.version = (tmp_path / "w.npz").read_bytes(), "2"
    assert weights.read(address).keys() == {"y"}
    assert server.sent == 2


def test_a_download_shows_its_progress_on_a_terminal_alone(server, monkeypatch, capsys):
    address = f"{server.address}/augreg/w.npz"
    weights.read(address)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    server.version = "2"
    weights.read(address)
    out, err = capsys.readouterr()
    assert out == ""
    assert "w.npz" in err
    assert "MB" in err


def test_missing_on_the_server(server):
    refused(f"{server.address}/augreg/x.npz", "no such file there")


@pytest.mark.parametrize("status", [403, 500])
def test_server_that_refuses(server, status):
    server.status = status
    refused(f"{server.address}/augreg/w.npz", f"cannot be fetched: the server answers {status}")


def test_nobody_there():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    refused(f"http://127.0.0.1:{port}/w.npz", "cannot be fetched: .*connect")


def test_a_broken_download_leaves_nothing_and_can_be_repeated(server, content, cache):
    address = f"{server.address}/augreg/w.npz"
    server.cut = len(content) // 2
    refused(address, "cannot be fetched|broke off")
    assert list(cache.iterdir()) == []
    server.cut = None
    assert weightless.same(weights.read(address), FLAT)


def test_a_pickle_is_refused_before_all_of_it_is_fetched(server, cache):
    server.files["/dm-nfnets/F2_haiku.npz"] = pickle.dumps({"NFNet/~/stem_conv0": {"w": np.zeros(3 << 20)}})
    refused(f"{server.address}/dm-nfnets/F2_haiku.npz", r"dm_nfnet_f2\.dm_in1k")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot write .*; AUGREG_CACHE sets the cache"):
        weights.read(f"{server.address}/augreg/w.npz")


# Buckets


def test_a_bucket_is_read_through_its_file_system(content, monkeypatch):
    class Bucket(MemoryFileSystem):
        store, pseudo_dirs, protocol = {}, [""], ("gs", "gcs")

    monkeypatch.setitem(_registry, "gs", Bucket)
    Bucket().pipe_file("vit_models/augreg/w.npz", content)
    assert weightless.same(weights.read("gs://vit_models/augreg/w.npz"), FLAT)
    refused("gs://vit_models/augreg/x.npz", "no such file there$")


def test_what_file_systems_log_does_not_come_before_the_message(monkeypatch, capfd):
    class Chatty(MemoryFileSystem):
        store, pseudo_dirs, protocol = {}, [""], ("gs", "gcs")

        def info(self, path, **_):
            for name in ("gcsfs.credentials", "google.auth.compute_engine", "fsspec"):
                logging.getLogger(name).error("no credentials")
            raise FileNotFoundError(path)

    monkeypatch.setitem(_registry, "gs", Chatty)
    refused("gs://vit_models/augreg/x.npz", "no such file there$")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def _no_gcsfs(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.delitem(_registry, "gs", raising=False)


@pytest.mark.usefixtures("_no_gcsfs")
def test_without_gcsfs_public_objects_are_read_over_https(server, monkeypatch):
    monkeypatch.setattr(remote, "_PUBLIC", server.address)
    assert weightless.same(weights.read("gs://augreg/w.npz"), FLAT)
    refused("gs://augreg/x.npz", "no such file there .*public objects alone; gcsfs is not installed")


@pytest.mark.parametrize("missing", ["fsspec", "aiohttp"])
def test_a_missing_package_names_the_extra(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r"pip install 'augreg-bench\[remote\]'"):
        weights.read("https://example.org/w.npz")


def test_only_addresses_are_fetched(tmp_path):
    weights.write(tmp_path / "gs:" / "w.npz", FLAT)
    assert weightless.same(weights.read(tmp_path / "gs:" / "w.npz"), FLAT)
    with pytest.raises(UserError, match="no such file of weights"):
        weights.read("ftp://example.org/w.npz")
