import base64
import hashlib
import html
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.perf.full_table import full_table
from bench.points.tasks import TASKS
from bench.records.schema import COLUMNS
from bench.report.page import render, write_page
from bench.report.page_heatmap import behind
from bench.report.provenance import warnings
from sweeps.repeating import commands

HOSTILE = "<script>alert('x')</script>&$\\frac"


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def frame(rows):
    return pd.DataFrame(rows, columns=[c.name for c in COLUMNS]).astype({c.name: c.dtype for c in COLUMNS})


def demo(name="ViT-mu", tasks=("digits", "synthetic_sprites_position"), **more):
    rows = []
    for i, aug in enumerate(("none", "light1", "strong1")):
        for do in (0.0, 0.1):
            if (aug, do) == ("strong1", 0.1):
                continue
            filename = f"{name}-{aug}-{do}"
            diverged = (aug, do) == ("light1", 0.1)
            upstream = {"name": name, "ds": "mnist5k", "aug": aug, "wd": 0.1, "do": do, "sd": do, "filename": filename}
            upstream |= {"final_val": None if diverged else 0.9 + 0.01 * i, "status": "diverged" if diverged else "ok"}
            upstream |= {"seed": 7, "code_version": "1.2.3", "device": "cpu", **more}
            rows += [
                {
                    **upstream,
                    "adapt_ds": task,
                    "adapt_filename": f"{filename}--{task}",
                    "adapt_status": "ok",
                    "adapt_seed": 3,
                    "adapt_final_val": 0.5,
                    "adapt_final_test": 0.4 + 0.01 * i,
                    "adapt_group": TASKS[task].group,
                    "adapt_synthetic": TASKS[task].synthetic,
                }
                for task in (() if diverged else tasks)
            ] or [upstream]
    return frame(rows)


PAGE = render(demo(), "Demo", {"Sweep": "small"})


def test_the_page_loads_nothing():
    elements = Elements(PAGE).found
    assert not [tag for tag, _ in elements if tag in ("link", "iframe", "object", "base")]
    assert not re.search(r"https?://|@import|url\(", PAGE)
    assert not [a for _, attrs in elements for a in attrs if a.startswith("on")]
    sources = [attrs["src"] for _, attrs in elements if "src" in attrs]
    assert len(sources) == 2
    assert all(s.startswith("data:image/svg+xml;base64,") for s in sources)


def test_the_browser_is_told_to_load_nothing_and_to_run_no_other_script():
    elements = Elements(PAGE).found
    [script] = re.findall(r"<script>(.*?)</script>", PAGE, re.DOTALL)
    assert [attrs for tag, attrs in elements if tag == "script"] == [{}]
    [policy] = [attrs["content"] for tag, attrs in elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    assert not {"connect-src", "font-src", "frame-src", "object-src"} & set(rules)


def test_images_have_texts_and_tables_names():
    elements = Elements(PAGE).found
    alts = [attrs["alt"] for tag, attrs in elements if tag == "img"]
    assert "The regret of upstream_best lies between" in alts[0]
    names = [attrs["aria-labelledby"] for tag, attrs in elements if tag == "table"]
    assert len(set(names)) == len(names) == 7
    # A caption stands before the box that scrolls, and names both.
    for name in names:
        [named] = re.findall(rf'<(?:p class="caption"|h3) id="{name}">.+</(?:p|h3)>\n(<div class="wide.*>)\n<table', PAGE)
        assert f'aria-labelledby="{name}"' in named


def heat(page):
    """Returns the cells of every heatmap, (run or None, text, class), by the set and the model."""
    found = {}
    for ds, body in re.findall(r"<h3[^>]*>(.*?)</h3>.*?<tbody>(.*?)</tbody>", page, re.DOTALL):
        for model, row in re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', body, re.DOTALL):
            cells = re.findall(r'<td class="([\w ]+)" style="--d:(\d+)">(.*?)</td>', row)
            texts = [re.sub("<.*?>", "", inner) for _, _, inner in cells]
            runs = [(re.findall(r'href="#(.*?)"', inner) or [None])[0] for _, _, inner in cells]
            found[ds, model] = [
                (*each, int(d)) for *each, d in zip(runs, texts, *list(zip(*cells, strict=True))[:2], strict=True)
            ]
    return found


def test_the_heatmap_shows_cells_gaps_and_failures():
    (key, cells), *others = heat(PAGE).items()
    assert (key, others) == (("mnist5k", "ViT-mu"), [])
    # none, light1, strong1 without regularisation, then with 0.1; then reg - noreg.
    assert [text for _, text, _, _ in cells] == ["90.0", "91.0", "92.0", "90.0", "\N{MULTIPLICATION SIGN}", "missing", "-2.0"]
    assert [state.split()[0] for _, _, state, _ in cells] == ["even", "up", "up", "even", "diverged", "missing", "down"]
    # The colour: a share of the largest difference, 2 points.
    assert [strength for *_, strength in cells] == [0, 50, 100, 0, 0, 0, 100]
    assert "1 of 6 cells are missing (hatched). 1 of 6 cells diverged" in PAGE
    assert "The best cell is ViT-mu on mnist5k with heavy1 and dropout 0: 92.0%." in PAGE


def test_without_regularised_runs_there_is_no_narrow_column():
    table = demo()
    [cells] = heat(render(table[table["do"] == 0], "Demo", {})).values()
    assert [(text, state) for _, text, state, _ in cells] == [("90.0", "even"), ("91.0", "up"), ("92.0", "up")]


def test_a_cell_leads_to_the_run_that_it_shows():
    rows = dict(re.findall(r'<tr data-key="\d+" id="(run-\d+)"><th scope="row" class="name">(.*?)</th>', PAGE))
    assert len(rows) == 5
    [cells] = heat(PAGE).values()
    assert [rows[run] for run, *_ in cells[:4]] == [
        f"ViT-mu-{run}" for run in ("none-0.0", "light1-0.0", "strong1-0.0", "none-0.1")
    ]
    assert [run for run, *_ in cells[4:]] == [None, None, None]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([0.0, 0.1]), st.none() | st.integers(0, 3)), min_size=1))
