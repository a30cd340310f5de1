"""The documentation says what the code does: no more, no less."""

import dataclasses
import re
import shlex
from pathlib import Path

import click
import pytest

from bench import data
from bench.cost.devices import DEVICES
from bench.data import check
from bench.findings import FINDINGS
from bench.points import LEVELS, TASKS, UPSTREAM, VARIANTS, Transfer, Upstream, files, names
from bench.points.datasets import PROPRIETARY_SETS
from bench.points.progressive import PROGRESSIVE
from bench.points.small import SMALL
from bench.points.tasks import EXTRAS
from bench.points.variants import FAMILIES
from bench.records.schema import COLUMNS
from bench.select.compare import RESULT
from bench.select.scores import SCORES
from bench.select.strategies import STRATEGIES
from bench.train.trackers import TRACKERS
from sweeps import named
from sweeps.cli import cli
from sweeps.executors import EXECUTORS, facts
from sweeps.layout import Workdir
from vtab import tasks

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("results/**/*.md")])
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


def walk(group, path=()):
    """Yields (words, command) of every command that is no group."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_the_notebook_code_about_scale_runs(tmp_path, monkeypatch, capsys):
    from claims import law
    from claims import table as made

    from bench.records.table import write_table

    write_table(made([*law(0.0)]), tmp_path / "table.csv")
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "scaling.md").read_text(), re.DOTALL | re.MULTILINE)
    exec(block, {})
    assert capsys.readouterr().out.startswith("-0.1 ")
    assert (tmp_path / "loss.svg").stat().st_size > 1000


COMMANDS = dict(sorted(walk(cli)))


def section(title, level="##"):
    """Returns the text under a heading, up to the next of its level or above."""
    [found] = re.findall(
        rf"^{level} {re.escape(title)}\n(.*?)(?=^#{{2,{len(level)}}} |\Z)", REFERENCE, re.MULTILINE | re.DOTALL
    )
    return found


def table(text):
    """Returns the only table of a text, a dict a row; code marks are dropped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines]
    rows = [[cell.strip().replace("`", "").replace("\\|", "|") for cell in row] for row in cells]
    head, rule, *body = rows
    assert all(set(cell) <= {"-", ":"} for cell in rule)
    return [dict(zip(head, row, strict=True)) for row in body]


def number(value):
    return "not published" if value is None else f"{value:,}"


def yes(flag):
    return "yes" if flag else "no"


