"""What the command line says of a sweep before it runs: what there is, what it would compute, what is not here."""

import subprocess
import sys

from sweeps.named import find, names


def test_sweeps_lists_every_sweep_with_its_size(augreg):
    code, out, err = augreg("sweeps")
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.split() == ["sweep", "upstream", "transfers", "about"]
    assert [line.split()[0] for line in lines] == names()
    rows = {line.split()[0]: line.split(maxsplit=3)[1:] for line in lines}
    assert rows["demo"][:2] == ["32", "256"]
    assert rows["augreg-i1k"] == ["252", "17136", find("augreg-i1k").about.splitlines()[0]]


def test_sweeps_of_one_shows_its_axes(augreg):
    code, out, err = augreg("sweeps", "demo")
    assert (code, err) == (0, "")
    assert "\nupstream: 32 points\n" in out
    assert "\ntransfer of every upstream run: 256 points\n" in out
    assert "\n  aug           traced  none, light1, medium1, strong1\n" in out
    assert "\n  model         static  ViT-mu, NFNet-mu\n" in out
    assert "\n  lr            fixed   by model: ViT-mu: 0.003; NFNet-mu: 0.3\n" in out
    assert "\nin all: 32 upstream runs, 256 transfers that depend on them\n" in out


def test_sweeps_of_one_shows_conditions_grids_and_what_is_proprietary(augreg):
    out = augreg("sweeps", "coatnet")[1]
    assert "\nupstream 2 of 3: 5 points\n" in out
    assert "\n  epochs        traced  90.0, 150.0\n" + " " * 24 + "only where aug is coatnet_jft; 90.0 elsewhere\n" in out
    assert "\ntransfer 2 of 3 of the upstream runs whose epochs is 90.0 or 150.0: 10 points\n" in out
    assert out.endswith("\njft300m and jft3b: proprietary; put another upstream set in its place with --upstream\n")
    out = " ".join(augreg("sweeps", "augreg-i1k")[1].split())
    assert "by task: imagenet2012: 20000; oxford_iiit_pet, kitti: 500, 2500; cifar100, resisc45: 2500, 10000" in out
    assert "task static imagenet2012" in out
    assert max(map(len, augreg("sweeps", "augreg-i1k")[1].splitlines())) <= 130


def test_sweeps_of_a_search_shows_what_is_searched(augreg):
    out = augreg("sweeps", "nfnet-scaling-tuned")[1]
    assert "\nsearch by two-trial for the best val: at most 76 trials\n" in out
    assert "\n  epochs        searched  0.25, 0.5, 1.0, 2.0, 4.0, 8.0\n" in out
    assert "\n  lr            searched  0.0125 to 25.6 (log)\n" in out
    assert "\n  first         trial     lr 1.6\n" in out
    assert "in all:" not in out
    assert out.endswith("\njft4b: proprietary; put another upstream set in its place with --upstream\n")


def test_plan_counts_runs_steps_and_programs(augreg):
    code, out, err = augreg("plan", "demo")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "demo: 32 upstream runs, 256 transfers"
    # 8 upstream runs of 12 epochs of 400 and 8 of 4,000 digits in batches of 64, 128 transfers of 20 steps; one program a kind.
    assert 8 * (75 + 750) + 128 * 20 == 9160
    assert [line.split()[:4] for line in lines[2:4]] == [["ViT-mu", "144", "9160", "2"], ["NFNet-mu", "144", "9160", "2"]]
    assert lines[4].startswith("288 runs, 4 programs, ")
    assert [line.split(":")[0] for line in lines[5:9]] == ["time", "money", "wall clock", "disk"]


def test_plan_of_another_upstream_set_counts_its_examples(augreg):
    code, out, _ = augreg("plan", "smoke", "--upstream", "cifar100")
    assert code == 0
    assert out.startswith("smoke@cifar100: 4 upstream runs, 8 transfers\n")
    # 15 epochs of a tenth of 49,000 in batches of 512 are 144 steps, the transfers 10 each.
    assert out.splitlines()[2].split()[:3] == ["ViT-mu", "12", str(4 * 144 + 8 * 10)]
    assert augreg("plan", "smoke", "--upstream", "nope")[0] == 2


def test_a_run_over_a_set_that_is_not_here_says_so_in_one_line(tmp_path):
    command = [sys.executable, "-m", "sweeps.cli", "run", "smoke", "--upstream", "cifar100", "--data", tmp_path]
    done = subprocess.run([*command, "--workdir", tmp_path / "w"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    [said] = [line for line in done.stderr.splitlines() if line.startswith("augreg:")]
    assert "cifar100 is not on disk" in said
    assert str(tmp_path) in said
    assert "Traceback" not in done.stderr


def test_plan_names_prints_every_name_and_nothing_else(augreg):
    code, out, err = augreg("plan", "smoke", "--names")
    assert (code, err) == (0, "")
    assert out.splitlines() == [p.name for p in find("smoke").points]
