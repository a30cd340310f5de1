"""The Ray executor on a real cluster of three nodes, all on this machine."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from executor_contract import QUICK, Contract, gone, quick, under_way, wait_for
from made import SWEEP
from processes import ENVIRONMENT, assert_same_results, finish
from processes import start as begin

from bench.errors import UserError
from sweeps import members
from sweeps.executors import build, start
from sweeps.executors.ray import POD_TYPE, SLICE
from sweeps.job import Settings
from sweeps.launch import Launch
from sweeps.layout import Workdir
from sweeps.run import Coordinator

ray = pytest.importorskip("ray")
# Ray leaves files and processes to the interpreter's end.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def cluster():
    """Yields a cluster of three nodes of one CPU each; two of them are a TPU slice, as far as Ray knows."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        for name in os.environ.keys() - ENVIRONMENT.keys():
            patch.delenv(name)
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("PYTHONPATH", start.source()["PYTHONPATH"])
        small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
        made = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
        for i in range(2):
            made.add_node(**small, resources={"TPU": 4}, labels={POD_TYPE: "v4-16", SLICE: "slice-a", "worker": str(i)})
        ray.init(address=made.address, log_to_driver=False, logging_level="error")
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.mark.usefixtures("cluster")
class TestRay(Contract):
    def make(self, hosts=1):
        return build("ray", {"hosts": str(hosts)})


@pytest.fixture
def _quick(monkeypatch):
    monkeypatch.setattr(start, "ENTRY", QUICK)


@pytest.mark.usefixtures("cluster", "_quick")
def test_a_slice_is_taken_as_a_whole(tmp_path):
    executor = build("ray", {"slice": "v4-16"})
    assert executor.describe()[:4] == ("ray", 1, "tpu", 4)
    assert executor.describe().hosts == 2
    job = quick(tmp_path, 10_000, hosts=2)
    launch = Launch.new(job)
    executor.launch(launch)
    under_way(job)
    assert ray.available_resources().get("TPU", 0) == 0
    executor.interrupt(launch)
    gone(executor, launch)
    wait_for(lambda: ray.available_resources().get("TPU", 0) == 8)
    with pytest.raises(UserError, match=r"no TPU slice of type 'v5p-8'; it has: v4-16"):
        build("ray", {"slice": "v5p-8"})


@pytest.mark.usefixtures("_quick")
def test_a_node_is_killed_in_mid_sweep_and_every_run_has_one_record(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.grouping.LARGEST_JOB", {"upstream": 1, "transfer": 2})
    workdir, executor = Workdir(tmp_path), build("ray", {})
    assert executor.capacity() == 3
    (tmp_path / "quick.json").write_text('{"steps": 40, "seconds": 0.05, "commit": true}')
    coordinator = Coordinator(SWEEP, workdir, executor, Settings())
    lost = []

    def show(status):
        if lost or not sum(status.done.values()):
            return
        raylets = {node.all_processes["raylet"][0].process.pid for node in cluster.worker_nodes}
        for folder in workdir.jobs.glob("*/[0-9]*"):
            for pid in members.pids(folder):
                if not lost and (raylet := parent(parent(pid))) in raylets:
                    lost.append(folder)
                    # A node that dies takes everything with it; what only lost its raylet may finish before it notices.
                    for each in (raylet, parent(pid), pid):
                        os.kill(each, signal.SIGKILL)

    coordinator.run(show)
    assert lost
    status = coordinator.status()
    assert status.complete
    assert status.done == {"upstream": 8, "probe": 0, "transfer": 16}
    assert Counter(r.config.name for r in workdir.records()) == Counter(p.name for p in SWEEP.points)
    launches = {path.parent.name: path.name for path in sorted(workdir.jobs.glob("*/[0-9]*"))}
    assert {name for name, number in launches.items() if number > "0001"} == {lost[0].parent.name}
    assert Launch.read(lost[0]).outcome() in (None, {"status": "preempted", "error": ""})
    assert executor.capacity() == 2
    assert not any(members.alive(path) for path in workdir.jobs.glob("*/*"))


@pytest.mark.faults
def test_a_node_is_killed_under_a_sweep_that_trains_and_the_table_is_that_of_an_undisturbed_one(cluster, tmp_path):
    undisturbed, workdir = tmp_path / "undisturbed", tmp_path / "work"
    finish("smoke", undisturbed, timeout=900)
    ray_options = ("--executor", "ray", "--option", f"address={cluster.address}", "--checkpoint-seconds", "0")
    process = begin("smoke", workdir, *ray_options)
    raylets = {node.all_processes["raylet"][0].process.pid for node in cluster.worker_nodes}
    lost = []

    def struck():
        assert process.poll() is None, (tmp_path / "work.log").read_text()
        for path in workdir.glob("runs/*/attempts/*/checkpoints/*/manifest.json"):
            job, number = path.parents[2].name.rsplit(".", 1)
            for pid in members.pids(workdir / "jobs" / job / number):
                if not lost and (raylet := parent(parent(pid))) in raylets:
                    os.kill(raylet, signal.SIGKILL)
                    lost.append(path.parents[2].name)
        return lost

    wait_for(struck, 900)
    assert process.wait(900) == 0, (tmp_path / "work.log").read_text()
    assert_same_results(undisturbed, workdir)
    records = list(Workdir(workdir).records())
    assert len(records) == len({record.config.name for record in records}) == 12
    [job], number = {lost[0].rsplit(".", 1)[0]}, lost[0].rsplit(".", 1)[1]
    assert sorted(p.name for p in (workdir / "jobs" / job).glob("[0-9]*"))[-1] > number


def parent(pid):
    """Returns the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
