"""The Kubernetes executor: its manifests against golden files, and run by a stand-in for kubectl. No cluster has seen them."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from executor_contract import Contract, quick
from made import SWEEP

from bench.errors import UserError
from sweeps.executors import build, k8s, start
from sweeps.job import Job, Settings
from sweeps.launch import Launch
from sweeps.layout import Workdir

GOLDEN = Path(__file__).with_name("golden")
SLICE = {
    "image": "registry.example/augreg:1",
    "claim": "shared",
    "mount": "/shared",
    "namespace": "vision",
    "queue": "sweeps",
    "quota": "64",
    "hosts": "4",
    "accelerator": "tpu-v5-lite-podslice",
    "topology": "4x4",
    "tpus": "4",
    "cpus": "100",
    "memory": "180Gi",
    "spot": "1",
}
PLAIN = {"image": "registry.example/augreg:1", "claim": "shared", "mount": "/shared"}
GPU = PLAIN | {"gpus": "1", "cpus": "8", "memory": "32Gi", "queue": "sweeps"}
CASES = {"plain": PLAIN, "slice": SLICE, "gpu": GPU}


def at(folder, hosts=1):
    """Returns a launch of a workdir that need not exist."""
    job = Job(Workdir(folder), (SWEEP.points[0],), Settings(hosts=hosts))
    job.__dict__["id"] = "upstream-0123456789ab"  # not of this version's digests
    return Launch(job, 3)


def manifest(options):
    executor = build("k8s", options)
    return executor, executor.jobset(at(Path("/shared/results/two-models"), executor.describe().hosts))


@pytest.fixture(autouse=True)
def _no_data(monkeypatch):
    for name in ("AUGREG_DATA", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_pods_are_told_where_data_is(monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", "gs://bucket/tfds")
    [job] = manifest(PLAIN)[1]["spec"]["replicatedJobs"]
    [container] = job["template"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "AUGREG_DATA", "value": "gs://bucket/tfds"} in container["env"]


@pytest.mark.parametrize("name", CASES)
def test_the_manifest_is_the_golden_one(name):
    assert [manifest(CASES[name])[1]] == list(yaml.safe_load_all((GOLDEN / f"jobset_{name}.yaml").read_text()))


def test_the_queue_is_the_golden_one():
    assert manifest(SLICE)[0].kueue() == list(yaml.safe_load_all((GOLDEN / "kueue.yaml").read_text()))


@pytest.mark.parametrize("name", CASES)
def test_the_manifest_is_sound(name):
    """What Kubernetes' own validation would refuse, or what would go wrong at night."""
    executor, made = manifest(CASES[name])
    hosts = executor.describe().hosts
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])", made["metadata"]["name"])  # pods' names are 17 longer, of 63
    [replicated] = made["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    assert (job["completions"], job["parallelism"], job["completionMode"]) == (hosts, hosts, "Indexed")
    # Nothing restarts but by the coordinator; a disruption is told apart from a failure.
    assert (job["backoffLimit"], made["spec"]["failurePolicy"]["maxRestarts"]) == (0, 0)
    assert job["podFailurePolicy"]["rules"][0]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy wants it so
    assert pod["terminationGracePeriodSeconds"] > 20
    [container] = pod["containers"]
    known = {env["name"] for env in container["env"]} | {"JOB_COMPLETION_INDEX"}
    assert set(re.findall(r"\$\((\w+)\)", " ".join(container["command"]))) <= known
    assert {v["name"] for v in pod["volumes"]} == {m["name"] for m in container["volumeMounts"]}
    folder = Path(container["command"][container["command"].index("sweeps.member") + 1])
    assert any(folder.is_relative_to(mount["mountPath"]) for mount in container["volumeMounts"])
    assert all(isinstance(value, str) for value in pod.get("nodeSelector", {}).values())
    labels = (
        made["metadata"]["labels"].items() <= {**job["template"]["metadata"]["labels"], **made["metadata"]["labels"]}.items()
    )
    assert labels
    if "google.com/tpu" in container["resources"]["limits"]:
        sides = map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"))
        assert next(sides) * next(sides) == hosts * container["resources"]["limits"]["google.com/tpu"]
        assert made["metadata"]["annotations"]["alpha.jobset.sigs.k8s.io/exclusive-topology"]


def test_two_sweeps_of_one_name_do_not_meet():
    names = {start.title(at(Path("/shared") / folder)) for folder in ("a", "b")}
    assert len(names) == 2


def test_a_slice_that_does_not_add_up_is_refused():
    with pytest.raises(UserError, match=r"topology 4x4 has 16 chips, but hosts=2 with tpus=4 each are 8"):
        build("k8s", SLICE | {"hosts": "2"})


def test_a_workdir_that_pods_do_not_see_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(k8s.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="does not lie in /shared, which is what the pods see"):
        build("k8s", PLAIN).launch(Launch.new(quick(tmp_path, 1)))


def test_without_kubectl_the_manifests_are_left_to_be_applied(tmp_path, monkeypatch):
    monkeypatch.setattr(k8s.shutil, "which", lambda _: None)
    options = SLICE | {"mount": str(tmp_path)}
    executor = build("k8s", options)
    executor.wait(0)
    launches = [Launch.new(quick(tmp_path / "work", 1, hosts=4, configs=[point])) for point in SWEEP.points[:2]]
    for launch in launches:
        executor.launch(launch)
        assert executor.alive(launch)  # it may start any moment
    folder = tmp_path / "work" / "manifests"
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [*(f"{launch.attempt}.yaml" for launch in launches), "queue.yaml"]
    )
    with pytest.raises(UserError, match=rf"3 manifests are in {folder}; .*`kubectl apply --filename {folder}`"):
        executor.wait(0)
    fresh = build("k8s", options)
    fresh.wait(0)
    assert fresh.alive(launches[0])
    fresh.interrupt(launches[0])
    assert not fresh.alive(launches[0])


class TestStandIn(Contract):
    """The contract, with pods that are processes."""

    @pytest.fixture(autouse=True)
    def _cluster(self, tmp_path, monkeypatch):
        self.folder = tmp_path
        cluster, path = tmp_path / "cluster", tmp_path / "bin" / "kubectl"
        (cluster / "jobsets").mkdir(parents=True)
        path.parent.mkdir()
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("stand_in_kubectl.py")} "$@"\n')
        path.chmod(0o755)
        monkeypatch.setenv("CLUSTER", str(cluster))
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        monkeypatch.setenv("PYTHONPATH", start.source()["PYTHONPATH"])
        monkeypatch.setattr(k8s, "_ASK_SECONDS", 0.2)

    def make(self, hosts=1):
        executor = build("k8s", PLAIN | {"mount": str(self.folder), "hosts": str(hosts)})
        assert executor._kubectl == str(self.folder / "bin" / "kubectl")  # never a real one
        return executor
