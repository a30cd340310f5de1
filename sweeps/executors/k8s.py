"""Kubernetes executor: a JobSet a launch, queued by Kueue. It writes the manifests, and applies them where there is kubectl.

Kubernetes restarts nothing: a pod that was taken away ends its JobSet, and the coordinator makes another one for the next
launch, which goes through the queue again. A disrupted pod (maintenance, preemption, a drained node) ends it with the reason
`PodFailurePolicy` instead of counting against a limit of failures.
"""

from __future__ import annotations

import json
import math
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from bench.errors import UserError
from bench.records.atomic import write
from sweeps import members
from sweeps.executors import HOSTS, WORKERS, Capabilities, Facts, Option
from sweeps.executors.start import carried, command, title
from sweeps.launch import Launch

FACTS = Facts(
    about="JobSets of a Kubernetes cluster, queued by Kueue",
    extra="",
    program="kubectl",
    module="",
    ran="its manifests against golden files, and a stand-in for kubectl that runs them here; never on a cluster",
    options=(
        Option("workers", 32, f"{WORKERS}, waiting ones included"),
        Option("hosts", 1, f"{HOSTS}: pods of the JobSet; for a TPU slice of several hosts, their number"),
        Option("image", "", "of the containers, with augreg-bench installed as `python`; required"),
        Option("claim", "", "PersistentVolumeClaim of the folder that all share, ReadWriteMany; required"),
        Option("mount", "", "where it is mounted, here and in the containers; the workdir lies in it; required"),
        Option("namespace", "default", "of everything"),
        Option("queue", "", "Kueue's LocalQueue; without one nothing is queued"),
        Option("quota", 0, "also write a LocalQueue of that name, its ClusterQueue and flavour, with so many chips"),
        Option("accelerator", "", "node label cloud.google.com/gke-tpu-accelerator, such as `tpu-v5-lite-podslice`"),
        Option("topology", "", "node label cloud.google.com/gke-tpu-topology, such as `4x4`"),
        Option("tpus", 0, "google.com/tpu of each pod: all chips of its host"),
        Option("gpus", 0, "nvidia.com/gpu of each pod"),
        Option("cpus", 1, "of each pod"),
        Option("memory", "4Gi", "of each pod"),
        Option("spot", 0, "1: only on nodes with cloud.google.com/gke-spot"),
        Option("grace", 45, "seconds that a pod has to checkpoint when it is told to stop"),
    ),
)
_REQUIRED = ("image", "claim", "mount")
# The API server is asked once for all JobSets, no more often than this.
_ASK_SECONDS = 5.0
_CHIPS = {"google.com/tpu": "tpus", "nvidia.com/gpu": "gpus"}
_OVER = ("Completed", "Failed")


