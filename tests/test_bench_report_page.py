import html
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from bench.errors import UserError
from bench.points.tasks import TASKS
from bench.records.schema import COLUMNS
from bench.report.page import render, write_page
from bench.report.provenance import warnings

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
    assert not [tag for tag, _ in elements if tag in ("script", "link", "iframe", "object", "base")]
    assert not re.search(r"https?://|@import|url\(", PAGE)
    assert not [a for _, attrs in elements for a in attrs if a.startswith("on")]
    sources = [attrs["src"] for _, attrs in elements if "src" in attrs]
    assert len(sources) == 3
    assert all(s.startswith("data:image/svg+xml;base64,") for s in sources)


def test_images_have_texts_and_tables_captions():
    elements = Elements(PAGE).found
    alts = [attrs["alt"] for tag, attrs in elements if tag == "img"]
    assert "6 cells, 1 of them missing" in alts[0]
    assert "none" not in alts[0]
    assert "heavy1 and dropout 0: 92.0%" in alts[0]
    assert "The regret of upstream_best lies between" in alts[1]
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption") == 6


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
    found = re.search(f"<caption>{re.escape(caption)}.*?</table>", page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", found[0], re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_the_recommendation_has_its_reasons():
    head, row = cells_of(PAGE, "Recommended checkpoint of each model")
    shown = dict(zip(head, row, strict=True))
    assert shown["checkpoint"] == "ViT-mu-strong1-0.0"
    assert shown["why this one"].startswith("best upstream validation of 4 checkpoints, +1.0 [-")
    assert ": not separable; adapting all loses 1.0 points" in shown["why this one"]
    assert shown["expected regret, points"] == "-1.0 on 2 tasks"
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
        ["name", "rule", "taken"],
        ["B/16", "minival", "no"],
        ["B/16", "ImageNetV2", "yes"],
    ]
    assert "it would reward remembering, so ImageNetV2 decides" in v2[-1]
    assert "What either validation score picks" not in PAGE


def test_hostile_names_are_escaped():
    text = render(demo(name=HOSTILE), HOSTILE, {HOSTILE: HOSTILE})
    assert "<script" not in text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;$\\frac" in text


def test_equal_tables_give_equal_bytes_whatever_the_row_order(tmp_path):
    write_page(demo(), tmp_path / "a.html", "Demo", {"Sweep": "small"})
    write_page(demo().iloc[::-1], tmp_path / "b.html", "Demo", {"Sweep": "small"})
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == PAGE


def test_a_table_without_transfers_has_a_page():
    text = render(demo(tasks=()), "Upstream only", {})
    assert "nothing to compare" in text
    assert text.count("<img") == 1


def test_errors(tmp_path):
    with pytest.raises(UserError, match="no column 'final_val'"):
        write_page(demo().drop(columns="final_val"), tmp_path / "a.html", "Demo", {})
    with pytest.raises(UserError, match="no rows"):
        write_page(demo().iloc[:0], tmp_path / "a.html", "Demo", {})
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        write_page(demo(), tmp_path / "file" / "a.html", "Demo", {})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