def without_fences(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


# The reference


def headings():
    return re.findall(r"^### `augreg ([^`]*)`$", section("Commands"), re.MULTILINE)


def words(heading):
    """Returns the words of a heading that are no arguments."""
    return " ".join(word for word in heading.split() if word.islower())


def test_the_commands_are_these():
    assert sorted(map(words, headings())) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_arguments_options_and_an_example(name):
    [heading] = [h for h in headings() if words(h) == name]
    command = COMMANDS[name]
    arguments = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
    assert heading.split()[len(name.split()) :] == arguments
    text = section(f"`augreg {heading}`", "###")
    options = [p for p in command.params if isinstance(p, click.Option)]
    rows = table(text) if options else []
    assert [row["option"] for row in rows] == [", ".join(o.opts) for o in options]
    assert all(row["meaning"] for row in rows)
    for option, row in zip(options, rows, strict=True):
        assert ("; required" in row["meaning"]) == option.required
    examples = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    assert examples
    # A group alone does what its command `list` does.
    starts = (f"augreg {name}", f"augreg {name.removesuffix(' list')}")
    assert all(line.startswith(starts) for block in examples for line in block.splitlines())


def test_the_defaults_of_options_are_said():
    found = {row["option"]: row["meaning"] for h in headings() for row in options_of(h)}
    assert "30 by default" in found["--checkpoint-seconds"]
    assert "augreg-bench by default" in found["--title"]
    assert "md (the default)" in found["--format"]
    assert "20,000 by default" in found["--sample"]
    assert check.SAMPLE == 20_000
    assert ("64 by default" in found["-n, --number"], "0 by default" in found["--seed"]) == (True, True)
    defaults = {o.opts[0]: o.default for c in COMMANDS.values() for o in c.params if isinstance(o, click.Option)}
    assert (defaults["-n"], defaults["--seed"]) == (64, 0)
    assert (defaults["--checkpoint-seconds"], defaults["--title"], defaults["--format"]) == (30.0, "augreg-bench", "md")
    assert defaults["--workers"] == 0


def test_the_executors_and_their_options_are_these():
    text = section("Executors")
    assert re.findall(r"^### `(\w+)`$", text, re.MULTILINE) == list(EXECUTORS)
    for name in EXECUTORS:
        found, said = facts(name), section(f"`{name}`", "###")
        for option, row in zip(found.options, table(said), strict=True):
            assert row == {"option": option.name, "default": str(option.default), "meaning": option.about.replace("`", "")}
        opening = " ".join(said.split("| option")[0].split())
        assert found.about in opening[0].lower() + opening[1:] or found.about in opening
        assert f"Ran: {found.ran}." in opening
        assert (f"the extra `{found.extra}`" in opening) == bool(found.extra)
        assert (f"`{found.program}` in PATH" in opening) == bool(found.program)


def options_of(heading):
    text = section(f"`augreg {heading}`", "###")
    return table(text) if "| option |" in text else []


def test_the_exit_codes_are_these():
    assert [row["code"] for row in table(section("Exit codes"))] == ["0", "2", "130", "1"]


def test_the_environment_variables_are_these():
    source = "".join(path.read_text() for package in ("bench", "vtab", "sweeps") for path in (ROOT / package).rglob("*.py"))
    rows = [row["variable"] for row in table(section("Environment variables"))]
    assert sorted(rows) == sorted(set(re.findall(r"\bAUGREG_[A-Z]+\b", source)))


def test_the_sweeps_are_these():
    rows = {r["sweep"]: (r["upstream runs"], r["transfers"]) for r in table(section("Named sweeps"))}
    sweeps = {n: named.find(n) for n in named.names()}
    upstream = {n: f"at most {s.search.trials:,}" if s.search else number(len(s.upstream_points)) for n, s in sweeps.items()}
    assert rows == {n: (upstream[n], number(len(s.transfer_points))) for n, s in sweeps.items()}


def test_the_strategies_are_these():
    expected = [
        {"strategy": s.name, "needs": ", ".join(s.needs) or "-", "budget": str(s.usual or "all"), "adapts": s.about}
        for s in STRATEGIES.values()
    ]
    assert table(section("Strategies")) == expected


def test_the_columns_of_choices_are_these():
    text = section("`augreg select TABLE`", "###").split("Columns of `choices`:")[1]
    assert set(RESULT) <= set(re.findall(r"`(\w+)`", text))


def test_the_tasks_are_these():
    for row, task in zip(table(section("Tasks")), TASKS.values(), strict=True):
        facts = (task.name, task.group, *map(number, (task.classes, task.train, task.val, task.test)), yes(task.synthetic))
        assert tuple(row.values())[:7] == facts
        if task in SMALL:
            assert row["source"].startswith(f"{task.name}.npz"), task.name
        else:
            tfds = task.files and row["source"].startswith(f"TFDS {task.files.tfds}")
            assert tfds or task.name in tasks.EMBEDDED_LOADERS, task.name


def test_the_upstream_sets_are_these():
    for row, s in zip(table(section("Upstream sets")), UPSTREAM.values(), strict=True):
        sizes = [
            *map(number, (s.classes, s.train, s.val, s.test)),
            str(s.resolution),
            *map(number, (s.batch_size, s.warmup_steps)),
        ]
        assert list(row.values())[:9] == [s.name, *sizes, s.loss]
        known = f"TFDS {s.files.tfds}" if s.files else None
        source = row["source"] if s.name == "tinyimagenet8k" else known
        assert row["source"] == (source or row["source"]), s.name
        assert bool(source) == (s.name not in data.EMBEDDED_LOADERS and s.name not in PROPRIETARY_SETS), s.name
        assert row["source"].startswith("proprietary") == (s.name in PROPRIETARY_SETS), s.name


def test_the_models_are_these():
    expected = [(v.name, v.prefix, v.family, v.source) for v in VARIANTS.values()]
    listed = section("Models").split("### Modifiers")[0]
    assert [tuple(row.values()) for row in table(listed)] == [tuple(cell.replace("`", "") for cell in row) for row in expected]


def test_the_modifiers_are_these():
    rows = [(row["modifier"], row["family"]) for row in table(section("Modifiers", "###"))]
    assert rows == [(m, f.name) for f in FAMILIES.values() for m in f.modifiers]


def test_the_devices_are_these():
    expected = [
        (
            d.name,
            f"{d.peak / 1e12:g}",
            str(d.cores),
            f"{d.memory / 1e9:.0f}",
            f"{d.bandwidth / 1e9:g}",
            f"{d.price:g}",
            d.priced,
        )
        for d in DEVICES.values()
    ]
    assert [tuple(row.values()) for row in table(section("Devices"))] == expected


def test_the_levels_are_these():
    expected = [
        (v.name, v.paper, *map(str, (v.layers, v.magnitude, v.mixup, v.cutmix)), yes(v.mix_first), yes(v.per_image))
        for v in LEVELS.values()
    ]
    assert [tuple(row.values()) for row in table(section("Augmentation levels"))] == expected


def test_the_scores_are_these():
    splits = {"train": "train", "held_out": "val, test"}
    expected = [
        (s.name, s.about, splits[s.split_kind], yes(s.needs_head), f"{s.most:,}" if s.most else "all", s.source)
        for s in SCORES.values()
    ]
    assert [tuple(row.values()) for row in table(section("Scores"))] == expected


def test_the_findings_are_these():
    expected = [(f.name, f.claim, f.source) for f in FINDINGS.values()]
    assert [tuple(row.values()) for row in table(section("Findings"))] == expected


def test_the_progressive_schedules_are_these():
    ways = {0: "i / 3 of the way", 1: "(i + 1) / 4 of the way"}
    expected = [
        (
            *(p.name, str(p.stages), str(p.resolution or "half"), ways[p.offset], str(p.magnitude), str(p.mixup)),
            "constant" if p.dropout is None else str(p.dropout),
        )
        for p in PROGRESSIVE.values()
    ]
    assert [tuple(row.values()) for row in table(section("Progressive schedules"))] == expected


FIELDS = [
    ("Fields of an upstream run", Upstream, names._UPSTREAM_EXTRAS),
    ("Fields of a transfer", Transfer, names._TRANSFER_EXTRAS),
]


@pytest.mark.parametrize(("title", "config", "extras"), FIELDS)
def test_the_fields_of_a_config_are_these(title, config, extras):
    keys = {field: key for key, (field, _) in extras.items()}
    for row, field in zip(table(section(title)), dataclasses.fields(config), strict=True):
        assert (row["field"], row["type"]) == (field.name, field.type)
        assert (row["default"] == "required") == (field.default is dataclasses.MISSING)
        if field.name in keys:
            assert row["in the name"] == f"{keys[field.name]}_, where not the default"
        assert row["in the name"]
        assert row["meaning"]


UPSTREAM_RUN = "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0"


def test_the_fields_that_the_name_leaves_out_have_the_default_that_is_said():
    run = names.parse(UPSTREAM_RUN)
    rows = {row["field"]: row["default"] for row in table(section("Fields of an upstream run"))}
    assert (float(rows["fraction"]), int(rows["seed"])) == (run.fraction, run.seed)
    assert rows["clip"] == "1.0; nesterov_agc: the set's"
    assert run.clip == 1.0
    assert rows["optimizer"] == "adam; NFNet: nesterov_agc; EfficientNetV2: rmsprop; ResNet: momentum"
    usual = {f.name: f.optimizer for f in FAMILIES.values() if f.optimizer != "adam"}
    assert usual == {"nfnet": "nesterov_agc", "efficientnetv2": "rmsprop", "resnet": "momentum"}
    assert rows["dtype"] == run.dtype
    nfnet = names.parse(UPSTREAM_RUN.replace("B_16", "NFNet_F0"))
    assert (run.optimizer, nfnet.optimizer, nfnet.clip) == ("adam", "nesterov_agc", UPSTREAM["i21k"].agc)
    rows = {row["field"]: row["default"] for row in table(section("Fields of a transfer"))}
    transfer = names.parse(f"{UPSTREAM_RUN}--cifar100-steps_10k-lr_0.03-res_384")
    assert (int(rows["batch_size"]), float(rows["clip"])) == (transfer.batch_size, transfer.clip)
    assert rows["warmup_steps"] == "by steps: under 500 a fifth of them, under 2,500 100, under 10,000 200, else 500"
    assert [Transfer.recipe_warmup(n) for n in (499, 500, 2_499, 2_500, 9_999, 10_000)] == [99, 100, 100, 200, 200, 500]


def test_the_names_in_the_reference_are_names():
    found = re.findall(r"^[A-Z]\S+-lr_\S+$", section("Names of runs"), re.MULTILINE)
    assert [names.parse(name).kind for name in found] == ["upstream", "transfer"]


def test_the_columns_of_the_table_are_these():
    expected = [(c.name, c.dtype, yes(c.released), yes(c.volatile), c.meaning) for c in COLUMNS]
    assert [tuple(row.values()) for row in table(section("Columns of the table"))] == expected


def test_the_layout_names_every_file_that_a_sweep_leaves(tmp_path):
    from made import accept

    from sweeps.archive import FILE as RECORDS
    from sweeps.job import Job
    from sweeps.launch import Launch
    from sweeps.lock import Lock
    from sweeps.outcome import FILES as OUTCOME
    from sweeps.results import FILES
    from sweeps.search import files as proposals
    from sweeps.search.results import FILE as TRIALS

    workdir, config = Workdir(tmp_path), named.find("smoke").points[0]
    workdir.claim("smoke")
    accept(workdir, config)
    job = Job(workdir, (config,))
    job.write()
    launch = Launch.new(job)
    Lock.require(launch.lock, "").release()
    launch.report({})
    launch.finish("done")
    launch.fence("why")
    launch.drop("a", "cancelled")
    workdir.run(config).fail("made.0002", "error")
    proposals.write(tmp_path, 0, proposals.Proposal(config, {}, {}))
    made = {p.name for p in tmp_path.rglob("*") if p.is_file()} | {*FILES, *OUTCOME, TRIALS, RECORDS, workdir.cache.name + "/"}
    text = section("Layout of a workdir").split("```")[1]
    said = {word.rstrip(",").rpartition("proposals/")[2] for line in text.splitlines()[2:] for word in line.split()}
    assert made <= said
    top = re.findall(r"^  (\w+\.\w+) ", text, re.MULTILINE)
    assert set(top) == {*FILES, *OUTCOME, TRIALS, "sweep.json", "coordinator.lock", "study.db"}


def test_the_trackers_are_these():
    rows = {row["tracker"]: row["needs"] for row in table(section("Metrics", "###"))}
    assert rows == {name: f"the extra {kind.extra}" if kind.extra else "-" for name, kind in TRACKERS.items()}


# All pages


def blocks(page):
    """Yields the `augreg` command lines of a page's code blocks that are plain or of a shell."""
    for language, body in re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        if language in ("", "sh", "bash", "console"):
            for line in body.splitlines():
                if re.match(r"\s*augreg\s", line):
                    yield line.strip()


# What a page adds to the facts before it checks it.
ADDED = {"my_birds"}


def data_sets():
    return {*TASKS, *UPSTREAM, *EXTRAS, *ADDED}


LINES = [(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in dict.fromkeys(blocks(page))]


def test_there_are_examples():
    assert {page for page, _ in LINES} >= {"docs/reference.md"}
    assert {name for _, line in LINES for name in COMMANDS if f"{line} ".startswith(f"augreg {name} ")} == set(COMMANDS)


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_in_a_code_block_is_one(page, line, monkeypatch):  # noqa: ARG001 - the page is for the test's name
    monkeypatch.setenv(files.DATA, "")  # which --data sets
    group, (_, name, *arguments) = cli, shlex.split(line, comments=True)
    # Below the group, as on the command line: click keeps the help option of a command's first context.
    above = cli.make_context("augreg", [name])
    while isinstance(command := group.commands[name], click.Group) and arguments and not arguments[0].startswith("-"):
        above = command.make_context(name, arguments, parent=above)
        group, (name, *arguments) = command, arguments
    with command.make_context(name, arguments, parent=above) as context:
        given = context.params.get("name")
        assert given is None or given in (data_sets() if group.name == "data" else named.names())


def anchors(page):
    """Returns the anchors that a page's headings get on GitHub."""
    titles = re.findall(r"^#+ (.*)$", without_fences(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", [p.relative_to(ROOT).as_posix() for p in PAGES])
def test_relative_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)\s]+)\)", without_fences(path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(found), target


@pytest.mark.parametrize("page", [p.relative_to(ROOT).as_posix() for p in PAGES if p.parent.name == "how-to"])
def test_files_that_a_how_to_names_exist(page):
    for name in re.findall(r"`((?:bench|vtab|sweeps|tests)/[\w/.]+\.py)`", (ROOT / page).read_text()):
        assert (ROOT / name).exists(), name


def test_every_how_to_is_reached_from_the_reference():
    linked = {t for t in re.findall(r"\]\(([^)\s]+)\)", REFERENCE) if t.startswith("how-to/")}
    assert linked == {f"how-to/{p.name}" for p in (ROOT / "docs" / "how-to").glob("*.md")}