class K8s:
    """Runs jobs on a Kubernetes cluster; the options are those of `FACTS`."""

    def __init__(self, **options: Any) -> None:
        for name in _REQUIRED:
            if not options[name]:
                raise UserError(f"the executor k8s needs --option {name}=...: {FACTS.options[_index(name)].about}")
        if options["quota"] and not options["queue"]:
            raise UserError("option quota of the executor k8s needs --option queue=...: the name of the LocalQueue to write")
        sides = options["topology"].split("x") if options["topology"] else []
        if not all(side.isdigit() for side in sides):
            raise UserError(f"option topology of the executor k8s is {options['topology']!r}, but must be such as 4x4 or 2x2x2")
        chips = max(options["hosts"], 1) * options["tpus"]
        if sides and (wanted := math.prod(map(int, sides))) != chips:
            raise UserError(
                f"a slice of topology {options['topology']} has {wanted} chips, but hosts={options['hosts']} with"
                f" tpus={options['tpus']} each are {chips}"
            )
        self._given = options
        self._kubectl = shutil.which("kubectl")
        self._unapplied: list[Path] = []
        self._queued = False
        self._asked = float("-inf")
        self._known: dict[str, bool] | None = None

    def capacity(self) -> int:
        """Returns how many JobSets there may be at once."""
        return int(self._given["workers"]) or 1

    def describe(self) -> Capabilities:
        """Returns what it can do."""
        tpus, gpus = self._given["tpus"], self._given["gpus"]
        device = "tpu" if tpus else "gpu" if gpus else "cpu"
        note = f"needs the claim {self._given['claim']} at {self._given['mount']}"
        hosts = max(self._given["hosts"], 1)
        return Capabilities("k8s", self.capacity(), device, tpus or gpus or self._given["cpus"], True, True, note, hosts)

    # What is written

    def launch(self, launch: Launch) -> None:
        """Writes the launch's manifest, before the first one also the queue's, and applies it where there is kubectl.

        Raises:
          UserError: the workdir does not lie in the mounted folder, or the cluster refuses the manifest.
        """
        path = _manifest(launch)
        if not path.resolve().is_relative_to(Path(self._given["mount"]).resolve()):
            mount = self._given["mount"]
            raise UserError(f"{path.parents[1]} does not lie in {mount}, which is what the pods see: choose a --workdir there")
        if self._given["quota"] and not self._queued:
            queue = path.parent / "queue.yaml"
            _write(queue, self.kueue())
            self._apply(queue)
            self._queued = True
        _write(path, [self.jobset(launch)])
        self._apply(path)
        self._asked = float("-inf")

    def _apply(self, path: Path) -> None:
        if self._kubectl is None:
            self._unapplied.append(path)
            return
        done = self._run("apply", "--filename", str(path))
        if done.returncode:
            raise UserError(f"kubectl apply --filename {path}: {' '.join(done.stderr.split())}")

    def jobset(self, launch: Launch) -> dict[str, Any]:
        """Returns the JobSet of a launch: one indexed Job whose pods are its processes."""
        given, hosts = self._given, launch.job.settings.hosts
        labels = {"app.kubernetes.io/name": "augreg", "app.kubernetes.io/instance": title(launch)}
        queue = {"kueue.x-k8s.io/queue-name": given["queue"]} if given["queue"] else {}
        # One slice of a node pool is one JobSet's; GKE gives every slice of several hosts a node pool.
        exclusive = {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"}
        return {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "metadata": {
                "name": title(launch),
                "namespace": given["namespace"],
                "labels": labels | queue,
                **({"annotations": exclusive} if given["tpus"] and hosts > 1 else {}),
            },
            "spec": {
                "failurePolicy": {"maxRestarts": 0},
                "ttlSecondsAfterFinished": 3600,
                "replicatedJobs": [
                    {
                        "name": "run",
                        "replicas": 1,
                        "template": {
                            "spec": {
                                "completionMode": "Indexed",
                                "completions": hosts,
                                "parallelism": hosts,
                                "backoffLimit": 0,
                                "podFailurePolicy": {
                                    "rules": [
                                        {
                                            "action": "FailJob",
                                            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                                        }
                                    ]
                                },
                                "template": {"metadata": {"labels": labels}, "spec": self._pod(launch)},
                            }
                        },
                    }
                ],
            },
        }

    def _pod(self, launch: Launch) -> dict[str, Any]:
        given = self._given
        chips = {name: given[option] for name, option in _CHIPS.items() if given[option]}
        nodes = {
            "cloud.google.com/gke-tpu-accelerator": given["accelerator"],
            "cloud.google.com/gke-tpu-topology": given["topology"],
            "cloud.google.com/gke-spot": "true" if given["spot"] else "",
        }
        cores = () if chips else ("--cores", str(given["cpus"]))
        arguments = ("--process", "$(JOB_COMPLETION_INDEX)", "--host", "$(POD_IP)", "--log", *cores)
        return {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": given["grace"],
            **({"nodeSelector": selector} if (selector := {k: v for k, v in nodes.items() if v}) else {}),
            "containers": [
                {
                    "name": "member",
                    "image": given["image"],
                    "command": ["python", *command(launch.folder.resolve(), None, launch.job.settings.hosts, *arguments)],
                    "env": [
                        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        *({"name": name, "value": value} for name, value in carried().items()),
                    ],
                    "resources": {
                        "requests": {"cpu": given["cpus"], "memory": given["memory"]},
                        "limits": {"memory": given["memory"], **chips},
                    },
                    "volumeMounts": [{"name": "shared", "mountPath": given["mount"]}],
                }
            ],
            "volumes": [{"name": "shared", "persistentVolumeClaim": {"claimName": given["claim"]}}],
        }

    def kueue(self) -> list[dict[str, Any]]:
        """Returns a LocalQueue, its ClusterQueue and the flavour of its nodes."""
        given, name = self._given, self._given["queue"]
        chips = next((name for name, option in _CHIPS.items() if given[option]), "cpu")
        nodes = {
            "cloud.google.com/gke-tpu-accelerator": given["accelerator"],
            "cloud.google.com/gke-tpu-topology": given["topology"],
        }
        version = "kueue.x-k8s.io/v1beta1"
        return [
            {
                "apiVersion": version,
                "kind": "ResourceFlavor",
                "metadata": {"name": name},
                "spec": {"nodeLabels": {k: v for k, v in nodes.items() if v}},
            },
            {
                "apiVersion": version,
                "kind": "ClusterQueue",
                "metadata": {"name": name},
                "spec": {
                    "namespaceSelector": {},
                    "resourceGroups": [
                        {
                            "coveredResources": [chips],
                            "flavors": [{"name": name, "resources": [{"name": chips, "nominalQuota": given["quota"]}]}],
                        }
                    ],
                },
            },
            {
                "apiVersion": version,
                "kind": "LocalQueue",
                "metadata": {"name": name, "namespace": given["namespace"]},
                "spec": {"clusterQueue": name},
            },
        ]

    # What becomes of it

    def alive(self, launch: Launch) -> bool:
        """Returns whether a member holds its lock or the JobSet is neither complete nor failed."""
        if members.alive(launch.folder):
            return True
        if self._kubectl is None:
            # Somebody else applies it: it may still start until it has.
            return _manifest(launch).exists() and not members.begun(launch.folder) and not members.over(launch.folder)
        known = self._ask()
        return known is None or known.get(title(launch), False)

    def _ask(self) -> dict[str, bool] | None:
        """Returns of every JobSet whether it goes on, as last known; None where the cluster never answered."""
        if time.monotonic() - self._asked > _ASK_SECONDS:
            done = self._run("get", "jobsets", "--selector", "app.kubernetes.io/name=augreg", "--output", "json")
            if done.returncode == 0:
                self._known = {item["metadata"]["name"]: not _over(item) for item in json.loads(done.stdout)["items"]}
            self._asked = time.monotonic()
        return self._known

    def interrupt(self, launch: Launch) -> None:
        """Deletes the JobSet: its pods get SIGTERM, and SIGKILL after their grace; says so in the shared folder as well."""
        members.tell(launch.folder, members.STOP)
        self._delete(launch)

    def kill(self, launch: Launch) -> None:
        """Deletes the JobSet and its pods without grace."""
        members.tell(launch.folder, members.KILLED)
        if self._kubectl:
            label = f"app.kubernetes.io/instance={title(launch)}"
            self._run("delete", "pods", "--selector", label, "--grace-period=0", "--force", "--wait=false")
        self._delete(launch)

    def _delete(self, launch: Launch) -> None:
        if self._kubectl:
            self._run("delete", "jobset", title(launch), "--ignore-not-found", "--wait=false")
            self._asked = float("-inf")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        assert self._kubectl is not None
        command = [self._kubectl, "--namespace", self._given["namespace"], *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", "no answer within 60 s")

    def wait(self, seconds: float) -> None:
        """Waits; without kubectl says what has to be applied.

        Raises:
          UserError: manifests were written that somebody has to apply.
        """
        if self._unapplied:
            folder = self._unapplied[0].parent
            raise UserError(
                f"no kubectl in PATH: {len(self._unapplied)} manifests are in {folder}; apply them where there is one with"
                f" `kubectl apply --filename {shlex.quote(str(folder))}`, then give the same command again"
            )
        time.sleep(seconds)


def _index(name: str) -> int:
    return [option.name for option in FACTS.options].index(name)


def _manifest(launch: Launch) -> Path:
    return launch.folder.parents[2] / "manifests" / f"{launch.attempt}.yaml"


def _write(path: Path, documents: list[dict[str, Any]]) -> None:
    text = yaml.safe_dump_all(documents, sort_keys=False)
    write(path, lambda file: file.write(text.encode()))


def _over(jobset: dict[str, Any]) -> bool:
    conditions = jobset.get("status", {}).get("conditions", [])
    return any(c["type"] in _OVER and c["status"] == "True" for c in conditions)
