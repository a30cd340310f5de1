"""`augreg recommend`: what its options do, where it finds weights, and advice on images of somebody's own."""

import json

import numpy as np
import pandas as pd
import pytest
from made import accept

from bench import models, weights
from bench.errors import UserError
from bench.points import Checkpoint, Upstream, parse_upstream
from bench.records.schema import COLUMNS
from bench.records.table import typed, write_table
from sweeps import advice, cli
from sweeps.given import take
from sweeps.layout import Workdir
from sweeps.released import released
from sweeps.whereabouts import Whereabouts

NAME = "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0"
RUNS = [Upstream("ViT-mu", "mnist5k", 1.0, 0.1, aug, 0.0, 0.0, 0.0) for aug in ("none", "light1", "medium1")]


def rows(*runs, **more):
    fields = ("epochs", "lr", "aug", "wd", "do", "sd", "seed")
    return [
        {"name": r.model, "ds": r.ds, "filename": r.name, "status": "ok", **{f: getattr(r, f) for f in fields}}
        | {"final_val": 0.9 - 0.1 * i, "params": 70_000.0, "infer_samples_per_sec": 1000.0 * (i + 1), **more}
        for i, r in enumerate(runs)
    ]


def frame(found):
    return typed(pd.DataFrame(found, columns=[c.name for c in COLUMNS]))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    write_table(frame([*rows(*RUNS), *rows(parse_upstream(NAME), params=86e6, infer_samples_per_sec=50.0)]), path)
    return path


@pytest.fixture
def augreg(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


def recommended(augreg, *arguments):
    code, out, err = augreg("recommend", *arguments, "--format", "json")
    assert code == 0, err
    return {row["name"]: row for row in json.loads(out)}, err


# Options


def test_limits_leave_out_what_is_too_large_or_too_slow(augreg, table):
    found, err = recommended(augreg, table, "--max-params", "1M")
    assert (list(found), err) == (["ViT-mu"], "left out: B/16 (86,000,000 parameters)\n")
    found, err = recommended(augreg, table, "--min-speed", "2e3")
    assert found["ViT-mu"]["filename"] == RUNS[1].name  # the first is too slow
    assert "left out: 1 of 3 rows of ViT-mu (1,000 images per second)" in err
    code, out, err = augreg("recommend", table, "--max-params", "50K")
    assert (code, out) == (2, "")
    assert err.startswith("augreg: no checkpoint has at most 50,000 parameters: the smallest is ViT-mu with 70,000; raise")


@pytest.mark.parametrize("amount", ["0", "-5", "1T", "M", "1.2.3", "nan", ""])
def test_an_amount_is_a_positive_number(augreg, table, amount):
    code, out, err = augreg("recommend", table, f"--max-params={amount}")
    assert (code, out) == (2, "")
    assert f"{amount!r} is not a positive number such as 5000 or 25M" in err


def test_other_upstream_sets_are_left_out(augreg, table):
    assert list(recommended(augreg, table, "--ds", "i21k")[0]) == ["B/16"]
    code, _, err = augreg("recommend", table, "--ds", "i22k")
    assert (code, "no run of the table has ds 'i22k'; did you mean 'i21k'?" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--strategy", "hybird"], "no strategy 'hybird'; did you mean 'hybrid'?"),
        (["--name", "birds"], "--name is about images of your own: give --data as well"),
        (["--resolution", "32"], "--resolution is about images of your own"),
        (["--workdir", "w"], "--workdir is about images of your own"),
        (["--scores", "none.csv"], "none.csv: no such file of scores"),
        (["--weights", "nowhere"], "nowhere: no such folder; weights are in"),
        (["--data", "nowhere", "--weights", "."], "no weights of the table's 4 checkpoints in .: say where they are"),
    ],
)
def test_bad_options_are_one_line(augreg, table, arguments, part, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = augreg("recommend", table, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert part in err


def test_both_rules_of_imagenet_are_said(augreg, tmp_path):
    adapted = {
        "adapt_ds": "imagenet2012",
        "adapt_lr": 0.03,
        "adapt_steps": 20_000,
        "adapt_resolution": 384,
        "adapt_status": "ok",
    }
    adapted |= {"adapt_filename": f"{NAME}--imagenet2012-steps_20k-lr_0.03-res_384", "adapt_final_test": 0.85}
    found = rows(parse_upstream(NAME), **adapted, adapt_final_val=0.9, adapt_final_val_v2=0.75)
    path = tmp_path / "table.csv"
    write_table(frame(found), path)
    why, line = recommended(augreg, path)[1].splitlines()
    assert why.startswith("imagenet2012: i21k holds ImageNet-1k's training images, minival among them")
    assert why.endswith("so ImageNetV2 decides")
    pick = f"{NAME}-steps_20k-lr_0.03-res_384 (test 85.0%)"
    assert line == f"  B/16: minival picks {pick}, ImageNetV2 picks {pick}"


# Weights


def test_weights_are_in_the_tables_folder_or_released(augreg, table, tmp_path):
    found = recommended(augreg, table)[0]
    assert found["B/16"]["weights"] == f"gs://vit_models/augreg/{NAME}.npz"
    assert found["ViT-mu"]["weights"] is None
    workdir = Workdir(tmp_path)
    workdir.claim("demo")
    accept(workdir, RUNS[0])
    found = recommended(augreg, table)[0]
    assert found["ViT-mu"]["weights"] == str(workdir.weights(RUNS[0]))


def test_what_is_recommended_can_be_given_to_transfer(tmp_path):
    workdir, other = Workdir(tmp_path / "demo"), Workdir(tmp_path / "transfer")
    workdir.claim("demo")
    accept(workdir, RUNS[0])
    weights.save(workdir.weights(RUNS[0]), models.init(models.build("ViT-mu", 10), np.uint32(0), 28))
    place = Whereabouts(workdir.path / "table.csv")(RUNS[0].name)
    [taken] = take([place], other)
    assert taken.checkpoint.run == RUNS[0]


def test_weights_are_where_one_says(augreg, table, tmp_path):
    folder = tmp_path / "files"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / f"{RUNS[0].name}.safetensors").touch()
    assert recommended(augreg, table, "--weights", folder)[0]["B/16"]["weights"] is None
    assert recommended(augreg, table, "--weights", folder)[0]["ViT-mu"]["weights"].endswith(f"{RUNS[0].name}.safetensors")
    (folder / "checkpoints" / f"{NAME}.npz").touch()
    assert recommended(augreg, table, "--weights", folder)[0]["B/16"]["weights"] == str(folder / "checkpoints" / f"{NAME}.npz")
    there = recommended(augreg, table, "--weights", "https://example.org/w/")[0]
    assert there["ViT-mu"]["weights"] == f"https://example.org/w/{RUNS[0].name}.npz"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (NAME, True),
        (NAME.replace("300ep", "30ep"), True),
        ("R_Ti_16-i1k-300ep-lr_0.001-aug_light0-wd_0.03-do_0.1-sd_0.1", True),
        ("B_8-i21k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0", True),
        ("B_8-i21k-300ep-lr_0.001-aug_none-wd_0.1-do_0.0-sd_0.0", False),
        (NAME.replace("i21k-300ep", "i1k-30ep"), False),
        (NAME.replace("i21k", "i21k_10pct"), False),
        (NAME.replace("wd_0.1", "wd_0.2"), False),
        (NAME.replace("sd_0.0", "sd_0.1"), False),
        (NAME.replace("lr_0.001", "lr_0.003"), False),
        (f"{NAME}-seed_1", False),
        (NAME.replace("B_16", "H_14"), False),
    ],
)
def test_what_was_released_is_known_by_name(name, known):
    assert released(parse_upstream(name)) == known


