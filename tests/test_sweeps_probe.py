"""A probe of a real program, in a worker's surroundings."""

import pytest

from bench.cost import forward_flops
from bench.cost.devices import DEVICES
from bench.errors import UserError
from bench.points import Upstream
from bench.train.static import Static
from sweeps import probe
from sweeps.named import find
from sweeps.predict import Predictor


def test_a_probe_times_steps_a_start_and_compilation():
    [config] = find("smoke").upstream_points[:1]
    predictor, left = probe.probed([config, config], Predictor(DEVICES["cpu-core"]))
    assert left == []
    [(static, found)] = predictor.probes.items()
    assert static == Static.of(config)
    assert 0 < found.step.low <= found.step.middle <= found.step.high < 10
    assert found.compiling > 0
    assert predictor.starting > 0
    # Of one step of 64 images, not of a chunk; the compiler also counts norms, activations, augmentation and the optimiser.
    assert 1 < predictor.counted[static] / (3 * 64 * forward_flops("ViT-mu", 28, 10)) < 1.25


def test_what_takes_too_long_is_not_probed_and_said(monkeypatch):
    monkeypatch.setattr(probe, "_ask", None)  # would fail
    large = Upstream("L/16", "i1k", 90.0, 0.001, "none", 0.1, 0.0, 0.0)
    predictor, [line] = probe.probed([large], Predictor(DEVICES["cpu-core"]))
    assert not predictor.probes
    assert line.startswith("not probed: L/16 at 224 px, a step of which takes about")


def test_a_probe_of_another_device_than_the_one_here_is_refused(monkeypatch):
    monkeypatch.setattr(probe, "_ask", lambda *_, **__: {"device": "cpu-core", "kind": "cpu", "programs": [], "starting": 1.0})
    with pytest.raises(UserError, match="--probe: this machine has cpu-core, not tpu-v4"):
        probe.probed(find("smoke").upstream_points[:1], Predictor(DEVICES["tpu-v4"]))
