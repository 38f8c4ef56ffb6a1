import math
import random

import pytest

from grader.scoring.stats import (
    percentile,
    sign_test,
    t_quantile_975,
    trimmed_interval,
    trimmed_mean,
)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.706), (9, 2.262), (30, 2.042), (31, 2.0395), (40, 2.0211), (60, 2.0003), (120, 1.9799)],
)
def test_t_quantiles(degrees, expected):
    assert t_quantile_975(degrees) == pytest.approx(expected, abs=6e-4)


def test_t_quantiles_fall_towards_the_normal():
    values = [t_quantile_975(n) for n in range(1, 500)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(1.96, abs=0.01)


def test_no_degrees_of_freedom():
    with pytest.raises(ValueError, match="degree"):
        t_quantile_975(0)


def test_interval_of_known_numbers():
    """The lowest and the highest of five values are dropped; the variance uses their neighbors instead."""
    mean, half_width = trimmed_interval([1.0, 2.0, 3.0, 4.0, 50.0])
    assert mean == 3.0
    winsorised = math.sqrt(4 / 4)  # of 2, 2, 3, 4, 4
    assert half_width == pytest.approx(4.303 * winsorised * math.sqrt(5) / 3)
    assert trimmed_interval([2.0]) == (2.0, math.inf)


def test_nothing_is_cut_from_four_values():
    mean, half_width = trimmed_interval([1.0, 2.0, 3.0, 10.0])
    assert mean == 4.0
    assert half_width == pytest.approx(3.182 * math.sqrt(50 / 3) / 2)


@pytest.mark.parametrize("n", [10, 24, 60])
def test_the_interval_covers_the_truth_as_often_as_it_says(n):
    generator = random.Random(7)
    hits = 0
    for _ in range(2000):
        mean, half_width = trimmed_interval([generator.gauss(0.1, 0.03) for _ in range(n)])
        hits += abs(mean - 0.1) <= half_width
    assert 0.93 < hits / 2000 < 0.965


def test_outliers_to_either_side_move_nothing():
    calm = [0.1, 0.11, 0.09, 0.1, 0.12, 0.08, 0.1, 0.1]
    restless = [*calm, 3.0, -2.0]
    assert trimmed_mean(restless) == pytest.approx(0.1, abs=0.01)
    assert trimmed_interval(restless)[1] < 0.05


def test_percentiles():
    values = [4.0, 1.0, 3.0, 2.0]
    assert [percentile(values, share) for share in (0, 0.5, 1)] == [1.0, 2.5, 4.0]
    assert percentile(values, 0.99) == pytest.approx(3.97)
    assert percentile([5.0], 0.99) == 5.0
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 0.5)


def test_sign_test_is_the_exact_binomial():
    assert sign_test(0, 0) == 1.0
    assert sign_test(7, 0) == pytest.approx(0.5**7)
    assert sign_test(3, 3) == pytest.approx(42 / 64)
    assert sign_test(600, 600) == pytest.approx(0.5, abs=0.02)  # no overflow