# Images of somebody's own


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    found = {}
    for split, n in (("train", 24), ("val", 12), ("test", 12)):
        found[f"{split}_y"] = np.arange(n) % 3
        bright = 80 * found[f"{split}_y"][:, None, None, None]
        found[f"{split}_x"] = (bright + rng.integers(0, 80, (n, 28, 28, 3))).astype(np.uint8)
    path = tmp_path / "shades.npz"
    np.savez(path, **found)
    return path


def test_advice_on_images_of_ones_own(augreg, table, images, tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", "")
    files = tmp_path / "files"
    files.mkdir()
    for seed, run in enumerate(RUNS[:2]):
        weights.save(files / f"{run.name}.npz", models.init(models.build("ViT-mu", 10), np.uint32(seed), 28))
    (files / f"{NAME}.npz").write_bytes(b"PK damaged")
    arguments = (table, "--data", images, "--weights", files, "--workdir", tmp_path / "advice", "--format", "json")
    code, out, err = augreg("recommend", *arguments)
    assert code == 0, err
    found = json.loads(out)
    assert {row["filename"] for row in found} == {run.name for run in RUNS[:2]}
    assert {row["task"] for row in found} == {"shades"}
    assert found[0]["score"] >= found[1]["score"]
    assert found[0]["criterion"] == "linear_probe"
    assert "shades: 3 classes, train 24, val 12, test 12 images" in err
    assert f"{NAME}: passed over (" in err
    assert err.splitlines()[-1].startswith("next: augreg transfer ")
    assert f"--data {images} --workdir {tmp_path / 'advice-transfer'}" in err
    again = augreg("recommend", *arguments)
    assert again[1] == out
    assert again[2].count(": known\n") == 2  # nothing is computed twice


def test_the_best_upstream_are_probed_first(table, tmp_path):
    for run in RUNS:
        (tmp_path / f"{run.name}.npz").touch()
    known = frame(rows(*RUNS))
    found = advice.candidates(known.iloc[::-1], Whereabouts(table, str(tmp_path)), 2)
    assert [each.upstream for each in found] == RUNS[:2]
    diverged = known.assign(status=["diverged", "ok", "ok"])
    assert [each.upstream for each in advice.candidates(diverged, Whereabouts(table, str(tmp_path)), 5)] == RUNS[1:]


def test_weights_from_elsewhere_are_candidates_too(table, tmp_path):
    flat = {"head/bias": np.zeros(3, np.float32)}
    config = Checkpoint("ViT-mu", "of-mine", weights.identity(flat))
    weights.write(tmp_path / f"{config.name}.npz", flat)
    known = frame([{"name": "ViT-mu", "filename": config.name, "aug": None, "final_val": None}])
    [found] = advice.candidates(known, Whereabouts(table, str(tmp_path)), 5)
    assert found.upstream == config


def test_when_nothing_can_be_probed_it_says_so(table, images, tmp_path, augreg, monkeypatch):
    monkeypatch.setenv("AUGREG_DATA", "")
    for run in RUNS[:1]:
        (tmp_path / f"{run.name}.npz").write_bytes(b"")
    code, out, err = augreg(
        "recommend", table, "--data", images, "--weights", tmp_path, "--workdir", tmp_path / "advice", "--max-params", "1M"
    )
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "augreg: none of 1 checkpoints could be probed on shades; the lines above say why"
    with pytest.raises(UserError, match="no weights of the table's 3 checkpoints"):
        advice.candidates(frame(rows(*RUNS)), Whereabouts(table, str(tmp_path / "advice")), 5)