def test_behind_a_cell_is_its_best_run_and_the_first_of_equals(rows):
    frame = pd.DataFrame(rows, columns=["aug", "do", "final_val"]).assign(ds="i1k", name="B/16", status="ok")
    expected = {}
    for i, (aug, do, value) in enumerate(rows):
        key = ("i1k", "B/16", do, aug)
        if value is not None and (key not in expected or value > rows[expected[key]][2]):
            expected[key] = i
    assert behind(frame.astype({"final_val": "float64"})) == expected


def test_commands_stand_with_the_run():
    command = "augreg run demo && echo <x>"
    page = render(demo(), "Demo", {}, commands={"ViT-mu-none-0.0": [command, "augreg two"]})
    head, *rows = cells_of(page, "Every upstream run")
    column = head.index("commands")
    shown = {row[0]: row[column] for row in rows}
    assert shown["ViT-mu-none-0.0"] == "<code>augreg run demo && echo <x></code><code>augreg two</code>"
    assert shown["ViT-mu-none-0.1"] == ""
    assert "echo &lt;x&gt;" in page
    assert "commands" not in cells_of(PAGE, "Every upstream run")[0]


def test_findings_have_a_section_with_their_intervals():
    found = pd.DataFrame(
        [
            {"claim": "a < b", "verdict": "supported", "effect": 1.25, "low": 0.5, "high": 2.0, "unit": "points", "runs": 12},
            {"claim": "c", "verdict": "not testable here", "effect": None, "low": None, "high": None, "unit": "", "runs": 0},
        ]
    )
    page = render(demo(), "Demo", {}, findings=found)
    head, first, second = cells_of(page, "Every claim")
    assert head == ["claim", "verdict", "effect", "runs"]
    assert first == ["a < b", "supported", "+1.25 [+0.50, +2.00] points", "12"]
    assert second == ["c", "not testable here", "", "0"]
    assert '<a href="#findings">' in page
    assert "findings" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", PAGE, flags=re.DOTALL)


def test_rows_can_be_filtered_only_by_what_the_table_has():
    # Of this model the number of parameters is known; how fast it is was not recorded.
    assert [a["data-column"] for _, a in Elements(PAGE).found if "data-column" in a] == ["parameters"]
    table = demo(infer_samples_per_sec=100.0, params=5e6)
    asked = [a["data-column"] for _, a in Elements(render(table, "Demo", {})).found if "data-column" in a]
    assert asked == ["parameters", "images/s"]


@pytest.fixture(scope="module")
def released():
    return full_table()


