"""Folders of runs and sweeps: claims, attempts, records, what is cleaned away."""

import pytest
from made import commit, record

from bench.errors import UserError
from bench.records.atomic import read_json, write_json
from sweeps.layout import Workdir
from sweeps.named import find

CONFIG = find("smoke").upstream_points[0]


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path)


def test_every_claim_is_an_attempt_of_its_own(workdir):
    run = workdir.run(CONFIG)
    assert [run.claim().name for _ in range(3)] == ["attempt-0001", "attempt-0002", "attempt-0003"]
    assert run.folder == workdir.path / "runs" / "ViT_mu-mnist5k_10pct-15ep-lr_0.003-aug_none-wd_0.03-do_0.0-sd_0.0"
    assert read_json(run.folder / "config.json") == {"digest": CONFIG.digest, "config": CONFIG.to_dict()}


def test_a_claim_of_another_config_under_the_name_is_refused_and_leaves_no_attempt(workdir):
    run = workdir.run(CONFIG)
    write_json(run.folder / "config.json", {"digest": "0" * 16, "config": {}})
    with pytest.raises(UserError, match=r"this name belongs to digest 0{16}, .* use another --workdir or remove the folder"):
        run.claim()
    assert list(run.folder.glob("attempt-*")) == []


def test_the_first_committed_record_stays(workdir):
    assert workdir.run(CONFIG).record() is None
    assert commit(workdir, CONFIG, value=0.25)
    assert not commit(workdir, CONFIG, value=0.75)
    assert workdir.run(CONFIG).record() == record(CONFIG, value=0.25)


def test_cleaning_removes_checkpoints_and_nothing_else(workdir):
    run = workdir.run(CONFIG)
    for _ in range(2):
        attempt = run.claim()
        (attempt / "checkpoints" / "1").mkdir(parents=True)
        (attempt / "weights.npz").touch()
    run.clean()
    left = sorted(str(p.relative_to(run.folder)) for p in run.folder.rglob("*"))
    attempts = [f"attempt-000{n}{end}" for n in (1, 2) for end in ("", "/weights.npz")]
    assert left == [*attempts, "config.json"]


def test_the_newest_output_counts(workdir):
    run = workdir.run(CONFIG)
    with pytest.raises(UserError, match=r"no attempt left a weights\.npz"):
        run.output("weights.npz")
    for _ in range(2):
        (run.claim() / "weights.npz").touch()
    run.claim()
    assert run.output("weights.npz").parent.name == "attempt-0002"


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
        commit(workdir, config)
    workdir.run(configs[0]).folder.joinpath("attempt-0001", "record.json").touch()  # not a committed one
    assert [r.config.name for r in workdir.records()] == sorted(c.name for c in configs)
