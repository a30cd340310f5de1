import pandas as pd
import pytest

from bench.errors import UserError
from bench.report import selection
from bench.select.compare import RESULT


def comparison(*entries):
    """From (model, task, group, synthetic, test of upstream_best, test of adapt_all)."""
    rows = []
    for name, task, group, synthetic, mine, everything in entries:
        for strategy, test, finetunes in (("upstream_best", mine, 2), ("adapt_all", everything, 32)):
            facts = {"name": name, "adapt_ds": task, "adapt_group": group, "adapt_synthetic": synthetic, "strategy": strategy}
            scores = {"val": test, "test": test, "finetunes": finetunes, "train_seconds": 1.0, "regret": everything - test}
            rows.append({**facts, "filename": "f", "adapt_filename": "t", **scores})
    return pd.DataFrame(rows, columns=list(RESULT)).astype(RESULT)


FOUR = comparison(
    ("NFNet-mu", "synthetic_sprites_position", "structured", True, 0.60, 0.65),
    ("NFNet-mu", "digits", "natural", False, 0.80, 0.79),
    ("ViT-mu", "synthetic_sprites_position", "structured", True, 0.50, 0.50),
    ("ViT-mu", "digits", "natural", False, 0.70, 0.72),
)


def test_lines_are_grouped_by_task_and_synthetic_tasks_are_labelled():
    accuracy, regret, cost = selection.draw(FOUR).axes
    assert [t.get_text() for t in accuracy.texts] == [
        *("digits, natural", "ViT-mu", "NFNet-mu"),
        *("synthetic_sprites_position (synthetic), structured", "ViT-mu", "NFNet-mu"),
        *("mean over tasks, fine-tunes in total", "ViT-mu", "NFNet-mu"),
    ]
    assert [t.get_text() for t in regret.texts] == ["+2.0", "-1.0", "0.0", "+5.0", "+1.0", "+2.0"]
    assert [t.get_text() for t in cost.texts] == ["2", "32"] * 4 + ["4", "64"] * 2
    assert accuracy.get_xlabel() == "test accuracy, %"
    assert regret.get_xlabel() == "regret, points (right: loses)"
    assert cost.get_xlabel() == "fine-tunes (log scale)"


def test_dots_lie_at_the_test_scores():
    accuracy = selection.draw(FOUR).axes[0]
    dots = [float(line.get_xdata()[0]) for line in accuracy.lines if line.get_marker() in ("o", "s")]
    assert dots[:4] == pytest.approx([70, 72, 80, 79])


def test_legend_names_the_strategies():
    legend = selection.draw(FOUR).legends[0]
    assert [t.get_text() for t in legend.get_texts()] == ["upstream_best", "adapt_all"]


def test_a_task_without_a_score_says_so(tmp_path):
    fig = selection.draw(comparison(("ViT-mu", "own$task$", None, None, float("nan"), float("nan"))))
    assert [t.get_text() for t in fig.axes[0].texts] == ["no score", r"own\$task\$, ungrouped", "ViT-mu"]
    selection.save(fig, tmp_path / "f.svg")
    assert (tmp_path / "f.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_errors():
    with pytest.raises(UserError, match="no column 'regret'"):
        selection.draw(FOUR.drop(columns="regret"))
    with pytest.raises(UserError, match="no rows"):
        selection.draw(FOUR.iloc[:0])
