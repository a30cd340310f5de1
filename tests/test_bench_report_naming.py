"""Names beside points, and ticks of logarithmic axes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.report import ticks
from bench.report.naming import Point, name_points


def panel(x, y):
    fig = Figure(figsize=(4, 3))
    ax = fig.add_axes((0.1, 0.1, 0.8, 0.8))
    ax.plot(x, y, marker="o", linestyle="")
    return ax


def test_a_name_lies_beside_its_point_on_no_other_and_within_the_panel():
    x, y = [0.0, 0.02, 1.0, 1.0], [0.5, 0.5, 0.0, 1.0]
    ax = panel(x, y)
    name_points(ax, [Point(*at, f"model {i}", "red") for i, at in enumerate(zip(x, y, strict=True))])
    assert [t.get_text() for t in ax.texts] == [f"model {i}" for i in range(4)]
    boxes = [t.get_window_extent() for t in ax.texts]
    centres = ax.transData.transform(np.column_stack([x, y]))
    for i, box in enumerate(boxes):
        assert ax.bbox.x0 <= box.x0 < box.x1 <= ax.bbox.x1
        assert ax.bbox.y0 <= box.y0 < box.y1 <= ax.bbox.y1
        assert not any(box.contains(*centre) for centre in centres)
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert np.hypot(*(np.clip(centres[i], box.min, box.max) - centres[i])) < 20
    assert {t.get_color() for t in ax.texts} == {"red"}


def test_a_name_keeps_away_from_lines():
    ax = panel([0, 0.5, 1], [0, 0.5, 0])
    ax.plot([0.5, 0.5], [0.5, 1], color="black")
    name_points(ax, [Point(0.5, 0.5, "name")])
    assert ax.texts[0].get_window_extent().y1 < ax.transData.transform((0.5, 0.5))[1]


def test_names_without_room_are_left_out_the_first_come_first():
    ax = panel([0.5, 0, 1], [0.5, 0, 1])
    name_points(ax, [Point(0.5, 0.5, f"$a rather long name {i}") for i in range(30)])
    said = [t.get_text() for t in ax.texts]
    assert 1 < len(said) < 30
    assert said == [rf"\$a rather long name {i}" for i in range(len(said))]


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.9, 1100, 9, [1, 3, 10, 30, 100, 300, 1000]),
        (0.9, 110, 9, [1, 2, 5, 10, 20, 50, 100]),
        (0.9, 110, 4, [1, 10, 100]),
        (11_500, 18_200, 9, [12_000, 14_000, 16_000, 18_000]),
        (15, 68, 5, [20, 40, 60]),
    ],
)
def test_ticks(low, high, most, expected):
    assert ticks.logarithmic(low, high, most).tolist() == pytest.approx(expected)


def test_no_axis_is_without_ticks():
    for ratio in np.geomspace(1.2, 1e9, 60):
        for low in np.geomspace(1, 10, 13):
            assert len(ticks.logarithmic(low, low * ratio, 5)) > 1