def test_a_table_of_the_released_size_makes_a_small_page_with_every_cell(released):
    assert (len(released), released["filename"].nunique()) == (51_509, 759)
    page = render(released, "Released", {}, commands=commands(released["filename"].unique()))
    assert len(page.encode()) < 3_000_000
    rows = re.findall(r'<tr data-key="\d+" id="(run-\d+)"><th scope="row" class="name">(.*?)</th>(.*?)</tr>', page)
    names = {run: name for run, name, _ in rows}
    assert len(names) == 759
    runs = released.drop_duplicates("filename").set_index("filename")
    highest = runs.groupby(["ds", "name", "do", "aug"])["final_val"].max()
    cells = heat(page)
    seen = {}
    for (ds, model), row in cells.items():
        for run, text, _, _ in row:
            if run:
                of = runs.loc[names[run]]
                assert (of["ds"], of["name"], text) == (ds, model, f"{100 * of['final_val']:.1f}")
                seen[ds, model, of["do"], of["aug"]] = of["final_val"]
    assert seen == highest.to_dict()
    assert len(seen) == 378 + 3
    assert all(f"augreg transfer {name} --data" in body for _, name, body in rows if not name.startswith("B_8"))
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert facts["Transfer runs"] == "51,509, 0 of them diverged"
    assert facts["Missing transfers"] == "0 of 3,795 pairs of checkpoint and task"
    # Of ImageNetV2 it has no score: one sentence says so, and none of the means has an interval.
    assert page.count("no ImageNetV2 score") == 1
    assert 'id="imagenet"' not in page
    assert "95%" not in page


def test_runs_that_a_search_ended_early_are_counted_apart():
    table = demo()
    table["status"] = table["status"].replace("diverged", "pruned")
    page = render(table, "Demo", {})
    assert "<dd>5, 0 of them diverged, 1 pruned</dd>" in page


def test_sections_and_provenance():
    for heading in (
        "Recommended checkpoints",
        "Upstream grid",
        "Ways of choosing",
        "Upstream runs",
        "Provenance",
    ):
        assert f"<h2>{heading}</h2>" in PAGE
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", PAGE))
    assert facts["Code version"] == "1.2.3"
    assert (facts["Upstream seeds"], facts["Transfer seeds"]) == ("7", "3")
    assert facts["Upstream runs"] == "5, 1 of them diverged"
    assert facts["Transfer runs"] == "8, 0 of them diverged"
    assert facts["Missing from the upstream grid"] == "1 of 6 cells"
    assert facts["Missing transfers"] == "0 of 8 pairs of checkpoint and task"
    assert facts["Upstream data fingerprints"] == "not recorded"
    assert facts["Sweep"] == "small"


def test_synthetic_and_embedded_data_carry_no_finding():
    assert "Synthetic tasks, with rendered images: synthetic_sprites_position. No finding may rest on them." in PAGE
    assert "Small data that Python packages carry: mnist5k, digits. No finding may rest on it." in PAGE
    released = render(demo(name="B/16", tasks=("kitti", "imagenet2012"), ds="i21k"), "Released", {})
    assert "No finding" not in released
    assert "no ImageNetV2 score" in released


def test_upstream_sets_that_compete_are_pointed_out():
    def both(first, second):
        found = pd.concat(
            [
                demo(ds=first, tasks=("kitti",)),
                demo(ds=second, tasks=("kitti",)).assign(filename=lambda f: f["filename"] + "s"),
            ],
            ignore_index=True,
        )
        found["adapt_filename"] = found["filename"] + found["adapt_ds"]
        return found

    assert warnings(both("i1k", "i21k"))[0].startswith("Checkpoints of i1k, i21k compete in the comparison")
    # Validated on the same images.
    assert warnings(both("i21k", "i21k_30")) == []


def cells_of(page, caption):
    """Returns the rows of the table under a caption, its headings first."""
    found = re.search(f'<p class="caption"[^>]*>{re.escape(caption)}.*?</table>', page, re.DOTALL)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", found[0], re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_the_recommendation_has_its_reasons():
    head, row = cells_of(PAGE, "Recommended checkpoint of each model")
    shown = dict(zip(head, row, strict=True))
    assert shown["checkpoint"] == "ViT-mu-strong1-0.0"
    assert shown["why this one"].startswith("best upstream validation of 4 checkpoints, +1.0 [-")
    assert ": not separable; adapting all loses 1.0 points" in shown["why this one"]
    assert shown["expected regret, points"] == "-1.0 on 2 tasks"
    # What rows are filtered by stands before sentences, in view.
    assert head.index("parameters") < head.index("why this one")
    tasks, scores = cells_of(PAGE, "Test accuracy of the recommended checkpoints")
    assert dict(zip(tasks, scores, strict=True)) == {
        "model": "ViT-mu",
        "digits": "42.0%",
        "synthetic_sprites_position": "42.0%",
        "mean": "42.0%",
    }


