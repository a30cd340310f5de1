"""The direction of imports, read from the source, and what the light modules must not load."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench
import sweeps
import vtab

ROOTS = {package.__name__: Path(package.__file__).parent for package in (bench, vtab, sweeps)}
HEAVY = {"jax", "flax", "optax", "orbax", "tensorflow"}
COMPUTE = {"bench.models", "bench.weights", "bench.augment", "bench.data", "bench.train"}


def name_of(root, path):
    """Returns the dotted name of a source file."""
    parts = (root, *path.relative_to(ROOTS[root]).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """Returns every module that a file imports, wherever in it, `from a import b` as a.b: b may be a module.

    `import_module("a")` counts as well.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return found


IMPORTS = {name_of(root, path): imports_of(path) for root, folder in ROOTS.items() for path in folder.rglob("*.py")}


def within(module, packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def offences(importers, forbidden):
    """Returns `importer -> module` for each module under `importers` that imports something under `forbidden`."""
    return sorted(
        f"{importer} -> {module}"
        for importer, modules in IMPORTS.items()
        for module in modules
        if within(importer, importers) and within(module, forbidden)
    )


def test_the_walk_sees_the_source():
    assert len(IMPORTS) > 50
    assert within("bench.points.names", {"bench.points"})
    assert not within("bench.pointsmore", {"bench.points"})
    assert "bench.points.transfer.Transfer" in IMPORTS["bench.points.names"]
    # Imports within functions count as well.
    assert "bench.points.names.format_upstream" in IMPORTS["bench.points.upstream"]
    assert offences({"bench.train"}, {"bench.data"})


@pytest.mark.parametrize(
    ("importers", "forbidden"),
    [
        ({"bench"}, {"vtab", "sweeps"}),
        ({"vtab"}, {"sweeps"}),
        ({"bench.errors"}, {"bench.points", "bench.records", *COMPUTE}),
        ({"bench.points"}, {"bench.records", "bench.cost", "numpy", "pandas"}),
        (
            {"bench.points", "bench.records", "bench.cost"},
            {*HEAVY, *COMPUTE, "bench.select", "bench.report", "matplotlib"},
        ),
        ({"bench.models", "bench.augment", "bench.data"}, {"bench.train", "bench.select", "bench.report", "bench.records"}),
        ({"bench.models", "bench.augment", "bench.data"}, {"bench.weights"}),
        ({"bench.weights"}, {"bench.train", "bench.augment", "bench.data", "bench.select", "bench.report"}),
        ({"bench.select", "bench.report"}, {*COMPUTE, *HEAVY}),
        ({"bench.select"}, {"bench.report", "matplotlib"}),
        ({"bench.findings"}, {*COMPUTE, *HEAVY, "bench.report", "matplotlib"}),
        ({"bench.points", "bench.records", "bench.cost", "bench.select"}, {"bench.findings"}),
        ({"bench.train"}, {"bench.select", "bench.report"}),
        ({"bench.data"}, {"jax", "bench.augment", "bench.models"}),
        ({"bench.points", "bench.models", "bench.weights", "bench.augment", "vtab", "sweeps"}, {"tensorflow", "timm"}),
        ({"bench.points", "bench.models", "bench.weights", "bench.train", "vtab", "sweeps"}, {"torch"}),
    ],
)
def test_imports_point_one_way(importers, forbidden):
    assert offences(importers, forbidden) == []


def test_only_the_study_searches_and_what_is_measured_against_them_know_optuna():
    importers = {offence.split(" -> ")[0] for offence in offences({"bench", "vtab", "sweeps"}, {"optuna", "cmaes"})}
    others = {name for name in importers if not name.startswith(("sweeps.search.", "sweeps.perf."))}
    assert others == {"sweeps.study", "sweeps.storage"}
    # Named sweeps hold searches as data, and the command line lists them.
    assert importers & {"sweeps.search", "sweeps.search.axes", "sweeps.search.space"} == set()


def test_nothing_that_runs_a_sweep_trusts_the_wall_clock():
    """Somebody may set it at any moment; monotonic seconds go on."""
    paths = [path for root in ROOTS for path in ROOTS[root].rglob("*.py")]
    clocks = re.compile(r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow|today)\(")
    assert len(paths) > 50
    assert [path.name for path in paths if clocks.search(path.read_text())] == []


def test_only_the_decoder_knows_tensorflow_and_only_sources_know_tfds():
    # Importing TensorFlow takes seconds and 770 MB; speed is compared with it.
    importers = {offence.split(" -> ")[0] for offence in offences({"bench", "vtab", "sweeps"}, {"tensorflow"})}
    assert {name for name in importers if not name.startswith("bench.perf.")} == {"bench.data.decode"}
    importers = {offence.split(" -> ")[0] for offence in offences({"bench", "vtab", "sweeps"}, {"tensorflow_datasets"})}
    assert {name.rpartition(".")[0] for name in importers} == {"bench.data.sources"}


@pytest.mark.parametrize(("package", "tracker"), [("tensorboardX", "tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow")])
def test_only_its_tracker_knows_the_package_of_a_tracker(package, tracker):
    importers = {offence.split(" -> ")[0] for offence in offences({"bench", "vtab", "sweeps"}, {package})}
    assert importers == {f"bench.train.trackers.{tracker}"}
    # It is imported by name, and only where it is asked for.
    assert offences({"bench", "vtab", "sweeps"}, {f"bench.train.trackers.{tracker}"}) == []


def loaded(code):
    """Returns the modules that a fresh interpreter has loaded after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        ("import bench.points", HEAVY | {"numpy", "pandas", "matplotlib", "scipy"}),
        ("import bench.cost", HEAVY | {"numpy", "pandas", "matplotlib", "scipy"}),
        ("import bench.records.table", HEAVY | {"matplotlib", "scipy"}),
        ("import bench.select.strategies", HEAVY | {"matplotlib"}),
        ("import bench.select.scores", HEAVY | {"matplotlib"}),
        ("import bench.findings.verdicts", HEAVY | {"matplotlib"}),
        ("import bench.data", HEAVY | {"tensorflow_datasets", "matplotlib"}),
        ("from bench.data import load_upstream as load; load('mnist5k', 28)", HEAVY | {"tensorflow_datasets", "matplotlib"}),
        ("import sweeps.cli", HEAVY | {"matplotlib", "pandas", "numpy", "optuna"}),
    ],
)
def test_light_modules_load_nothing_heavy(code, forbidden):
    assert loaded(code) & forbidden == set()
