"""The command line: what it prints where, exit codes, what it imports, and that bad input is one line."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from made import accept

from bench.points import Execution
from bench.records.schema import COLUMNS
from bench.records.table import read_table
from sweeps import cli, session
from sweeps.executors import local
from sweeps.executors.local import Local
from sweeps.job import Settings
from sweeps.layout import Workdir
from sweeps.limits import Limits
from sweeps.lock import Lock
from sweeps.named import find

COMMANDS = (
    *("archive", "cancel", "compare", "convert", "data", "executors", "figure", "findings", "heatmap", "import", "models"),
    *("plan", "recommend", "report", "retry", "run", "select", "status", "sweeps", "table", "transfer", "utilisation", "why"),
)


def bad():
    """Returns the run of `smoke` that diverged."""
    [found] = [p for p in find("smoke").upstream_points if (p.aug, p.do) == ("none", 0.1)]
    return found


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A workdir of `smoke` with all records, one upstream run and its transfers diverged; nothing is drawn yet."""
    folder = Workdir(tmp_path_factory.mktemp("smoke"))
    folder.claim("smoke")
    for config in find("smoke").points:
        accept(folder, config, status="diverged" if bad() in (config, getattr(config, "upstream", None)) else "ok")
    return folder.path


@pytest.fixture(scope="module")
def table(workdir, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    with pytest.raises(SystemExit) as left:
        cli.main(["table", str(workdir), "-o", str(path)])
    assert left.value.code == 0
    return path


# Help


def test_the_help_lists_every_command_with_a_whole_sentence(augreg):
    code, out, err = augreg("--help")
    assert (code, err) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in out.split("Commands:\n")[1].splitlines())
    assert tuple(listed) == COMMANDS
    for sentence in listed.values():
        assert sentence.endswith((".", "..."))
        assert "(Fig." not in sentence
    assert "\n  Start with:  augreg sweeps           what can be run\n" in out  # laid out as written, not refilled


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_every_option_says_what_it_does(augreg, command):
    code, out, err = augreg(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: augreg {command} ")
    assert augreg(command, "-h")[1] == out
    assert cli.cli.commands[command].help
    for option in cli.cli.commands[command].params:
        assert option.param_type_name == "argument" or option.help, option.name


def test_without_a_command_the_help_is_shown(augreg):
    code, out, err = augreg()
    assert (code, out) == (2, "")
    assert err == augreg("--help")[1]


def test_version(augreg):
    assert augreg("--version") == (0, "augreg, version 0.1.0\n", "")


# Bad input


def bad_tables(tmp_path):
    """Returns (file, what is said of it)."""
    header = ",".join(c.name for c in COLUMNS)
    contents = {
        "empty.csv": ("", "not readable as csv"),
        "uneven.csv": (f"{header}\n" + "1," * 100 + "\n", "not readable as csv"),
        "bytes.csv": (b"\xff\xfe\x00", "not readable as csv"),
        "columns.csv": ("name,ds\nViT-mu,i1k\n", "missing column 'epochs'"),
        "unknown.csv": (f"{header},colour\n", "unknown column 'colour'"),
        "rows.csv": (f"{header}\n", "the table has no rows"),
        "broken.parquet": ("PAR1", "not readable as parquet"),
    }
    for name, (content, what) in contents.items():
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        yield path, what
    yield tmp_path / "missing.csv", "no such table"
    yield tmp_path / "table.txt", "a table is a .csv or a .parquet file"
    (tmp_path / "folder.csv").mkdir()
    yield tmp_path / "folder.csv", "not readable as csv"


def one_line(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("augreg: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "demos"], "no sweep 'demos'; did you mean 'demo'? valid: augreg-i1k, "),
        (["plan", "nope"], "no sweep 'nope'; valid: augreg-i1k, "),
        (["sweeps", "smok"], "did you mean 'smoke'?"),
        (["plan"], "Missing argument 'NAME'. (see `augreg plan --help`)"),
        (["plan", "demo", "more"], "(see `augreg plan --help`)"),
        (["plan", "demo", "--nams"], "--names"),
        (["--nope"], "No such option '--nope'. (see `augreg --help`)"),
        (["heatmp", "x"], "Did you mean 'heatmap'?"),
        (["run", "smoke", "--workers", "two"], "'two' is not a valid integer"),
        (
            ["run", "smoke", "--workers", "-1"],
            "--workers is -1, but must be at least 1 (or 0 for as many as there is room for)",
        ),
        (["run", "smoke", "--checkpoint-seconds", "-1"], "--checkpoint-seconds is -1, but must be at least 0"),
        (["run", "smoke", "--checkpoint-seconds", "nan"], "--checkpoint-seconds is nan, but must be at least 0"),
        (["run", "smoke", "--checkpoint-seconds", "inf"], "--checkpoint-seconds is inf, but must be at least 0"),
        (["recommend", "t.csv", "--format", "xml"], "'xml' is not one of 'csv', 'md', 'json'"),
        (["table", "."], "Missing option '-o'"),
        (["heatmap", "t.csv"], "nothing to write: give -o FIGURE, --csv CELLS, or both"),
        (["status", "."], "holds no sweep: it is made by `augreg run NAME --workdir"),
        (["status", "nowhere"], "nowhere holds no sweep"),
        (["table", ".", "-o", "t.csv"], "holds no sweep"),
        (["models", "Ti16"], "unknown model 'Ti16': did you mean 'Ti/16'?"),
        (["models", "--family", "vitt"], "unknown family 'vitt'; did you mean 'vit'? valid: vit, hybrid, resnet, nfnet"),
        (["models", "Ti/16", "--depth", "0"], "--resolution and --depth must be at least 1, not 224 and 0"),
        (["models", "Ti/16", "--resolution", "8"], "Ti/16 cannot take images of 8 px"),
        (["convert", "nothing.npz", "t.npz", "--model", "Ti/16"], "nothing.npz: no such"),
        (["convert", "nothing.npz", "t.txt", "--model", "Ti/16"], "t.txt: a file of weights ends in .npz or .safetensors"),
        (["convert", "nothing.npz", "t.npz"], "Missing option '--model'"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_nothing(augreg, arguments, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_line(augreg(*arguments), part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["recommend"], ["select"], ["heatmap", "--csv", "c.csv"], ["report", "-o", "r.html"]])
def test_a_bad_table_is_one_line(augreg, command, tmp_path, monkeypatch):
    for path, what in list(bad_tables(tmp_path)):
        monkeypatch.chdir(tmp_path)
        one_line(augreg(command[0], path, *command[1:]), what)
    assert not (tmp_path / "c.csv").exists()
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("command", "output", "part"),
    [
        ("heatmap", "x.gif", "cannot draw into a file of kind 'gif'; valid: png, svg, pdf"),
        ("select", "x", "cannot draw into a file of kind ''; valid: png, svg, pdf"),
        ("table", "x.xlsx", "a table is a .csv or a .parquet file"),
    ],
)
def test_a_wrong_suffix_is_one_line(augreg, workdir, table, command, output, part, tmp_path):
    source = workdir if command == "table" else table
    one_line(augreg(command, source, "-o", tmp_path / output), part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "output"), [("heatmap", "--csv"), ("report", "-o"), ("heatmap", "-o"), ("table", "-o")])
def test_an_output_that_cannot_be_written_is_one_line(augreg, workdir, table, command, output, tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / {"--csv": "c.csv", "report": "r.html"}.get(output, "x.png")
    target = target.with_suffix({"report": ".html", "table": ".csv"}.get(command, target.suffix))
    one_line(augreg(command, workdir if command == "table" else table, output, target), str(tmp_path / "file"))


def test_an_output_that_is_a_folder_is_one_line_that_names_it(augreg, workdir, tmp_path):
    (tmp_path / "t.csv").mkdir()
    one_line(augreg("table", workdir, "-o", tmp_path / "t.csv"), f"cannot write {tmp_path / 't.csv'}: Is a directory")


@pytest.mark.parametrize(
    "words",
    [("heatmap", "T", "--csv"), ("figure", "augreg-fig4", "T", "--csv"), ("compare", "T", "--with", "augreg-fig4", "--csv")],
)
def test_the_file_that_is_read_is_never_written(augreg, table, tmp_path, words):
    mine, linked = tmp_path / "t.csv", tmp_path / "link.csv"
    mine.write_bytes(content := table.read_bytes())
    linked.symlink_to(mine)
    for target in (mine, linked):
        found = augreg(*(mine if word == "T" else word for word in words), target)
        one_line(found, f"{target} is the very file that is read: give another one to write")
    assert mine.read_bytes() == content


def test_an_import_does_not_replace_its_source(augreg, tmp_path):
    (tmp_path / "index.csv").write_text("name,ds\n")
    one_line(augreg("import", tmp_path / "index.csv", "-o", tmp_path / "index.csv"), "is the very file that is read")


def test_a_workdir_of_a_sweep_that_is_gone_is_one_line(augreg, tmp_path):
    Workdir(tmp_path).claim("gone")
    one_line(augreg("status", tmp_path), "no sweep 'gone'")


def test_a_broken_record_is_one_line_that_names_it(augreg, tmp_path):
    folder = Workdir(tmp_path)
    folder.claim("smoke")
    config = find("smoke").points[0]
    accept(folder, config)
    path = folder.run(config).folder / "record.json"
    path.write_text(path.read_text()[:100])
    for arguments in (["status", tmp_path], ["table", tmp_path, "-o", tmp_path / "t.csv"]):
        one_line(augreg(*arguments), str(path), "not readable as JSON")


def test_the_message_of_a_failure_is_on_standard_error_of_a_real_process(tmp_path):
    command = [sys.executable, "-m", "sweeps.cli", "recommend", "missing.csv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "augreg: missing.csv: no such table\n")


# What the commands give


def test_status_counts_what_is_done(augreg, workdir):
    code, out, err = augreg("status", workdir)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "smoke: 4/4 upstream, 8/8 transfer, 3 diverged done, 0 workers alive, no coordinator"
    assert lines[1] == f"  diverged: {bad().name}"
    assert [line.partition("--")[0] for line in lines[2:4]] == [lines[1]] * 2
    assert len(lines) == 4


def test_status_follows_as_long_as_somebody_is_at_work(augreg, workdir, monkeypatch):
    lock, waited = Lock.take(workdir / "coordinator.lock", "process 1 on here"), []

    def wait(seconds):
        waited.append(seconds)
        if len(waited) == 2:
            lock.release()

    monkeypatch.setattr(cli.time, "sleep", wait)
    code, out, err = augreg("status", workdir, "--follow")
    assert (code, err, waited) == (0, "", [5.0, 5.0])
    assert [line.rpartition(", ")[2] for line in out.splitlines() if line.startswith("smoke: ")] == [
        "led by process 1 on here",
        "led by process 1 on here",
        "no coordinator",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_holds_every_transfer_once(augreg, workdir, tmp_path, suffix):
    path = tmp_path / f"new{suffix}"
    assert augreg("table", workdir, "-o", path) == (0, "", f"{path}: 8 rows\n")
    found = read_table(path)
    assert sorted(found["adapt_filename"]) == sorted(t.name for t in find("smoke").transfer_points)
    assert found["status"].value_counts().to_dict() == {"ok": 6, "diverged": 2}
    assert found["final_val"].isna().sum() == 2


def test_heatmap_csv_has_the_cells_and_these_columns(augreg, table, tmp_path):
    path = tmp_path / "cells.csv"
    assert augreg("heatmap", table, "--csv", path) == (0, "", "")
    lines = path.read_text().splitlines()
    assert lines[0] == "ds,name,do,aug,value"
    assert [line.rsplit(",", 1)[0] for line in lines[1:]] == [
        "mnist5k_10pct,ViT-mu,0.0,none",
        "mnist5k_10pct,ViT-mu,0.0,light1",
        "mnist5k_10pct,ViT-mu,0.1,none",
        "mnist5k_10pct,ViT-mu,0.1,light1",
    ]
    found = read_table(table).groupby("aug")["final_val"].max()
    assert float(lines[1].rsplit(",", 1)[1]) == found["none"]
    assert lines[3].endswith(",none,")  # diverged: a cell without a value


def test_heatmap_draws(augreg, table, tmp_path):
    path = tmp_path / "figure.svg"
    assert augreg("heatmap", table, "-o", path) == (0, "", "")
    assert "<svg" in path.read_text()


@pytest.mark.parametrize("form", ["csv", "md", "json"])
def test_recommend_prints_the_table_alone(augreg, table, form):
    code, out, err = augreg("recommend", table, "--format", form)
    assert (code, err) == (0, "")
    assert out.endswith("\n")
    assert not out.endswith("\n\n")
    if form == "csv":
        assert out.splitlines()[0].startswith("name,filename,ds,aug,")
        assert [line.split(",")[0] for line in out.splitlines()[1:]] == ["ViT-mu"]
    elif form == "md":
        assert [line[0] + line[-1] for line in out.splitlines()] == ["||"] * 3
        assert out == augreg("recommend", table)[1]
    else:
        [row] = json.loads(out)
        best = read_table(table)
        assert row["filename"] == best.loc[best["final_val"].idxmax(), "filename"]


def test_select_prints_csv(augreg, table, tmp_path):
    figure = tmp_path / "selection.png"
    code, out, err = augreg("select", table, "-o", figure)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split(",")[:5] == ["name", "adapt_ds", "adapt_group", "adapt_synthetic", "strategy"]
    assert len(out.splitlines()) == 1 + 2 * 6  # two tasks, and the strategies that need no scores
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_report_writes_a_page_with_its_title(augreg, table, tmp_path):
    path = tmp_path / "page.html"
    assert augreg("report", table, "-o", path, "--title", "Ours & theirs") == (0, "", "")
    assert "<title>Ours &amp; theirs</title>" in path.read_text()


# Running


class Nothing(Local):
    """An executor that must not be used."""

    def launch(self, job):
        raise AssertionError(f"{job.id} was launched")


def test_a_sweep_without_transfers_leaves_all_files_but_the_selection(augreg, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "Local", Nothing)
    for config in find("augreg-nfnet-mini").points:
        accept(Workdir(tmp_path), config)
    code, out, err = augreg("run", "augreg-nfnet-mini", "--workdir", tmp_path)
    assert code == 0, err
    assert "NFNet-mu" in out
    assert {"table.csv", "heatmap.png", "recommended.md", "report.html"} <= {p.name for p in tmp_path.iterdir()}
    assert not (tmp_path / "selection.png").exists()
    assert augreg("run", "augreg-nfnet-mini", "--workdir", tmp_path)[2].startswith(
        "augreg-nfnet-mini: all runs are done (24/24"
    )


def test_run_of_a_complete_sweep_starts_nothing(augreg, workdir, monkeypatch):
    monkeypatch.setattr(local, "Local", Nothing)
    code, out, err = augreg("run", "smoke", "--workdir", workdir)
    assert code == 0
    assert "ViT-mu" in out
    assert err.splitlines()[-1] == f"smoke: 4/4 upstream, 8/8 transfer, 3 diverged done; results: {workdir}"
    files = {
        "table.csv",
        "cells.csv",
        "heatmap.png",
        "selection.png",
        "recommended.md",
        "report.html",
        "study.db",
        "sweep.json",
    }
    assert files <= {p.name for p in workdir.iterdir()}
    before = {p: p.stat().st_mtime_ns for p in workdir.iterdir() if p.name in files - {"study.db"}}
    code, out, err = augreg("run", "smoke", "--workdir", workdir)
    assert (code, out) == (0, "")
    done = "4/4 upstream, 8/8 transfer, 3 diverged"
    assert err == f"smoke: all runs are done ({done}); nothing to do. Results: {workdir}\n"
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert not list(workdir.glob("jobs/*"))
    (workdir / "heatmap.png").unlink()  # what is missing is drawn again
    assert augreg("run", "smoke", "--workdir", workdir)[0] == 0
    assert (workdir / "heatmap.png").exists()
    assert pd.read_csv(workdir / "table.csv").shape == (8, len(COLUMNS))


def test_run_goes_to_results_by_default(augreg, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(session, "run_sweep", lambda *a: seen.append(a))
    monkeypatch.chdir(tmp_path)
    assert augreg("run", "smoke", "--workers", "3", "--checkpoint-seconds", "0") == (0, "", "")
    assert augreg("run", "smoke", "--remat", "--fsdp") == (0, "", "")
    (sweep, path, *settings), (_, _, *others) = seen
    assert (sweep.name, str(path), settings[0].capacity()) == ("smoke", "results/smoke", 3)
    assert settings[1:] == [Settings(0.0), Limits(), None, None]
    assert others[1:] == [Settings(30.0, Execution(remat=True, scan=False, fsdp=True)), Limits(), None, None]


def test_ctrl_c_is_one_line_and_130(augreg, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "run_sweep", interrupted)
    code, out, err = augreg("run", "smoke")
    assert (code, out) == (130, "")
    assert err.strip() == "augreg: stopped after 0 s; the same command goes on from here"


# Light imports

HEAVY = ("jax", "flax", "optax", "orbax", "tensorflow", "matplotlib", "seaborn", "optuna", "pandas", "sklearn")


@pytest.mark.parametrize("arguments", [["--help"], ["sweeps"], ["sweeps", "demo"], ["plan", "demo"], ["run", "--help"]])
def test_looking_around_imports_nothing_heavy(arguments):
    code = f"""
import sys
from sweeps import cli
try:
    cli.main({arguments})
except SystemExit as left:
    print(left.code, *sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "0\n"
    assert done.stdout


def test_a_report_needs_nothing_that_trains(table, tmp_path):
    code = f"""
import sys
from sweeps import cli
try:
    cli.main(["report", {str(table)!r}, "-o", {str(tmp_path / "r.html")!r}])
except SystemExit as left:
    print(left.code, *sorted({{"jax", "flax", "tensorflow", "optuna"}} & set(sys.modules)), file=sys.stderr)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120).stderr == "0\n"