def test_strategies_stand_in_the_order_of_what_they_lose():
    head, *rows = cells_of(PAGE, "Strategies over all models and tasks")
    found = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert next(iter(found)) == "upstream_best"
    assert (found["upstream_best"]["regret, points"], found["adapt_all"]["regret, points"]) == ("-1.0", "reference")
    assert (found["upstream_best"]["of all"], found["adapt_all"]["of all"]) == ("25%", "100%")
    assert found["static"]["against upstream_best"].startswith("not separable: 2 tasks are too few to say")
    assert "nothing for them to choose by: h_score, hybrid, knn," in PAGE


def test_a_page_says_one_thing_of_transfers_with_several_seeds():
    def named(seed, add):
        extra = f"-seed_{seed}" if seed else ""
        table = demo()
        names = table["filename"] + "--" + table["adapt_ds"] + f"-steps_10-lr_0.1-res_28{extra}"
        return table.assign(adapt_seed=seed, adapt_filename=names, adapt_final_test=table["adapt_final_test"] + add)

    page = render(pd.concat([named(0, 0.0), named(1, 0.2).dropna(subset="adapt_ds")], ignore_index=True), "Demo", {})
    head, row = cells_of(page, "Test accuracy of the recommended checkpoints")
    assert row[head.index("mean")] == "52.0%"
    head, *rows = cells_of(page, "Strategies over all models and tasks")
    assert {row[0]: row[head.index("test")] for row in rows}["upstream_best"] == "52.0%"
    assert dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))["Transfer runs"] == "16, 0 of them diverged"


SIX = ("digits", "synthetic_sprites_position", "kitti", "cifar100", "resisc45", "oxford_iiit_pet")


def costly(tasks=SIX, step=0.02):
    """Returns `demo` on six tasks with what transfers cost and with a spread over tasks; `step` is what strong levels win."""
    table = demo(tasks=tasks)
    place = table["adapt_ds"].map({t: i for i, t in enumerate(tasks)}).astype("float64").fillna(0)
    strength = table["aug"].map({"none": 0, "light1": 1, "strong1": 2}).astype("float64")
    table["adapt_final_test"] = (0.5 + strength * step * (1 + place / 10)).where(table["adapt_ds"].notna())
    return table.assign(adapt_train_flops=2.345e18, adapt_train_seconds=3600.0)


def card(page, about):
    """Returns the value and the whole text of the card that says what is said `about`."""
    [found] = re.findall(rf"<div><dt>([^<]*{about}[^<]*)</dt><dd>(.*?)</dd></div>", page)
    return found


@pytest.mark.parametrize(
    ("step", "text", "value", "regret"),
    [
        (-0.02, "points lost by taking the best upstream instead of adapting all", "2.5 [+2.1, +2.9]", "+2.5 [+2.1, +2.9]"),
        (0.02, "points gained by taking the best upstream instead of adapting all", "2.5 [+2.1, +2.9]", "-2.5 [-2.9, -2.1]"),
        (1e-5, "points between adapting all and taking the best upstream", "0.0 [0.0, 0.0]", "0.0 [0.0, 0.0]"),
    ],
)
def test_what_the_best_upstream_loses_or_gains_is_an_amount(step, text, value, regret):
    page = render(costly(step=step), "Demo", {})
    assert card(page, "taking the best upstream") == (text, value)
    head, *rows = cells_of(page, "Strategies over all models and tasks")
    assert {row[0]: row[head.index("regret, points")] for row in rows}["upstream_best"] == regret


def test_intervals_are_promised_where_they_are_shown():
    text = render(costly(), "Demo", {})
    assert "the one that loses least first; 95% intervals over tasks." in text
    assert "has a score, with 95% intervals over tasks." in text
    assert "95%" not in PAGE


