"""Protocols as literal facts, and that every one of them can be run."""

import itertools

import pytest

from bench.points import TASKS, Transfer, Upstream
from bench.select.scores import SCORES
from vtab.protocols import ALL, PROTOCOLS, Settings

UPSTREAM = Upstream("Ti/16", "i21k", 300.0, 0.001, "none", 0.03, 0.0, 0.0)
TUNING = ("vtab-1k", "vtab-full", "vtab-light", "augreg-five", "own")


def runs(protocol):
    """Returns the number of fine-tunes of a checkpoint."""
    pairs = sum(len(list(itertools.product(*protocol.of(task)))) for task in protocol.tasks)
    return pairs * len(protocol.resolutions)


@pytest.mark.parametrize(
    ("name", "tasks", "fine_tunes", "fit"),
    [
        ("vtab-1k", 19, 19 * 8, "tune"),
        ("vtab-full", 19, 19 * 8, "train"),
        ("vtab-light", 19, 19 * 4, "tune"),
        # 4 tasks x 4 rates x 2 numbers of steps, and 2 of ImageNet, at two resolutions.
        ("augreg-five", 5, 68, "train"),
        ("few-shot", 5, 0, "train"),
        ("linear-probe", 19, 0, "train"),
        ("knn", 19, 0, "train"),
        ("own", 0, 0, "train"),
    ],
)
def test_what_is_run(name, tasks, fine_tunes, fit):
    protocol = PROTOCOLS[name]
    assert (len(protocol.tasks), runs(protocol), protocol.fit) == (tasks, fine_tunes, fit)


def test_those_are_all():
    assert list(PROTOCOLS) == ["vtab-1k", "vtab-full", "vtab-light", "augreg-five", "few-shot", "linear-probe", "knn", "own"]
    assert [name for name, protocol in PROTOCOLS.items() if protocol.lrs] == list(TUNING)


def test_settings_of_the_papers():
    rates = (0.001, 0.003, 0.01, 0.03)
    for name in ("vtab-1k", "vtab-full", "own"):
        assert PROTOCOLS[name].of("whatever") == Settings(rates, (500, 2_500))
        assert (PROTOCOLS[name].batch_size, PROTOCOLS[name].resolutions) == (512, (224,))
    five = PROTOCOLS["augreg-five"]
    assert five.resolutions == (224, 384)
    assert {task: five.of(task) for task in five.tasks} == {
        "imagenet2012": ((0.01, 0.03), (20_000,)),
        "oxford_iiit_pet": (rates, (500, 2_500)),
        "kitti": (rates, (500, 2_500)),
        "cifar100": (rates, (2_500, 10_000)),
        "resisc45": (rates, (2_500, 10_000)),
    }
    assert PROTOCOLS["vtab-light"].of("vtab1k_dtd") == ((0.01, 0.1), (2_500, 10_000))


def test_sizes_of_vtab_1k():
    assert {(TASKS[t].train, TASKS[t].val) for p in ("vtab-1k", "vtab-light", "knn") for t in PROTOCOLS[p].tasks} == {
        (800, 200)
    }


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_every_protocol_can_be_run(protocol):
    assert set(protocol.tasks) <= set(TASKS)
    assert set(protocol.other) <= set(protocol.tasks)
    assert set(protocol.scores) <= set(SCORES)
    assert protocol.scores
    for task in protocol.tasks or ("digits",):
        for lr, steps in itertools.product(*protocol.of(task)):
            config = Transfer(UPSTREAM, task, steps, lr, 224, batch_size=protocol.batch_size, fit=protocol.fit)
            assert config.warmup_steps == {500: 100, 2_500: 200, 10_000: 500, 20_000: 500}[steps]


def test_all_scores_are_all():
    assert sorted(ALL) == sorted(SCORES)
