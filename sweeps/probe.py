"""A short probe on this machine: how long a worker needs to start, to compile, and for a step of each program of a sweep.

The probe is a process of its own, started as the local executor starts workers, on a CPU confined to one core: it measures what
a worker will see. `python -m sweeps.probe` reads configs from standard input and answers on standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bench.errors import UserError
from bench.points import KINDS, Config
from bench.train.static import Static
from sweeps.predict import Estimate, Predictor, Probed

# A step that takes longer than this, by the closed form, is not worth waiting for.
LONGEST_STEP = 5.0


def programs(points: Iterable[Config], predictor: Predictor) -> dict[Static, Config]:
    """Returns one run of every program, whatever its kind: equal shapes have equal steps."""
    found: dict[Static, Config] = {}
    for config in points:
        for static, _ in predictor.legs(config):
            found.setdefault(static, config)
    return found


def probed(points: Iterable[Config], predictor: Predictor) -> tuple[Predictor, list[str]]:
    """Returns a predictor that knows what a probe has found, and what it could not probe, in words.

    Raises:
      UserError: the probe failed, or the device is not the one that JAX sees here.
    """
    chosen, left = {}, []
    for static, config in programs(points, predictor).items():
        step = predictor.seconds(config).middle / predictor.steps(config)
        if step > LONGEST_STEP:
            left.append(f"not probed: {static.model} at {static.resolution} px, a step of which takes about {step:.0f} s")
        else:
            chosen[static] = config
    if not chosen:
        return predictor, left
    answer = _ask(chosen, pin=predictor.device.name == "cpu-core")
    if answer["device"] != predictor.device.name:
        raise UserError(f"--probe: this machine has {answer['device'] or answer['kind']}, not {predictor.device.name}")
    found: Mapping[Static, Probed] = {
        static: Probed(_estimate(each["steps"]), each["compiling"])
        for static, each in zip(chosen, answer["programs"], strict=True)
    }
    counted = {static: each["flops"] for static, each in zip(chosen, answer["programs"], strict=True)}
    return replace(predictor, probes=found, counted=counted, starting=answer["starting"]), left


def compiled(points: Iterable[Config], predictor: Predictor) -> Predictor:
    """Returns a predictor that knows what the compiler counts of every training program, compiled here and not run."""
    from bench.train.probe import compiled_flops

    return replace(predictor, counted={static: compiled_flops(static) for static in programs(points, predictor)})


def _estimate(steps: list[float]) -> Estimate:
    ordered = sorted(steps)
    return Estimate(ordered[0], ordered[len(ordered) // 2], ordered[-1])


def _ask(chosen: Mapping[Static, Config], pin: bool) -> dict[str, Any]:
    asked = [{"kind": c.kind, "config": c.to_dict(), "resolution": static.resolution} for static, c in chosen.items()]
    question = {"pin": pin, "programs": asked}
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "sweeps.probe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(question) + "\n")
        child.stdin.flush()
        ready = child.stdout.readline()
        starting = time.perf_counter() - started
        rest, errors = child.communicate()
    if child.returncode or not ready or not rest:
        line = errors.strip().splitlines()[-1:] or ["it ended without a word"]
        raise UserError(f"--probe: {line[0]}")
    return {**json.loads(ready), **json.loads(rest), "starting": starting}


def main() -> int:
    """Answers one question: a line once the device is there, another when the programs are timed."""
    question = json.loads(sys.stdin.readline())
    if question["pin"]:
        from sweeps.executors import slots

        slots.confine("cpu", (slots.cores()[-1],))
    import jax

    # What a worker imports before it trains.
    from bench.cost.devices import of_kind
    from bench.train import upstream
    from vtab import adapt as _adapt  # noqa: F401

    kind = upstream.device()
    known = of_kind(kind)
    jax.block_until_ready(jax.numpy.zeros(()) + 1)
    print(json.dumps({"device": known.name if known else "", "kind": kind}), flush=True)
    from bench.train.probe import probe

    statics = [
        Static.of(KINDS[each["kind"]].from_dict(each["config"]), resolution=each["resolution"]) for each in question["programs"]
    ]
    print(json.dumps({"programs": [timed._asdict() for timed in probe(statics)]}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
