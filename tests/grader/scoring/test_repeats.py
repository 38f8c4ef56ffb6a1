"""Which measurements of a repeated checkpoint count, and that their pool is the one of whole reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grader import contest as contests
from grader.scoring import example, inputs
from grader.scoring.pooling import pool, pool_inputs
from grader.scoring.repeats import counted, missing


@pytest.mark.parametrize(
    ("own", "confirming", "won", "expected"),
    [
        ("a", "", None, "a"),
        ("abc", "", None, "ab"),  # a third of the team's own changes nothing
        ("a", "", "a", ""),
        ("a", "xyz", "a", "xyz"),
        ("ab", "xy", "b", "axy"),
        ("ab", "xyz", "b", "axy"),
        ("abc", "xy", "a", "xy"),  # entered after the place was won
        ("a", "xyzv", "q", "axy"),  # the organizers measured again since
    ],
)
def test_what_counts(own, confirming, won, expected):
    assert counted(list(own), list(confirming), won, 3) == list(expected)


def test_as_many_failures_as_measurements_are_enough():
    assert [missing(0, 0, failed, 3) for failed in range(5)] == [3, 3, 3, 0, 0]
    assert missing(1, 1, 0, 3) == 1
    assert missing(3, 0, 0, 3) == missing(2, 2, 0, 3) == 0


def test_inputs_are_pooled_as_reports_are():
    report = example.report(contests.load(contests.find("demo")))
    other = replace(
        report,
        quality=tuple(
            replace(q, items=tuple(replace(i, value=1 - i.value) for i in q.items))
            for q in report.quality
        ),
        speed=tuple(replace(s, rounds=s.rounds[:4]) for s in report.speed),
    )
    found = pool_inputs([inputs.of(report), inputs.of(other)])
    assert found == inputs.of(pool([report, other]))
    assert pool_inputs([inputs.of(report)]) == inputs.of(report)
