"""A stand-in for kubectl and the cluster behind it: pods are processes of this machine. `CLUSTER` is the folder of its state.

It knows what the executor asks for and nothing else: apply, get jobsets, delete jobset, delete pods.
"""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import yaml

CLUSTER = Path(os.environ["CLUSTER"])
# A pod: it runs its command, and leaves the exit code.
POD = "import pathlib, subprocess, sys; pathlib.Path(sys.argv[1]).write_text(str(subprocess.call(sys.argv[2:])))"


def folder(name):
    return CLUSTER / "jobsets" / name


def apply(path):
    for document in yaml.safe_load_all(Path(path).read_text()):
        (CLUSTER / "applied").open("a").write(f"{document['kind']} {document['metadata']['name']}\n")
        if document["kind"] != "JobSet":
            continue
        state = folder(document["metadata"]["name"])
        if state.exists():
            continue
        state.mkdir(parents=True)
        [job] = document["spec"]["replicatedJobs"]
        [container] = job["template"]["spec"]["template"]["spec"]["containers"]
        for index in range(job["template"]["spec"]["completions"]):
            known = {"POD_IP": "127.0.0.1", "JOB_COMPLETION_INDEX": str(index)}
            command = [re.sub(r"\$\((\w+)\)", lambda found: known[found[1]], word) for word in container["command"]]  # noqa: B023
            assert command[0] == "python"
            with (state / f"{index}.log").open("w") as log:
                pod = subprocess.Popen(
                    [sys.executable, "-c", POD, str(state / f"{index}.code"), sys.executable, *command[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            (state / f"{index}.pid").write_text(str(pod.pid))


def condition(state):
    codes = [(state / f"{path.stem}.code") for path in state.glob("*.pid")]
    if not all(code.exists() for code in codes):
        return []
    good = all(code.read_text() == "0" for code in codes)
    return [{"type": "Completed" if good else "Failed", "status": "True"}]


def get():
    states = (CLUSTER / "jobsets").glob("*")
    items = [{"metadata": {"name": s.name}, "status": {"conditions": condition(s)}} for s in states]
    print(json.dumps({"items": items}))


def signalled(state, number):
    for path in state.glob("*.pid"):  # a group: the pod and what it runs
        with suppress(ProcessLookupError):
            os.killpg(int(path.read_text()), number)


match sys.argv[1:]:
    case ["--namespace", _, "apply", "--filename", path]:
        apply(path)
    case ["--namespace", _, "get", "jobsets", "--selector", "app.kubernetes.io/name=augreg", "--output", "json"]:
        get()
    case ["--namespace", _, "delete", "jobset", name, "--ignore-not-found", "--wait=false"]:
        signalled(folder(name), signal.SIGTERM)
        if folder(name).exists():
            folder(name).rename(CLUSTER / f"deleted-{name}")
    case ["--namespace", _, "delete", "pods", "--selector", label, "--grace-period=0", "--force", "--wait=false"]:
        signalled(folder(label.partition("=")[2]), signal.SIGKILL)
    case unknown:
        sys.exit(f"the stand-in does not know {unknown}")
