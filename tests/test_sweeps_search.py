"""Proposals: made before they are handed out, the same after any crash, one result each."""

import csv
import dataclasses
import errno
import json
import tempfile
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from optuna.trial import TrialState
from searching import CHOICES, FEW, FIXED, NUMBERS, Folder, accuracy, finish, result, values

from bench.errors import UserError
from bench.points import VARIANTS, parse
from bench.records.atomic import read_json
from sweeps import named
from sweeps.search import Choice, Float, Int, Made, Search, files, objectives, samplers
from sweeps.search.proposals import Proposals
from sweeps.space import By, Sweep


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, NUMBERS)


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_ends_and_every_trial_has_the_result_of_its_run(tmp_path, sampler, workers):
    folder = Folder(tmp_path, dataclasses.replace(NUMBERS, sampler=sampler))
    proposals = finish(folder, folder.open(), workers)
    trials = proposals.trials()
    assert len(trials) == proposals.total == len(folder.trained) == 20
    assert {t.state for t in trials} == {TrialState.COMPLETE}
    assert [t.value for t in trials] == [accuracy(c) for c in proposals.configs]
    assert proposals.exhausted
    best, value = proposals.best()
    assert value == max(t.value for t in trials) == accuracy(best)


def reached(tmp_path, sampler, trials=60):
    found = []
    for seed in range(3):
        folder = Folder(tmp_path / f"{sampler}-{seed}", dataclasses.replace(NUMBERS, sampler=sampler, trials=trials, seed=seed))
        found.append(finish(folder, folder.open(), 2).best()[1])
    return sorted(found)[1]


def test_tpe_and_cma_es_come_nearer_to_the_peak_than_chance(tmp_path):
    chance = reached(tmp_path, "random")
    assert reached(tmp_path, "tpe") > chance
    assert reached(tmp_path, "cmaes") > chance


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_the_same_seed_and_results_give_the_same_proposals_however_often_the_coordinator_died(tmp_path, sampler):
    search = dataclasses.replace(NUMBERS, sampler=sampler)
    whole, broken = Folder(tmp_path / "whole", search), Folder(tmp_path / "broken", search)
    expected = finish(whole, whole.open())
    for _ in range(search.trials):
        proposals = broken.open()
        proposals.tell(broken.train(proposals.next()))
    assert values(broken.open()) == values(expected)
    other = Folder(tmp_path / "other", dataclasses.replace(search, seed=1))
    assert values(finish(other, other.open())) != values(expected)


def test_a_proposal_is_on_disk_before_it_is_handed_out_and_goes_out_again_after_a_crash(folder, monkeypatch):
    first = folder.open().next()
    written = read_json(folder.path / "proposals" / "000001.json")
    assert (written["name"], written["digest"]) == (first.name, first.digest)
    assert parse(written["name"]) == first
    assert type(first).from_dict(written["config"]) == first
    assert folder.open().next() == first

    def crash(*_):
        raise KeyboardInterrupt

    proposals = folder.open()
    assert proposals.next() == first
    with monkeypatch.context() as patch:
        patch.setattr(Proposals, "_note", crash)  # the file is there, nobody has it yet
        with pytest.raises(KeyboardInterrupt):
            proposals.next()
    again = folder.open()
    assert again.next() == first
    assert again.next().name == read_json(folder.path / "proposals" / "000002.json")["name"]