def test_means_have_headings_for_people_and_no_column_without_a_value():
    head, first, *_ = cells_of(PAGE, "Means over the tasks on which every strategy has a score")
    assert head[:5] == ["model", "strategy", "task group", "equal weight of", "tasks"]
    assert head[5:] == ["validation", "test", "regret, points", "adapted", "fine-tunes"]
    assert first[:5] == ["ViT-mu", "upstream_best", "natural", "tasks", "1"]
    head, *rows = cells_of(render(costly(), "Demo", {}), "Means over the tasks on which every strategy has a score")
    assert head[-3:] == ["compute", "training, s", "chip-hours"]
    found = {(row[0], row[1], row[2], row[3]): dict(zip(head, row, strict=True)) for row in rows}
    mean = found["ViT-mu", "upstream_best", "overall", "tasks"]
    assert (mean["test"], mean["regret, points"]) == ("55.0% [54.3%, 55.7%]", "-2.5 [-2.9, -2.1]")
    assert (mean["compute"], mean["training, s"], mean["chip-hours"]) == ("14.1 EFLOPs", "21,600.0", "6")
    assert found["ViT-mu", "upstream_best", "overall", "groups"]["tasks"] == "6"


def test_tasks_without_a_score_are_counted_where_there_are_some():
    table = demo()
    table.loc[table["adapt_ds"] == "digits", "adapt_final_test"] = None
    head, first, *_ = cells_of(render(table, "Demo", {}), "Means over the tasks on which every strategy has a score")
    assert dict(zip(head, first, strict=True))["tasks left out"] == "1"


def test_comparisons_show_what_tells_rows_apart():
    caption = "Every model, task and strategy"
    head, first, *_ = cells_of(PAGE, caption)
    shown = dict(zip(head, first, strict=True))
    assert (shown["task"], shown["task group"], shown["synthetic"]) == ("digits", "natural", "no")
    assert shown["chosen transfer run"] == "ViT-mu-strong1-0.0--digits"
    assert not {"validated on", "compute", "chip-hours"} & set(head)
    assert not {"adapt_ds", "adapt_synthetic", "n_test", "finetunes"} & set(head)
    assert "synthetic" not in cells_of(render(demo(tasks=("digits",)), "Demo", {}), caption)[0]


def test_scores_of_probes_let_more_strategies_compete():
    table = demo()
    scored = [
        {**dict.fromkeys(("flops", "seconds"), 1.0), "filename": f, "name": "ViT-mu", "adapt_ds": t, "adapt_resolution": 28}
        | {"score": "linear_probe", "split": "val", "n": 200, "value": 0.5 + 0.01 * i}
        for i, f in enumerate(sorted(table["filename"].unique()))
        for t in table["adapt_ds"].dropna().unique()
    ]
    page = render(table, "Demo", {}, scores=pd.DataFrame(scored))
    assert {"linear_probe", "hybrid", "thrifty"} <= {row[0] for row in cells_of(page, "Strategies over all models and tasks")}
    assert "nothing for them to choose by: h_score, knn," in page


def test_both_validation_scores_of_imagenet_are_shown():
    table = demo(name="B/16", tasks=("imagenet2012",), ds="i21k")
    table["adapt_final_val_v2"] = table["adapt_final_val"] - 0.1
    page = render(table, "Released", {})
    head, minival, v2 = cells_of(page, "What either validation score picks")
    assert [row[:3] for row in (head, minival, v2)] == [
        ["model", "chosen by", "counts"],
        ["B/16", "minival", "no"],
        ["B/16", "ImageNetV2", "yes"],
    ]
    # One reason for all rows is said once.
    assert page.count("it would reward remembering, so ImageNetV2 decides.") == 1
    assert "why" not in head
    assert '<a href="#imagenet">' in page
    assert "#imagenet" not in PAGE


def test_hostile_names_are_escaped():
    text = render(demo(name=HOSTILE), HOSTILE, {HOSTILE: HOSTILE})
    assert text.count("<script") == 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;$\\frac" in text


def test_equal_tables_give_equal_bytes_whatever_the_row_order(tmp_path):
    write_page(demo(), tmp_path / "a.html", "Demo", {"Sweep": "small"})
    write_page(demo().iloc[::-1], tmp_path / "b.html", "Demo", {"Sweep": "small"})
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == PAGE


def test_a_table_without_transfers_has_a_page():
    text = render(demo(tasks=()), "Upstream only", {})
    assert "nothing to compare" in text
    assert text.count("<img") == 0
    assert heat(text)


def test_errors(tmp_path):
    with pytest.raises(UserError, match="no column 'final_val'"):
        write_page(demo().drop(columns="final_val"), tmp_path / "a.html", "Demo", {})
    with pytest.raises(UserError, match="no rows"):
        write_page(demo().iloc[:0], tmp_path / "a.html", "Demo", {})
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        write_page(demo(), tmp_path / "file" / "a.html", "Demo", {})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
