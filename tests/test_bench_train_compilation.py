"""A damaged entry of the cache of compiled programs costs a compilation, in a process of its own as in a worker."""

import json
import shutil
import subprocess
import sys

import pytest

SCRIPT = """
import json, logging, sys
from pathlib import Path
import jax
import jax.numpy as jnp
from bench.train import compilation

logging.basicConfig(level=logging.WARNING)
compilation._LEAST_SECONDS = 0.0
if len(sys.argv) > 2:
    jax.config.update("jax_compilation_cache_max_size", int(sys.argv[2]))
compilation.switch_on(Path(sys.argv[1]))
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event.rsplit("/")[-1]))

def program(x):
    return jnp.sin(x) @ x.T

with compilation.mended():
    made = jax.jit(program).lower(jax.ShapeDtypeStruct((8, 8), jnp.float32)).compile()
found = made(jax.device_put(jnp.eye(8, dtype=jnp.float32)))
print(json.dumps({"value": float(found[0, 0]), "hits": hits.count("cache_hits"), "written": hits.count("cache_misses")}))
"""


def compiled(folder, *options):
    """Compiles one program in a process of its own; returns what it printed and what it said."""
    command = [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT, str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def entry(folder):
    [found] = folder.glob("jit_program-*-cache")
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    found, said = compiled(folder)
    assert (found["value"], found["hits"]) == (pytest.approx(0.841471), 0)
    assert found["written"] >= 1
    assert "jit_program" not in said
    return folder


@pytest.fixture
def cache(whole, tmp_path):
    """The cache with that program in it, which is put back afterwards: another folder would be another cache for JAX."""
    shutil.copytree(whole, tmp_path / "kept")
    yield whole
    shutil.rmtree(whole)
    shutil.copytree(tmp_path / "kept", whole)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")], ids=["truncated", "flipped", "empty"])
def test_a_damaged_entry_is_put_aside_compiled_anew_and_written_again(cache, damage):
    path = entry(cache)
    damage(path)
    damaged = path.read_bytes()
    found, said = compiled(cache)
    assert found["value"] == pytest.approx(0.841471)
    assert f"compiled program {path} was damaged" in said
    assert (cache / "quarantine" / path.name).read_bytes() == damaged
    assert path.read_bytes() != damaged
    before = found["hits"]
    # The next worker finds it again, and nothing to say.
    found, said = compiled(cache)
    assert found["hits"] == before + 1
    assert found["written"] == 0
    assert "damaged" not in said


def test_an_entry_without_its_time_does_not_stop_others_from_being_written_where_the_size_is_limited(cache):
    # As a worker without a limit leaves it, or one that was killed between two files; nothing reads this one.
    orphan = cache / "jit_other-0123-cache"
    entry(cache).rename(orphan)
    found, said = compiled(cache, "100000000")
    assert found["written"] >= 1
    assert "could not be kept" not in said
    assert entry(cache).exists()
    assert orphan.exists()
