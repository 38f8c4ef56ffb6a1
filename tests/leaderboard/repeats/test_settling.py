"""One checkpoint, one chance: repeats are pooled, and first places measured again."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from grader.problems.catalogue import Problem
from grader.protocol.documents import Report
from grader.schema import decode
from grader.scoring.pooling import pool
from grader.scoring.score import by_part
from leaderboard import batches, lifecycle, repeats
from leaderboard.batches import Filter
from leaderboard.board import ranking
from leaderboard.models import Evaluation, FinalChoice, Pool, Result, Transition
from leaderboard.organisers import board_control
from leaderboard.submissions import quota
from tests import factories
from tests.leaderboard.repeats import pooled

pytestmark = pytest.mark.django_db


def row_of(contest, team):
    return ranking.board(contest).of_team(team.pk)


def report_of(evaluation):
    return decode(Report, lifecycle.whole_report(Result.objects.get(evaluation=evaluation)))


def test_a_repeat_adds_to_the_pool_instead_of_drawing_anew():
    contest = pooled.contest()
    team = factories.team(contest=contest)
    first = pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    second = pooled.entered(contest, team, 1.9, checkpoint=7, seed=2)
    entry = row_of(contest, team)
    both, _ = by_part(pool([report_of(first), report_of(second)]), contest.rules)
    assert (entry.submission_id, entry.score.value) == (first.submission_id, both.value)
    assert first.score.value < entry.score.value < second.score.value
    assert entry.submissions == 2  # both entries were scored, and both used quota
    assert quota.of(team).used == 2
    current = Evaluation.objects.current().get(submission=first.submission_id)
    transition = current.transitions.get()
    assert (transition.code, transition.parameters) == (
        "pooled",
        {"numbers": [first.pk, second.pk]},
    )


def test_more_than_two_of_a_teams_own_measurements_change_nothing():
    contest = pooled.contest()
    team = factories.team(contest=contest)
    for seed, speedup in enumerate((1.3, 1.4), 1):
        pooled.entered(contest, team, speedup, checkpoint=7, seed=seed)
    before = row_of(contest, team)
    for seed in range(3, 6):
        pooled.entered(contest, team, 2.5, checkpoint=7, seed=seed)
    assert row_of(contest, team).score == before.score
    assert Pool.objects.get().evaluations.filter(attempt__gt=0).count() == 5


def test_settling_again_changes_nothing():
    contest = pooled.contest(confirm=1)
    team = factories.team(contest=contest)
    for seed in (1, 2):
        pooled.entered(contest, team, 1.5, checkpoint=7, seed=seed)
    rows = list(Evaluation.objects.order_by("pk").values())
    contest.refresh_from_db()
    version = contest.board_version
    repeats.settle(contest)
    assert list(Evaluation.objects.order_by("pk").values()) == rows
    contest.refresh_from_db()
    assert contest.board_version == version


def test_other_checkpoints_and_other_teams_stand_for_themselves():
    contest = pooled.contest()
    team, other = factories.team(contest=contest), factories.team(contest=contest)
    pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    better = pooled.entered(contest, team, 1.6, checkpoint=8, seed=2)
    theirs = pooled.entered(contest, other, 1.9, checkpoint=7, seed=3)
    assert row_of(contest, team).submission_id == better.submission_id
    assert row_of(contest, other).score.value == theirs.score.value


def test_without_the_key_nothing_is_pooled():
    contest = factories.contest()
    team = factories.team(contest=contest)
    pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    best = pooled.entered(contest, team, 1.9, checkpoint=7, seed=2)
    assert row_of(contest, team).submission_id == best.submission_id
    assert not Pool.objects.exists()


def test_turned_on_during_a_contest_earlier_entries_are_pooled_too():
    contest = factories.contest()
    team = factories.team(contest=contest)
    first = pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    pooled.entered(contest, team, 1.9, checkpoint=7, seed=2)
    contest = pooled.in_force(
        contest, contest.version.source.replace("[scoring]\n", '[scoring]\nrepeats = "pooled"\n', 1)
    )
    lifecycle.follow_version(contest, by="organiser")
    Evaluation.objects.update(version=contest.version)  # graded alike: the digests were not known
    repeats.settle(contest)
    entry = row_of(contest, team)
    assert entry.submission_id == first.submission_id
    assert Pool.objects.get().counted


def test_a_first_place_is_measured_again_without_the_measurement_that_won_it():
    contest = pooled.contest(confirm=1)
    lucky, steady = factories.team(contest=contest), factories.team(contest=contest)
    pooled.entered(contest, steady, 1.5, checkpoint=8, seed=1)
    assert pooled.confirmed(contest, 1.5) == 3
    entry = pooled.entered(contest, lucky, 2.5, checkpoint=7, seed=2)
    board = ranking.board(contest)
    assert board.ranked[0].team_id == lucky.pk
    assert board.ranked[0].confirmation == ranking.Confirmation(0, 3, True)
    used = quota.of(lucky).used
    assert pooled.confirmed(contest, 1.2) == 3
    board = ranking.board(contest)
    assert [row.team_id for row in board.ranked] == [steady.pk, lucky.pk]
    assert [row.confirmation for row in board.ranked] == [ranking.Confirmation(3, 3, False)] * 2
    assert board.ranked[1].score.speedup == pytest.approx(1.2, abs=0.02)
    assert quota.of(lucky).used == used == 1
    assert Pool.objects.get(first=entry.submission_id).won_id == entry.pk
    # nothing that the team enters of it counts any more
    pooled.entered(contest, lucky, 2.5, checkpoint=7, seed=3)
    assert ranking.board(contest).ranked[1].score == board.ranked[1].score
    assert not Evaluation.objects.unfinished().exists()


def test_a_place_won_by_a_repeat_keeps_the_measurement_before_it():
    contest = pooled.contest(confirm=1)
    other, team = factories.team(contest=contest), factories.team(contest=contest)
    pooled.entered(contest, other, 1.5, checkpoint=8, seed=1)
    pooled.confirmed(contest, 1.5)
    first = pooled.entered(contest, team, 1.1, checkpoint=7, seed=2)
    second = pooled.entered(contest, team, 4.0, checkpoint=7, seed=3)
    assert pooled.confirmed(contest, 1.1) == 2
    mine = Pool.objects.get(first=first.submission_id)
    assert mine.won_id == second.pk
    assert mine.counted[0] == first.pk and len(mine.counted) == 3
    assert ranking.board(contest).ranked[0].team_id == other.pk


def test_confirming_ends_when_the_grader_cannot_measure_it():
    contest = pooled.contest(confirm=1)
    team = factories.team(contest=contest)
    pooled.entered(contest, team, 1.5, checkpoint=7, seed=1)
    failed = 0
    while waiting := Evaluation.objects.filter(to_confirm=True, status="queued").order_by("pk"):
        row = factories.running(evaluation=waiting[0])
        lifecycle.reject(row.pk, row.attempt, [Problem("RUN_CRASH")])
        repeats.settle(contest)
        failed += 1
    assert failed == 5  # after the third, only those that are queued already
    assert not Pool.objects.get().is_confirming
    assert ranking.board(contest).ranked[0].team_id == team.pk  # as before, and not confirmed
    assert ranking.board(contest).ranked[0].confirmation == ranking.Confirmation(0, 3, False)


def test_a_repeat_chosen_for_the_final_sends_the_entry_that_stands_for_it():
    contest = pooled.contest()
    team = factories.team(contest=contest)
    first = pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    second = pooled.entered(contest, team, 1.4, checkpoint=7, seed=2)
    FinalChoice.objects.create(team=team, submission=second.submission, by="captain")
    assert ranking.final_entries(contest) == {team.pk: [first.submission_id]}


def test_what_the_organizers_measure_again_replaces_the_pool():
    contest = pooled.contest()
    team = factories.team(contest=contest)
    for seed, speedup in enumerate((1.3, 1.4), 1):
        pooled.entered(contest, team, speedup, checkpoint=7, seed=seed)
    wanted = Filter(submissions=(row_of(contest, team).submission_id,))
    batch = batches.prepare(contest, "regrade", wanted, reason="a broken worker", by="organiser")
    batches.start(batch, by="organiser")
    job = lifecycle.claim(factories.worker(), {contest.slug: contest.version.sha256})
    report = factories.report(contest=contest, speedup=2.0, seed=9)
    lifecycle.record(job.evaluation, job.attempt, report)
    repeats.settle(contest)
    assert row_of(contest, team).score.speedup < 1.5
    assert batches.advance(batch)
    batches.apply(batch, by="organiser")
    for _ in range(2):
        repeats.settle(contest)
        assert row_of(contest, team).score.speedup == pytest.approx(2.0, abs=0.05)


def test_pooling_takes_no_mark_away():
    contest = pooled.contest()
    team = factories.team(contest=contest)
    first = pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    Evaluation.objects.filter(pk=first.pk).update(flags=["FLAG_GAP"])
    pooled.entered(contest, team, 1.4, checkpoint=7, seed=2)
    current = Evaluation.objects.current().get(submission=first.submission_id)
    assert current.pk != first.pk
    # the second differed from the first by more than noise, which is new to staff
    second = Evaluation.objects.get(submission__pk__gt=first.submission_id)
    assert current.flags == ["FLAG_GAP", "FLAG_REPEAT"]
    assert current.review_until == second.review_until > first.review_until


def test_last_counts_the_last_entry_and_chosen_the_chosen_one():
    for counts, which in (("best", 1), ("last", 2), ("chosen", 0)):
        contest = pooled.contest(counts=counts, slug=counts)
        team = factories.team(contest=contest)
        entries = [
            pooled.entered(contest, team, speedup, checkpoint=20 + i, seed=i)
            for i, speedup in enumerate((1.2, 1.6, 1.4))
        ]
        FinalChoice.objects.create(team=team, submission=entries[0].submission, by="captain")
        assert row_of(contest, team).submission_id == entries[which].submission_id, counts


def test_what_is_entered_while_the_board_is_frozen_is_pooled_once_it_thaws():
    contest = pooled.contest()
    team = factories.team(contest=contest)
    first = pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    contest.frozen_at = timezone.now()
    contest.save(update_fields=["frozen_at"])
    pooled.entered(contest, team, 1.9, checkpoint=7, seed=2)
    assert row_of(contest, team).score.value == first.score.value
    assert board_control.direct(contest, "thaw", by=factories.user(is_staff=True))
    repeats.settle(contest)
    assert row_of(contest, team).score.value > first.score.value


def test_the_sweeper_finds_what_no_ring_told(django_capture_on_commit_callbacks, monkeypatch):
    rung = []
    monkeypatch.setattr("leaderboard.core.doorbell.enqueue_repeats", rung.append)
    contest = pooled.contest(confirm=1)
    repeats.ring_due()
    assert rung == []
    team = factories.team(contest=contest)
    with django_capture_on_commit_callbacks(execute=True):
        factories.scored(contest=contest, team=team)
    assert rung == [contest.pk]
    repeats.ring_due()
    assert rung == [contest.pk] * 2
    repeats.settle(contest)
    repeats.ring_due()  # being confirmed: a measurement may end without a score
    assert rung == [contest.pk] * 3
    type(contest).objects.update(finalised_at=timezone.now())
    repeats.ring_due()
    assert rung == [contest.pk] * 3


def test_pages_say_what_is_pooled_and_confirmed(client: Client):
    contest = pooled.contest(confirm=1)
    captain = factories.user()
    team = factories.team(contest=contest, captain=captain)
    first = pooled.entered(contest, team, 1.3, checkpoint=7, seed=1)
    client.force_login(captain)
    client.cookies["django_language"] = "en"
    page = client.get(f"/submissions/{first.submission_id}/").content.decode()
    assert "being confirmed: 0 of 3" in page
    assert "being confirmed: 0 of 3" in client.get("/contests/demo/").content.decode()
    assert pooled.confirmed(contest, 1.3) == 3
    page = client.get(f"/submissions/{first.submission_id}/").content.decode()
    assert "confirmed by 3 measurements" in " ".join(page.split())
    assert "3 measurements" in client.get("/contests/demo/").content.decode()
    second = pooled.entered(contest, team, 1.3, checkpoint=7, seed=2)
    page = client.get(f"/submissions/{second.submission_id}/").content.decode()
    assert f"submission #{first.submission_id}</a>" in page
    client.cookies["django_language"] = "ko"
    korean = client.get(f"/submissions/{second.submission_id}/").content.decode()
    assert "같은 체크포인트" in korean
    assert Transition.objects.filter(code="confirm").count() == 3
