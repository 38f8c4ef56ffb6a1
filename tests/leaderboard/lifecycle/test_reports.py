"""Reports are stored packed and come back as the worker sent them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from grader.protocol.documents import CheckpointFacts, Item, Sample, Tensor
from grader.schema import encode
from grader.scoring import inputs
from leaderboard import lifecycle
from leaderboard.models import Contest, Result, ScoreInputs, SharedInput
from leaderboard.operations import sweeper
from leaderboard.organisers.closing import lines
from tests import factories

VALUES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=70)
ITEMS = st.builds(Item, st.integers(0, 10**6), TEXTS, TEXTS, VALUES, VALUES)
TENSORS = st.builds(Tensor, TEXTS, TEXTS, st.lists(st.integers(0, 9)).map(tuple), st.integers(0, 9))


def plain(report):
    """A report's line in the evidence, encoded in one go."""
    text = json.dumps(report, ensure_ascii=False, sort_keys=True)
    return lines.TOKEN.sub(r"\1_…", lines.MAIL.sub("…@…", text)) + "\n"


def line_of(row):
    """The same as the evidence writes it."""
    measured = lifecycle.score_inputs([row.pk] if row.is_packed else [])
    return b"".join(lines.of_report(row, measured.get(row.pk))).decode()


class Property(TestCase):
    """TestCase of hypothesis: every example has a transaction of its own."""

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.lists(ITEMS, min_size=1, max_size=6), min_size=3, max_size=3),
        st.lists(TENSORS, max_size=3).map(tuple),
        TEXTS,
    )
    def test_what_comes_back_is_what_was_sent(self, questions, tensors, where):
        contest = factories.contest()
        running = factories.running(evaluation=factories.submission(contest=contest))
        report = factories.report(contest=contest)
        sent = replace(
            report,
            quality=tuple(
                replace(one, items=tuple(items))
                for one, items in zip(report.quality, questions, strict=True)
            ),
            checkpoint=replace(report.checkpoint, tensors=tensors),
            samples=(Sample(where, '"\\u0000tensors"', "a@example.org"),),
        )
        lifecycle.reports.store_report(running, running.attempt, sent)
        stored = Result.objects.get()
        assert lifecycle.whole_report(stored) == encode(sent)
        assert line_of(stored) == plain(encode(sent))


pytestmark = pytest.mark.django_db


def stored_bytes(pk: int) -> int:
    """Of a result's row, compressed as PostgreSQL keeps it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_column_size(r.*) + coalesce(pg_column_size(r.report), 0)"
            " FROM leaderboard_result r WHERE evaluation_id = %s",
            [pk],
        )
        return int(cursor.fetchone()[0])


def large(contest: Contest, seed: int):
    """Twelve thousand questions of two benchmarks, a thousand tensors."""
    tensors = tuple(
        Tensor(f"model.layers.{i}.weight", "I32", (64, i), 256 * i) for i in range(1000)
    )
    return factories.report(
        contest=contest,
        questions=6462,
        seed=seed,
        checkpoint=CheckpointFacts(f"{seed:064}", 10**9, "W4A16 g128", tensors),
    )


def test_a_stored_report_is_small_however_many_questions_it_has():
    contest = factories.contest()
    rows = []
    for seed in (1, 2):
        running = factories.running(evaluation=factories.submission(contest=contest))
        lifecycle.record(running.pk, running.attempt, large(contest, seed))
        rows.append(SharedInput.objects.count())
        assert (
            len(json.dumps(lifecycle.whole_report(Result.objects.get(pk=running.pk)))) > 2_500_000
        )
        assert stored_bytes(running.pk) < 20_000
    assert rows[1] - rows[0] <= len(contest.rules.benchmarks), (
        "only the base model's answers, if they differ"
    )


@pytest.fixture
def old():
    """Two reports as an older release stored them, the second without its packed part."""
    contest = factories.contest()
    made = [factories.scored(contest=contest, seed=seed) for seed in (1, 2)]
    sent = {row.pk: lifecycle.whole_report(row) for row in Result.objects.all()}
    for pk, report in sent.items():
        Result.objects.filter(pk=pk).update(report=report, is_packed=None)
    ScoreInputs.objects.filter(pk=made[1].pk).delete()
    return sent


def test_old_reports_are_packed_by_the_sweeper_and_read_the_same(old):
    for row in Result.objects.all():
        assert lifecycle.whole_report(row) == old[row.pk]
        assert line_of(row) == plain(old[row.pk])
    sweeper.sweep()
    for row in Result.objects.all():
        assert row.is_packed and "items" not in row.report["quality"][0]
        assert lifecycle.whole_report(row) == old[row.pk]
        (measured,) = lifecycle.score_inputs([row.pk]).values()
        assert lifecycle.score_fields(measured, row.evaluation.version) == lifecycle.score_fields(
            inputs.of_document(old[row.pk]), row.evaluation.version
        )
    assert lifecycle.pack_old_reports() == 0


def test_an_old_report_that_would_not_come_back_equal_stays_whole(old):
    first, second = sorted(old)
    strange = {**old[first], "checkpoint": {"content_sha256": "x"}}
    Result.objects.filter(pk=first).update(report=strange)
    assert lifecycle.pack_old_reports() == 2
    assert Result.objects.get(pk=first).report == strange
    assert [Result.objects.get(pk=pk).is_packed for pk in (first, second)] == [False, True]


def test_of_a_final_contest_nothing_a_report_is_made_of_changes(old):
    lifecycle.pack_old_reports(1)
    Contest.objects.update(finalised_at=Now())
    assert lifecycle.pack_old_reports() == 0
    for write in (
        lambda: ScoreInputs.objects.update(values=b""),
        lambda: ScoreInputs.objects.all().delete(),
        lambda: SharedInput.objects.update(content=b""),
        lambda: SharedInput.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            write()
