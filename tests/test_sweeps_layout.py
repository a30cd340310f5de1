"""Folders of runs and sweeps: claims, attempts, records, what is cleaned away."""

import pytest
from made import accept, commit

from bench.errors import UserError
from bench.records.atomic import read_json, write_json
from sweeps.layout import Workdir
from sweeps.named import find

CONFIG = find("smoke").upstream_points[0]


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path)


def test_every_attempt_has_a_folder_of_its_own(workdir):
    run, names = workdir.run(CONFIG), ["job.0001", "job.0002", "job.0002"]
    assert [run.claim(name) for name in names] == [run.folder / "attempts" / name for name in names]
    assert run.folder == workdir.path / "runs" / "ViT_mu-mnist5k_10pct-15ep-lr_0.003-aug_none-wd_0.03-do_0.0-sd_0.0"
    assert read_json(run.folder / "config.json") == {"digest": CONFIG.digest, "config": CONFIG.to_dict()}


def test_a_claim_of_another_config_under_the_name_is_refused_and_leaves_no_attempt(workdir):
    run = workdir.run(CONFIG)
    write_json(run.folder / "config.json", {"digest": "0" * 16, "config": {}})
    with pytest.raises(UserError, match=r"this name belongs to digest 0{16}, .* use another --workdir or remove the folder"):
        run.claim("job.0001")
    assert list(run.folder.glob("attempts/*")) == []


def test_the_first_accepted_record_stays(workdir):
    run = workdir.run(CONFIG)
    assert run.accept("a.0001") is None
    commit(workdir, CONFIG, "a.0001", value=0.25)
    commit(workdir, CONFIG, "a.0002", value=0.75)
    assert run.record() is None
    first = run.accept("a.0001")
    assert first == run.record() == run.accept("a.0002")
    assert (first.last("val").value, first.cost.attempt) == (0.25, "a.0001")


def test_cleaning_removes_checkpoints_and_nothing_else(workdir):
    run = workdir.run(CONFIG)
    for n in (1, 2):
        attempt = run.claim(f"a.000{n}")
        (attempt / "checkpoints" / "1").mkdir(parents=True)
        (attempt / "weights.npz").touch()
    run.clean()
    left = sorted(str(p.relative_to(run.folder)) for p in run.folder.rglob("*"))
    assert left == ["attempts", *(f"attempts/a.000{n}{end}" for n in (1, 2) for end in ("", "/weights.npz")), "config.json"]


def test_the_output_of_the_accepted_attempt_counts(workdir):
    run = workdir.run(CONFIG)
    with pytest.raises(UserError, match=r"no accepted attempt left a weights\.npz"):
        run.output("weights.npz")
    for n in (1, 2, 3):
        commit(workdir, CONFIG, f"a.000{n}")
    with pytest.raises(UserError, match=r"no accepted attempt left a weights\.npz"):
        run.output("weights.npz")
    run.accept("a.0002")
    assert run.output("weights.npz") == run.folder / "attempts" / "a.0002" / "weights.npz"


def test_failures_are_kept_until_they_are_forgiven(workdir):
    run = workdir.run(CONFIG)
    for n in (1, 2):
        run.claim(f"a.000{n}")
        run.fail(f"a.000{n}", f"error {n}", "trace", final=n == 2)
    assert run.failed("a.0001")
    assert not run.failed("a.0003")
    assert [(f["error"], f["final"]) for f in run.failures()] == [("error 1", False), ("error 2", True)]
    run.cancel()
    assert run.cancelled
    assert workdir.called_off() == {CONFIG.name}
    assert run.forgive() == 3
    assert (run.failures(), run.cancelled, run.forgive()) == ([], False, 0)


def test_a_folder_belongs_to_one_sweep(workdir):
    with pytest.raises(UserError, match="holds no sweep: it is made by `augreg run NAME --workdir"):
        workdir.sweep()
    workdir.claim("smoke")
    workdir.claim("smoke")
    assert workdir.sweep() == "smoke"
    with pytest.raises(UserError, match="holds the sweep 'smoke', not 'demo': choose another --workdir"):
        workdir.claim("demo")
    assert workdir.sweep() == "smoke"


def test_records_come_in_the_order_of_their_names(workdir):
    configs = find("smoke").points
    for config in reversed(configs):
        accept(workdir, config)
    commit(workdir, configs[0], "made.0002")  # not an accepted one
    assert [r.config.name for r in workdir.records()] == sorted(c.name for c in configs)
