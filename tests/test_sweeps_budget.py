import pytest
from made import SWEEP, commit, largest

from bench.cost.devices import DEVICES
from bench.errors import UserError
from sweeps import grouping
from sweeps.accounting import reports, waste
from sweeps.budget import Budget, Spending
from sweeps.executors import Capabilities
from sweeps.layout import Workdir
from sweeps.named import find
from sweeps.plan import Plan
from sweeps.predict import Predictor
from sweeps.run import Coordinator

POINTS = find("smoke").upstream_points
PREDICTOR = Predictor(DEVICES["cpu-core"])
ONE = PREDICTOR.seconds(POINTS[0]).middle


def test_money_and_hours_are_seconds_of_a_chip():
    assert Budget.of(3.22) is None
    assert Budget.of(3.22, hours=2.0).limit == 7200
    assert Budget.of(3.6, money=1.0).limit == 1000
    assert "$1 is reached: $0 are spent" in Budget.of(3.6, money=1.0).exhausted(4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"money": 1.0, "hours": 1.0}, "exclude each other"),
        ({"money": 0.0}, "must be above 0"),
        ({"hours": -1.0}, "must be above 0"),
        ({"money": 1.0, "price": 0.0}, "--max-cost needs a price above 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        Budget.of(**{"price": 1.0, **given})


def test_a_plan_above_the_limit_is_refused_with_its_figure():
    plan = Plan.of("smoke", POINTS, PREDICTOR)
    Budget(plan.seconds.middle * 1.01).check(plan)
    with pytest.raises(
        UserError, match=r"smoke: it would cost \$.* \(\$.* to \$.*\), more than the limit of \$.*; raise --max-cost"
    ):
        Budget.of(3600.0, money=plan.seconds.middle * 0.99).check(plan)
    spent = Budget(plan.seconds.middle * 1.01, spent=plan.seconds.middle * 0.02)
    with pytest.raises(UserError, match=r"after .* already spent"):
        spent.check(plan)


def test_what_is_spent_and_what_is_promised_leaves_the_rest():
    budget = Budget(100.0)
    assert budget.allows(100.0)
    budget.launched("a", 60.0)
    assert budget.allows(40.0)
    assert not budget.allows(41.0)
    budget.ended("a", 60.0)
    assert (budget.spent, budget.committed, budget.correction) == (60.0, 0.0, 1.0)
    assert not budget.allows(41.0)


def test_predictions_are_corrected_by_what_launches_took():
    budget = Budget(100.0)
    for name in "ab":
        budget.launched(name, 10.0)
    budget.ended("a", 30.0)
    # Three times what was predicted: so will the other be, and the next.
    assert budget.correction == 3.0
    assert budget.committed == 30.0
    assert budget.allows(13.0)
    assert not budget.allows(14.0)


def test_a_launch_that_was_cut_short_counts_by_the_share_that_it_did():
    budget = Budget(100.0)
    budget.launched("a", 10.0)
    budget.ended("a", 5.0, share=0.5)
    assert (budget.correction, budget.spent) == (1.0, 5.0)
    budget.launched("b", 10.0)
    budget.ended("b", 1.0, share=0.0)
    assert (budget.correction, budget.spent) == (1.0, 6.0)


def test_runs_are_budgeted_by_their_prediction():
    spending = Spending(Budget(3.5 * ONE), PREDICTOR)
    spending.already(0.4 * ONE)
    assert spending.allows(POINTS[:3])
    assert not spending.allows(POINTS[:4])
    spending.launched("a", POINTS[:2])
    assert not spending.allows(POINTS[2:4])
    # It did one of its two runs, as fast as predicted.
    spending.ended("a", ONE, {POINTS[1].name})
    assert spending.budget.correction == pytest.approx(1.0)
    assert spending.allows(POINTS[2:4])


def test_chips_of_a_worker_are_all_paid_for():
    spending = Spending(Budget(1000.0), PREDICTOR, chips=4)
    spending.launched("a", POINTS[:1])
    spending.ended("a", 100.0, ())
    assert spending.budget.spent == 400.0


class Paid:
    """An executor whose workers have done their job when `launch` returns, and say how long each run took."""

    def __init__(self, seconds):
        self._seconds, self.runs = seconds, []

    def capacity(self):
        return 1

    def describe(self):
        return Capabilities("paid", 1)

    def launch(self, launch):
        done = [c for c in launch.job.configs if commit(launch.job.workdir, c, launch.attempt)]
        self.runs += done
        spent = {"import": 0.0, "compile": 0.0, "upstream": self._seconds * len(done), "transfer": 0.0}
        launch.report(
            {
                "run": "",
                "step": 0,
                "steps": 0,
                "done": len(done),
                "beat": 1,
                "compiled": [],
                "kind": "upstream",
                "seconds": spent,
            }
        )
        launch.finish("done")

    def alive(self, _):
        return False

    def wait(self, _):
        return None

    def kill(self, _):
        raise AssertionError("nothing hangs")


def coordinate(workdir, executor, limit):
    spending = Spending(Budget(limit), PREDICTOR)
    spending.already(waste(reports(workdir), ()).total)
    coordinator = Coordinator(SWEEP, workdir, executor, spending=spending)
    try:
        coordinator.run(lambda _: None)
    finally:
        done = len(list(workdir.records()))
    return done


def test_a_sweep_stops_before_its_limit_and_goes_on_with_a_higher_one(tmp_path, monkeypatch):
    monkeypatch.setattr(grouping, "LARGEST_JOB", largest(2))
    workdir, executor = Workdir(tmp_path), Paid(10.0)
    # The prediction is far off; the first launch tells.
    with pytest.raises(
        UserError, match=r"two-models: the limit of .* is reached: .* are spent and \d+ runs left out; .*--max-hours"
    ):
        coordinate(workdir, executor, 65.0)
    spent = waste(reports(workdir), ()).total
    assert 0 < spent <= 65.0
    assert spent == 10.0 * len(executor.runs)
    # It did not stop at the first job that did not fit, nor start what could not be paid for.
    assert 2 <= len(executor.runs) <= 6
    more = Paid(10.0)
    coordinate(workdir, more, 1e6)
    assert len(executor.runs) + len(more.runs) == len(SWEEP.points)


def test_run_refuses_a_sweep_above_its_limit_before_anything_is_launched(tmp_path, capsys):
    from sweeps.cli import main

    with pytest.raises(SystemExit) as left:
        main(["run", "smoke", "--workdir", str(tmp_path / "w"), "--max-cost", "0.00001"])
    assert left.value.code == 2
    assert "smoke: it would cost $" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
