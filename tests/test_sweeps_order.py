"""The order of a grid: a permutation, balanced and informative long before its end."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.grouping import jobs_of
from sweeps.layout import Workdir
from sweeps.named import find, names
from sweeps.order import INFLATION, interleave, walk

# What the module promises to hold at, and what "enough points" are for each parameter of the model of main effects.
SHARE, ENOUGH = 0.3, 2
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=6).filter(lambda s: math.prod(s) <= 1500).map(tuple)


def model_matrix(points, sizes):
    """Returns the model matrix of main effects, effect-coded (a column sums to 0 over a balanced axis)."""
    columns = [np.ones(len(points))]
    for axis, size in enumerate(sizes):
        columns += [(points[:, axis] == i).astype(float) - (points[:, axis] == 0) for i in range(1, size)]
    return np.stack(columns, 1)


def inflation(points, sizes):
    """Returns the largest ratio of an effect's variance to that of an equally large, perfectly balanced part of the grid."""
    found, full = model_matrix(points, sizes), model_matrix(np.array(list(itertools.product(*map(range, sizes)))), sizes)
    if np.linalg.matrix_rank(found) < found.shape[1]:
        return math.inf
    return max(np.diag(np.linalg.inv(found.T @ found)) * len(found) / np.diag(np.linalg.inv(full.T @ full)) / len(full))


def imbalance(points, sizes):
    """Returns the largest difference between a level's count and its equal share, over all prefixes."""
    shares = np.arange(1, len(points) + 1)[:, None]
    return max(np.abs(np.cumsum(np.eye(s)[points[:, a]], axis=0) - shares / s).max() for a, s in enumerate(sizes))


def enough(sizes):
    return math.ceil(SHARE * math.prod(sizes)) >= ENOUGH * (1 + sum(s - 1 for s in sizes))


def check(sizes):
    points = walk(sizes)
    assert points.shape == (math.prod(sizes), len(sizes))
    assert (points.min(axis=0) >= 0).all()
    assert (points.max(axis=0) < sizes).all()
    assert len(set(map(tuple, points.tolist()))) == len(points)
    assert imbalance(points, sizes) <= max(sizes)
    if enough(sizes):
        assert inflation(points[: math.ceil(SHARE * len(points))], sizes) <= INFLATION


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_a_grid_is_walked_once_in_balance_and_can_be_analysed_at_thirty_percent(sizes):
    check(sizes)


def blocks():
    """Returns the sizes of every full factorial in a named sweep, upstream and transfers, that are more than one axis."""
    found = {}
    for name in names():
        sweep = find(name)
        for grid in (*sweep.upstream_grids, *sweep._transfers):
            for block in grid.blocks:
                sizes = tuple(len(values) for _, values in block if len(values) > 1)
                if len(sizes) > 1:
                    found.setdefault(sizes, name)
    return found


@pytest.mark.parametrize(("sizes", "name"), blocks().items())
def test_every_factorial_of_a_named_sweep_can_be_analysed_at_thirty_percent(sizes, name):  # noqa: ARG001 - for the test's name
    check(sizes)


def test_the_grids_of_the_papers_have_enough_points_to_say_so():
    assert {s for s in blocks() if enough(s)} >= {
        (9, 7, 2, 2),
        (9, 3, 7, 2),
        (8, 3, 7, 2),
        (6, 6, 5),
        (6, 2, 2, 2, 2),
        (9, 19, 4, 2),
    }


def test_the_plain_diagonal_would_alias_two_factors_and_the_order_does_not():
    sizes = (9, 7, 2, 2)
    steps = np.arange(math.ceil(SHARE * 252))
    diagonal = np.stack([steps % size for size in sizes], 1)
    assert inflation(diagonal, sizes) == math.inf
    assert inflation(walk(sizes)[: len(steps)], sizes) < 1.2
    # Two factors of two levels: the third step leaves the diagonal.
    assert walk((2, 2)).tolist() == [[0, 0], [1, 1], [0, 1], [1, 0]]


def test_the_order_is_the_same_for_ever():
    first = [[0, 0, 0], [1, 1, 1], [2, 0, 1], [0, 1, 0], [1, 0, 0], [2, 1, 1]]
    second = [[0, 0, 1], [1, 1, 0], [2, 0, 0], [0, 1, 1], [1, 0, 1], [2, 1, 0]]
    assert walk((3, 2, 2)).tolist() == [*first, *second]
    assert walk((3, 2, 2)) is walk((3, 2, 2))
    with pytest.raises(ValueError, match="read-only"):
        walk((3, 2, 2))[0, 0] = 1


def test_axes_of_one_level_and_grids_of_one_point_or_none_are_walked():
    assert walk(()).tolist() == [[]]
    assert walk((1, 1)).tolist() == [[0, 0]]
    assert walk((1, 2)).tolist() == [[0, 0], [0, 1]]
    assert walk((3, 0)).tolist() == []


def test_which_axis_comes_first_does_not_matter_to_the_bounds():
    assert (walk((2, 9, 7))[:, [1, 2, 0]] == walk((9, 7, 2))).all()


@given(st.lists(st.integers(0, 12), max_size=6))
def test_interleaved_groups_keep_their_order_and_their_share(sizes):
    groups = [[(g, i) for i in range(size)] for g, size in enumerate(sizes)]
    mixed = interleave(groups)
    assert sorted(mixed) == sorted(x for group in groups for x in group)
    for g, group in enumerate(groups):
        assert [x for x in mixed if x[0] == g] == group
        for n in range(len(mixed) + 1):
            have = sum(x[0] == g for x in mixed[:n])
            assert abs(have - n * len(group) / max(1, len(mixed))) <= len(groups) / 2 + 1


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("augreg-i1k", ("model", "aug", "do", "wd")),
        ("augreg-size", ("model", "fraction", "aug", "do")),
        ("nfnet-scaling@i1k", ("model", "epochs", "lr")),
        ("augreg-size-mini", ("model", "fraction", "aug", "do")),
    ],
)
def test_jobs_group_runs_by_program_and_a_third_of_them_can_still_be_analysed(tmp_path, name, fields):
    points = find(name).upstream_points
    jobs = jobs_of(points, Workdir(tmp_path), largest={"upstream": 4, "transfer": 64})
    assert sorted(c.name for job in jobs for c in job.configs) == sorted(c.name for c in points)
    levels = [list(dict.fromkeys(getattr(p, f) for p in points)) for f in fields]
    sizes = tuple(map(len, levels))
    done = [c for job in jobs[: math.ceil(SHARE * len(jobs))] for c in job.configs]
    assert len(done) < 0.4 * len(points)
    found = np.array([[of.index(getattr(c, f)) for f, of in zip(fields, levels, strict=True)] for c in done])
    assert inflation(found, sizes) <= INFLATION
    for axis, size in enumerate(sizes):
        counts = np.bincount(found[:, axis], minlength=size)
        assert abs(counts - len(done) / size).max() <= 4 + 0.25 * len(done) / size
