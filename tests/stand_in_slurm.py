"""A stand-in for Slurm's sbatch, srun, squeue and scancel: jobs are processes of this machine.

`CLUSTER` is the folder of its state. It knows what submitit and the executor ask for and nothing else.
"""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

CLUSTER = Path(os.environ.get("CLUSTER", ""))


def flags(script):
    """Returns the parameters of a batch script."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", script, re.MULTILINE))


def sbatch(path):
    script = Path(path).read_text()
    number = str(len(list(CLUSTER.glob("*.job"))) + 1)
    job = CLUSTER / f"{number}.job"
    job.write_text(script)
    environment = {**os.environ, "SLURM_JOB_ID": number, "SLURM_JOB_NUM_NODES": flags(script)["nodes"]}
    held = (CLUSTER / "held").exists()  # a full cluster: jobs wait
    process = subprocess.Popen(
        ["sleep", "3600"] if held else ["bash", str(job)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(CLUSTER / "errors").open("a"),
        start_new_session=True,
    )
    (CLUSTER / f"{number}.pid").write_text(str(process.pid))
    print(f"Submitted batch job {number}")


def srun(arguments):
    """Starts a task a node and waits for them all."""
    command = arguments[next(i for i, a in enumerate(arguments) if a == sys.executable) :]
    nodes = int(os.environ["SLURM_JOB_NUM_NODES"])
    tasks = [
        subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=(CLUSTER / "errors").open("a"),
            env={
                **os.environ,
                "SLURM_NTASKS": str(nodes),
                "SLURM_PROCID": str(i),
                "SLURM_NODEID": str(i),
                "SLURM_LOCALID": "0",
            },
        )
        for i in range(nodes)
    ]
    sys.exit(max(abs(task.wait()) for task in tasks))


def running(pid):
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def jobs():
    """Yields number, name and process of every job in the queue."""
    for path in CLUSTER.glob("*.pid"):
        if running(pid := int(path.read_text())):
            yield path.stem, flags((CLUSTER / f"{path.stem}.job").read_text())["job-name"], pid


def squeue():
    for number, name, _ in jobs():
        print(number, name)


def scancel(arguments):
    which = arguments[-1]
    for number, name, pid in jobs():
        if which in (number, f"--name={name}"):
            os.killpg(pid, signal.SIGKILL if "--signal=KILL" in arguments else signal.SIGTERM)


if __name__ == "__main__":
    match [Path(sys.argv[1]).name, *sys.argv[2:]]:
        case ["sbatch", path]:
            sbatch(path)
        case ["srun", *rest]:
            srun(rest)
        case ["squeue", "--noheader", "--user", _, "--format", "%i %j"]:
            squeue()
        case ["scancel", *rest]:
            scancel(rest)
        case unknown:
            sys.exit(f"the stand-in does not know {unknown}")