def test_on_a_full_disk_nothing_is_handed_out_and_nothing_skipped(folder, monkeypatch):
    undisturbed = [c.name for c in finish(folder, folder.open()).configs]
    again = Folder(folder.path / "again", folder.search)
    proposals, write = again.open(), files.write

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    while len(again.trained) < again.search.trials:
        monkeypatch.setattr(files, "write", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                proposals.next()
        monkeypatch.setattr(files, "write", write)
        proposals.tell(again.train(proposals.next()))
    assert again.trained == undisturbed
    assert values(proposals) == values(folder.open()) == values(again.open())


def test_running_trials_are_visible_so_that_parallel_proposals_differ(folder):
    proposals = folder.open()
    configs = [proposals.next() for _ in range(15)]
    assert {t.state for t in proposals.trials()} == {TrialState.RUNNING}
    assert len({c.name for c in configs}) == 15


def test_an_equal_point_is_told_the_known_result_and_not_trained(tmp_path):
    folder = Folder(tmp_path, FEW)
    proposals = finish(folder, folder.open(), 2)
    assert len(proposals.trials()) == 12 > len(folder.trained) == proposals.total
    assert len(set(folder.trained)) == len(folder.trained)
    assert [t.value for t in proposals.trials()] == [accuracy(FEW.config(t.params)) for t in proposals.trials()]


def test_a_diverged_run_is_the_worst_that_there_is(folder):
    proposals = folder.open()
    proposals.tell(folder.train(proposals.next(), status="diverged"))
    assert [(t.state, t.value) for t in proposals.trials()] == [(TrialState.COMPLETE, 0.0)]
    assert proposals.best() is None


def test_a_result_that_comes_twice_or_that_nobody_asked_for_changes_nothing(folder):
    proposals = folder.open()
    config = proposals.next()
    proposals.tell(folder.train(config))
    before = values(proposals)
    proposals.tell(result(config, value=0.9))
    proposals.tell(result(dataclasses.replace(config, seed=7)))
    assert values(proposals) == before


def test_the_proposals_of_another_search_are_refused(folder):
    folder.open().next()
    for change in ({"fixed": {**FIXED, "wd": 0.5}}, {"axes": {"lr": NUMBERS.axes["lr"], "do": NUMBERS.axes["do"]}}):
        folder.search = dataclasses.replace(NUMBERS, **change)
        with pytest.raises(UserError, match=r"000001\.json: .*another --workdir"):
            folder.open()
    folder.search = dataclasses.replace(NUMBERS, trials=30)  # only more of it
    assert folder.open().total == 30


def test_a_missing_proposal_is_noticed(folder):
    proposals = folder.open()
    for _ in range(3):
        proposals.next()
    (folder.path / "proposals" / "000002.json").unlink()
    with pytest.raises(UserError, match=r"000002\.json is missing, but 000003\.json is there"):
        folder.open()


def test_a_second_writer_is_refused(folder):
    one, two = folder.open(), folder.open()
    one.next()
    with pytest.raises(UserError, match="one coordinator a folder"):
        two.next()


def test_first_proposals_are_those_that_the_search_names(folder):
    first = ({"lr": 0.01, "warmup_steps": 3, "do": 0.25}, {"lr": 0.1})
    folder.search = dataclasses.replace(NUMBERS, first=first)
    proposals = folder.open()
    configs = [proposals.next() for _ in range(3)]
    assert [(c.lr, c.warmup_steps, c.do) for c in configs[:1]] == [(0.01, 3, 0.25)]
    assert configs[1].lr == 0.1 != configs[2].lr
    assert values(folder.open()) == values(proposals)


def test_nothing_of_a_proposal_is_unpickled(folder):
    """CMA-ES keeps no state: files are plain numbers and names."""
    folder.search = dataclasses.replace(NUMBERS, sampler="cmaes")
    finish(folder, folder.open())
    for path in (folder.path / "proposals").iterdir():
        assert set(json.loads(path.read_text())["attributes"]) == {"cma:generation"}


def test_cma_es_evolves_by_generations_of_its_population(folder):
    folder.search = dataclasses.replace(NUMBERS, sampler="cmaes", trials=22)
    generations = [t.system_attrs["cma:generation"] for t in finish(folder, folder.open()).trials()]
    assert generations == [0] * 7 + [1] * 7 + [2] * 7 + [3]  # 4 + 3 ln(3) is 7


def test_cma_es_refuses_choices(tmp_path):
    with pytest.raises(UserError, match="searches numbers, but axis 'aug' is a choice of none, light1"):
        Folder(tmp_path, dataclasses.replace(CHOICES, sampler="cmaes")).open()


def test_gp_without_pytorch_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(samplers.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="PyTorch, which is not installed: install torch, or take 'tpe'"):
        Folder(tmp_path, dataclasses.replace(NUMBERS, sampler="gp")).open()


def test_unknown_names_are_refused_with_the_nearest(tmp_path):
    for change, message in (
        ({"sampler": "tpr"}, "no sampler 'tpr'; did you mean 'tpe'"),
        ({"sampler": "grid"}, "no sampler 'grid'; .*a grid is no search"),
        ({"objective": "vla"}, "no objective 'vla'; did you mean 'val'"),
    ):
        with pytest.raises(UserError, match=message):
            Folder(tmp_path, dataclasses.replace(NUMBERS, **change)).open()


def test_an_axis_is_checked():
    for make in (lambda: Float(1.0, 0.5), lambda: Float(0.0, 1.0, log=True), lambda: Int(3, 3), lambda: Choice([])):
        with pytest.raises(UserError, match="an axis "):
            make()
    with pytest.raises(UserError, match="no axis 'width'"):
        Search("tpe", 1, {"lr": Float(0.1, 1.0)}, {**FIXED, "model": Made(str, ["width"])})


@pytest.mark.parametrize("axis", [Float(1e-4, 1.0, log=True), Float(-1.0, 3.0), Int(0, 100), Int(1, 64, log=True)])
def test_the_unit_of_an_axis_goes_back_and_forth(axis):
    for value in (axis.low, axis.at(0.3), axis.at(0.5), axis.high):
        assert axis.at(axis.unit(value)) == pytest.approx(value, rel=1e-12)
    assert (axis.at(0.0), axis.at(1.0)) == pytest.approx((axis.low, axis.high), rel=1e-12)
    assert axis.at(-0.1) >= axis.low
    assert axis.at(1.1) <= axis.high


def test_joined_dependent_and_made_fields():
    search = Search(
        "random",
        1,
        {"do=sd": Choice([0.0, 0.1]), "kind": Choice(["ViT", "NFNet"]), "lr": Float(0.001, 1.0, log=True)},
        {
            **{k: FIXED[k] for k in ("dataset", "epochs", "aug")},
            "model": Made(lambda kind: f"{kind}-mu", ["kind"]),
            "wd": By("model", {"ViT-mu": 0.1, "NFNet-mu": 0.2}),
        },
    )
    config = search.config({"do=sd": 0.1, "kind": "NFNet", "lr": 0.0123456})
    assert (config.do, config.sd, config.model, config.wd, config.lr) == (0.1, 0.1, "NFNet-mu", 0.2, 0.01235)
    with pytest.raises(UserError, match="field 'wd' has no value for model='ViT-mu'"):
        dataclasses.replace(search, fixed={**search.fixed, "wd": By("model", {})}).config(
            {"do=sd": 0.1, "kind": "ViT", "lr": 0.1}
        )


def test_a_plan_sees_as_many_points_as_trials_the_first_ones_first():
    search = dataclasses.replace(CHOICES, first=({"lr": 0.01, "aug": "light1", "do=sd": 0.1},), trials=200)
    points = Sweep("a-search", "", search=search).planned
    assert len(points) == 200
    assert (points[0].lr, points[0].aug, points[0].do) == (0.01, "light1", 0.1)
    assert points == Sweep("a-search", "", search=search).planned
    assert 70 < sum(p.aug == "none" for p in points) < 130  # 99.99% of fair coins
    assert 70 < sum(p.lr < 0.01 for p in points) < 130


def test_augreg_plan_counts_what_a_search_may_cost():
    from sweeps.planning import plan as make

    plan, _ = make("nfnet-scaling-tuned@i1k")
    assert plan.title.startswith("nfnet-scaling-tuned@i1k: at most 76 upstream runs, drawn by chance")
    assert sum(share.runs for share in plan.shares.values()) == 76
    assert plan.seconds.middle > 0
    plan, _ = make("effnetv2-nas-mini")
    assert sum(share.runs for share in plan.shares.values()) == 14


# Most trials of every named search.
NAMED = {
    "augreg-scratch-pet37-random": 200,
    "augreg-scratch-pet37-random-mini": 8,
    "augreg-scratch-resisc45-random": 200,
    "augreg-scratch-resisc45-random-mini": 8,
    "effnetv2-nas": 1000,
    "effnetv2-nas-mini": 14,
    "nfnet-scaling-tuned": 76,
    "nfnet-scaling-tuned-mini": 12,
}


def test_every_named_search_has_its_number_of_trials_here():
    assert {n: s.search.trials for n in named.names() if (s := named.find(n)).search} == NAMED


@pytest.mark.parametrize("name", NAMED)
def test_a_named_search_says_its_number_of_points_and_its_points_parse_back(name, tmp_path):
    sweep = named.find(name)
    assert sweep.name == name
    assert f"augreg run {name}" in sweep.about
    assert f"At most {NAMED[name]:,} upstream points" in sweep.about
    assert sweep.points == ()
    points = sweep.search.draws(20)
    assert [parse(p.name) for p in points] == list(points)
    proposals = Proposals(tmp_path, sweep.search, name=name, pruner=sweep.pruner)
    begun = proposals.params(proposals.next())
    first = sweep.search.first[0] if sweep.search.first else {}
    assert first.items() <= begun.items()


def test_the_space_of_the_architecture_search_is_the_papers():
    axes = named.find("effnetv2-nas").search.axes
    assert len(axes) == 6 * 4
    assert [axes[f"kind_{i}"] for i in range(1, 7)] == [Choice(("fused", "mbconv"))] * 6
    assert [axes[f"kernel_{i}"] for i in range(1, 7)] == [Choice((3, 5))] * 6
    assert [axes[f"expansion_{i}"] for i in range(1, 7)] == [Choice((1, 4, 6))] * 6
    # Up to twice B0's layers: 1, 2, 2, 3, 5, 8.
    assert [axes[f"layers_{i}"] for i in range(1, 7)] == [Int(1, n) for n in (2, 4, 4, 6, 10, 16)]
    assert named.find("effnetv2-nas").search.draws(1)[0].model == "EfficientNetV2-B0"


def test_the_tuned_models_and_budgets_are_those_of_the_paper():
    axes = named.find("nfnet-scaling-tuned").search.axes
    assert [len(axis.values) for axis in (axes["model"], axes["epochs"])] == [6, 6]
    with (Path(__file__).parents[1] / "results" / "published" / "nfnet_best_lr.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {f"NFNet-{row['model']}" for row in rows} <= set(axes["model"].values)
    assert {float(row["epochs"]) for row in rows} == set(axes["epochs"].values)
    flops = [VARIANTS[model].spec.macs(224, 1000) for model in axes["model"].values]
    assert flops == sorted(flops)  # the next smaller one stands before


def test_another_upstream_set_takes_the_place_of_the_searchs():
    assert NUMBERS.on("cifar100").config({"lr": 0.1, "warmup_steps": 1, "do": 0.0}).dataset == "cifar100"


def test_the_reward_of_the_architecture_search_is_the_papers():
    base, other = (parse(f"EfficientNetV2_{m}-mnist5k-1ep-lr_0.1-aug_none-wd_0.0-do_0.0-sd_0.0") for m in ("mu", "B0"))
    first, second = result(base, value=0.5), result(other, value=0.8)
    slow = dataclasses.replace(second, params=first.params * 8, cost=dataclasses.replace(second.cost, train_seconds=3.0))
    nas = objectives.find("nas")
    assert nas.relative
    assert nas.of(first, first) == 0.5
    # Twice the seconds, eight times the parameters.
    assert nas.of(slow, first) == pytest.approx(0.8 * 2**-0.07 * 8**-0.05, rel=1e-12)
    flops = base.variant.spec.macs(28, 10), other.variant.spec.macs(28, 10)
    predicted = objectives.find("nas-flops").of(slow, first)
    assert predicted == pytest.approx(0.8 * (flops[1] / flops[0]) ** -0.07 * 8**-0.05, rel=1e-12)
    assert nas.of(dataclasses.replace(slow, status="diverged", measurements=()), first) == 0.0
    with pytest.raises(UserError, match=r"step times of tpu .* and cpu .* do not compare"):
        nas.of(dataclasses.replace(slow, device="tpu"), first)
    with pytest.raises(UserError, match="was not timed"):
        nas.of(dataclasses.replace(slow, cost=type(slow.cost)()), first)


def test_a_relative_objective_waits_for_the_first_proposal(tmp_path):
    first = {"lr": 0.01, "warmup_steps": 3, "do": 0.25}
    folder = Folder(tmp_path, dataclasses.replace(NUMBERS, objective="nas-flops", first=(first,)))
    proposals = folder.open()
    base, other = proposals.next(), proposals.next()
    proposals.tell(folder.train(other))
    assert {t.state for t in proposals.trials()} == {TrialState.RUNNING}
    assert {t.state for t in folder.open().trials()} == {TrialState.RUNNING}
    proposals.tell(folder.train(base))
    assert [t.value for t in proposals.trials()] == pytest.approx([accuracy(base), accuracy(other)], rel=1e-12)
    folder.search = dataclasses.replace(folder.search, first=({"lr": 0.01},))
    with pytest.raises(UserError, match="compares with the first proposal: give all its axes in `first`"):
        folder.open()


class AnyOrder(RuleBasedStateMachine):
    """A coordinator and workers under any order of proposing, finishing, accepting and crashing."""

    search = FEW

    def __init__(self):
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Folder(Path(self.temporary.name), self.search)
        self.running, self.finished = [], []
        self.proposals = self.folder.open()

    @rule()
    def propose(self):
        config = self.proposals.next()
        if config is not None:
            assert config.name not in {c.name for c in (*self.running, *self.finished)}, "handed out twice"
            self.running.append(config)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), status=st.sampled_from(["ok", "ok", "diverged"]))
    def end(self, data, status):
        """A worker ends: its record is on disk, the coordinator has not looked yet."""
        config = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.folder.train(config, status=status)
        self.finished.append(config)

    @precondition(lambda self: self.finished)
    @rule(data=st.data())
    def accept(self, data):
        self.proposals.tell(self.folder.records[data.draw(st.sampled_from(self.finished)).name])

    @rule()
    def crash(self):
        self.proposals = self.folder.open()
        self.running, self.finished = [], [c for c in self.proposals.configs if c.name in self.folder.records]

    @invariant()
    def proposals_on_disk_are_those_in_memory(self):
        files = sorted((self.folder.path / "proposals").glob("*.json"))
        assert [read_json(f)["params"] for f in files] == [t.params for t in self.proposals.trials()]

    @invariant()
    def no_run_was_trained_after_its_record_was_there(self):
        assert len(set(self.folder.trained)) == len(self.folder.trained)

    def teardown(self):
        self.crash()
        proposals = finish(self.folder, self.proposals, 2)
        trials = proposals.trials()
        assert len(trials) == self.search.trials
        assert {t.state for t in trials} == {TrialState.COMPLETE}
        for trial in trials:
            record = self.folder.records[self.search.config(trial.params).name]
            assert trial.value == (accuracy(record.config) if record.status == "ok" else 0.0)
        assert sorted(self.folder.trained) == sorted(self.folder.records) == sorted(c.name for c in proposals.configs)
        assert values(self.folder.open()) == values(proposals)
        self.temporary.cleanup()


AnyOrder.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyOrder = AnyOrder.TestCase


def test_optuna_itself_would_unpickle():
    """Why CMA-ES is not Optuna's own: if this fails, ours may go."""
    source = Path(optuna.samplers._cmaes.__file__).read_text()
    assert "pickle.loads" in source
