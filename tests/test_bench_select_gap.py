import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.select.gap import gap, wilson


@pytest.mark.parametrize(
    ("a", "n", "b", "m", "low", "high"),
    [
        # Newcombe, "Interval estimation for the difference between independent proportions" (1998), Table II, method 10.
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
    ],
)
def test_the_interval_is_newcombes(a, n, b, m, low, high):
    found = gap(a / n, n, b / m, m)
    assert found.estimate == pytest.approx(a / n - b / m)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.separable == (low > 0)


def test_wilson_solves_its_equation():
    z = 1.959963984540054
    for p, n in ((0.0, 5), (0.3, 17), (0.999, 1000), (1.0, 40)):
        for end in wilson(p, n):
            assert (p - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n, abs=1e-12)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_the_gap_lies_within_its_interval_and_turns_with_its_sides(n, m, data):
    a, b = data.draw(st.integers(0, n)) / n, data.draw(st.integers(0, m)) / m
    there, back = gap(a, n, b, m), gap(b, m, a, n)
    assert -1 - 1e-9 <= there.low <= there.estimate <= there.high <= 1 + 1e-9
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_without_numbers_of_images_the_interval_is_open():
    found = gap(0.9, math.nan, 0.8, 100)
    assert found.estimate == pytest.approx(0.1)
    assert (found.known, found.separable) == (False, False)
