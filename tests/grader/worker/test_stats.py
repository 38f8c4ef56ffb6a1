import math
import random

import pytest

from grader.stats import mean_interval, percentile, t_quantile_975


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
    mean, half_width = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3.0
    assert half_width == pytest.approx(2.776 * math.sqrt(2.5) / math.sqrt(5))
    assert mean_interval([2.0]) == (2.0, math.inf)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    generator = random.Random(7)
    hits = 0
    for _ in range(2000):
        mean, half_width = mean_interval([generator.gauss(0.1, 0.03) for _ in range(10)])
        hits += abs(mean - 0.1) <= half_width
    assert 0.935 < hits / 2000 < 0.965


def test_percentiles():
    values = [4.0, 1.0, 3.0, 2.0]
    assert [percentile(values, share) for share in (0, 0.5, 1)] == [1.0, 2.5, 4.0]
    assert percentile(values, 0.99) == pytest.approx(3.97)
    assert percentile([5.0], 0.99) == 5.0
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 0.5)
