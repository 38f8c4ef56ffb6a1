"""Other weights over stored replicates give what the reports would give, bit for bit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.contest import Formula, Text
from grader.scoring.reweight import reweigh
from grader.scoring.score import score
from tests import factories

pytestmark = pytest.mark.django_db
WEIGHTS = st.tuples(*[st.integers(0, 20)] * 3).filter(any)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(WEIGHTS)
def test_the_same_as_from_the_report(contest_and_reports, weights):
    rules, reports = contest_and_reports
    total = sum(weights)
    accuracy, memory = weights[0] / total, weights[1] / total
    formula = Formula(Text("f", "f"), accuracy, memory, max(0.0, 1 - accuracy - memory))
    first = [score(report, rules) for report in reports]
    found = reweigh(
        [
            ({t.name: t.value for t in one.terms}, one.draws["accuracy"], one.draws["speed"])
            for one in first
        ],
        formula,
    )
    again = [score(report, rules, formula) for report in reports]
    assert found == [(one.value, one.half_width, one.replicates) for one in again]


@pytest.fixture
def contest_and_reports():
    contest = factories.contest()
    reports = [
        factories.report(contest=contest, seed=s, speedup=x, accuracy=a)
        for s, x, a in ((1, 1.4, 0.4), (2, 0.4, 0.1), (3, 2.2, 0.42))
    ]
    return contest.rules, reports
