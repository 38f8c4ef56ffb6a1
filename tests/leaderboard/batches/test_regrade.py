"""Regrading: behind live entries, off the board, several times, on chosen workers."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from grader.problems.catalogue import Problem
from grader.scoring.score import ScoreError
from leaderboard import batches, lifecycle, teams
from leaderboard.batches import Filter
from leaderboard.board import ranking
from leaderboard.contests import loading
from leaderboard.core.errors import Refused
from leaderboard.models import (
    Batch,
    Contest,
    Evaluation,
    FinalChoice,
    Ruling,
    Submission,
    Worker,
)
from leaderboard.organisers import rulings
from leaderboard.workers import queue
from tests import factories
from tests.leaderboard.batches import town
from tests.leaderboard.batches.test_rescore import made, refused

pytestmark = pytest.mark.django_db
Status = Batch.Status


@pytest.fixture
def contest(tmp_path):
    return town.build(tmp_path)


def test_the_board_does_not_move_before_it_is_applied_and_undo_is_exact(contest):
    before = town.picture(contest)
    batch = made(contest, "regrade")
    assert town.picture(contest) == before
    town.measure(contest, batch, speedup=1.9)
    assert batches.advance(batch)
    assert town.picture(contest) == before
    assert batches.apply(batch, by="organiser") == 9
    assert town.picture(contest) != before
    entries = ranking.board(contest).entries
    assert {round(entry.score.speedup, 1) for entry in entries} == {1.9}
    batches.undo(batch, by="organiser")
    assert town.picture(contest) == before


def test_live_entries_go_first(contest):
    batch = made(contest, "regrade", Filter(best=True))
    live = factories.checked(evaluation=factories.submission(contest=contest))
    job = lifecycle.claim(factories.worker(), {contest.slug: contest.version.sha256})
    assert job.evaluation == live.pk
    assert batch.evaluations.filter(status="queued").count() == 5


def test_a_live_entry_in_the_queue_counts_only_itself(contest):
    made(contest, "regrade")
    # A regrade does not delay the live entries that teams wait for.
    assert queue.queue(contest).waiting == 0


def test_repeats_are_pooled_and_compared_worker_by_worker(contest):
    for name in ("gpu-1", "gpu-2"):
        factories.worker(name=name)
    batch = made(contest, "regrade", Filter(best=True), repeats=2, workers=["gpu-1", "gpu-2"])
    assert batch.evaluations.count() == 5 * 4
    for evaluation in batch.evaluations.filter(status="queued").order_by("pk"):
        slow = evaluation.only_worker.name == "gpu-2"
        job = lifecycle.claim(evaluation.only_worker, {contest.slug: batch.version.sha256})
        checkpoint = factories.facts(seed=job.submission)
        report = factories.report(
            contest=contest, checkpoint=checkpoint, worker_name=evaluation.only_worker.name,
            speedup=1.4 if slow else 1.6, seed=job.submission,  # the same answers on both
        )  # fmt: skip
        lifecycle.record(job.evaluation, job.attempt, report)
    assert batches.advance(batch)
    found = batches.review(batch)
    spreads = {spread.worker: spread for spread in found.workers}
    assert spreads["gpu-1"].mean_difference > 0 > spreads["gpu-2"].mean_difference
    assert spreads["gpu-1"].measurements == 10
    batches.apply(batch, by="organiser")
    entry = ranking.board(contest).entries[0]
    assert 1.4 < entry.score.speedup < 1.6
    pooled = Evaluation.objects.get(submission=entry.submission_id, is_current=True)
    assert len(pooled.result.report["speed"][0]["rounds"]) == 4 * 8


def measured_on(contest, batch, speedups):
    """Every queued measurement done by its worker; each worker has its own speeds for the entries."""
    for evaluation in batch.evaluations.filter(status="queued").order_by("pk"):
        worker = evaluation.only_worker
        job = lifecycle.claim(worker, {contest.slug: batch.version.sha256})
        checkpoint = factories.facts(seed=job.submission)
        lifecycle.record(job.evaluation, job.attempt, factories.report(
            contest=contest, checkpoint=checkpoint, worker_name=worker.name, noise=0.001,
            speedup=speedups[worker.name][job.submission], seed=3,
        ))  # fmt: skip


def test_the_first_teams_finals_meet_head_to_head_on_two_workers(contest):
    for name in ("gpu-1", "gpu-2"):
        factories.worker(name=name)
    board = ranking.board(contest, "private", with_hidden=True, only_final=True)
    final = ranking.final_entries(contest)
    first, second = (final[entry.team_id] for entry in board.ranked[:2])
    FinalChoice.objects.create(team_id=board.ranked[0].team_id, submission_id=first[0], by="mina")
    entries = {first[0], *second}
    options = {"repeats": 2, "workers": ["gpu-1", "gpu-2"]}
    refused("BATCH_TWO_WORKERS", lambda: made(contest, "regrade", Filter(top=2)))
    refused(
        "BATCH_TWO_WORKERS",
        lambda: made(contest, "regrade", Filter(top=2), workers=["gpu-1", "gpu-1"]),
    )
    batch = made(contest, "regrade", Filter(top=2), **options)
    assert set(batch.items.values_list("submission", flat=True)) == entries
    assert batch.evaluations.count() == 3 * 2 * 2
    assert batches.review(batch).duel is None, "nothing is measured yet"
    order = sorted(entries)
    alike = {pk: 1.2 + 0.3 * i for i, pk in enumerate(order)}
    measured_on(contest, batch, {"gpu-1": alike, "gpu-2": {pk: 0.9 * s for pk, s in alike.items()}})
    assert batches.advance(batch)
    duel = batches.review(batch).duel
    assert duel.workers == ["gpu-1", "gpu-2"] and duel.agrees
    assert [row.submission_id for row in duel.rows] == order[::-1]
    assert [[cell.place for cell in row.cells] for row in duel.rows] == [[1, 1], [2, 2], [3, 3]]
    assert all(cell.measurements == 2 for row in duel.rows for cell in row.cells)
    assert all(row.cells[0].mean > row.cells[1].mean for row in duel.rows)
    batches.cancel(batch, by="organiser")
    again = made(contest, "regrade", Filter(top=2), **options)
    turned = dict(zip(order, [alike[pk] for pk in order[::-1]], strict=True))
    measured_on(contest, again, {"gpu-1": alike, "gpu-2": turned})
    assert not batches.review(again).duel.agrees


def test_measurements_of_different_questions_are_not_pooled_and_the_batch_says_so(contest):
    before = town.picture(contest)
    first = ranking.board(contest).entries[0]
    batch = made(contest, "regrade", Filter(submissions=(first.submission_id,)), repeats=2)
    for questions in (0, 150):
        job = lifecycle.claim(factories.worker(), {contest.slug: batch.version.sha256})
        report = factories.report(contest=contest, questions=questions)
        lifecycle.record(job.evaluation, job.attempt, report)
    assert batches.advance(batch)
    ((note, count),) = batches.review(batch).problems
    assert note.startswith("not pooled: ") and count == 1
    batches.apply(batch, by="organiser")
    assert town.picture(contest) == before, "what could not be measured keeps its score"


def test_teams_that_merge_while_measurements_are_pooled_stand_once(contest, monkeypatch):
    went, stays = (contest.teams.get(name=name) for name in ("slow", "fast"))
    captains = [team.memberships.get().user for team in (went, stays)]
    batch = made(contest, "regrade", Filter(team=went.pk), repeats=2)
    town.measure(contest, batch)
    pool = lifecycle.pool

    def merged_meanwhile(runs):
        if not stays.absorbed.exists():
            assert runs[0].submission.team == went, "read before they merge"
            teams.merge(teams.offer(stays, "slow", captains[1]), captains[0])
        return pool(runs)

    monkeypatch.setattr(lifecycle, "pool", merged_meanwhile)
    assert batches.advance(batch)
    assert stays.absorbed.exists()
    batches.apply(batch, by="organiser")
    assert "slow" not in town.ranking(contest)


def test_a_retired_worker_of_the_same_name_is_not_waited_for(contest):
    Worker.objects.filter(pk=factories.worker(name="gpu-2").pk).update(revoked=timezone.now())
    refused("BATCH_WORKERS", lambda: made(contest, "regrade", workers=["gpu-2"]))
    living = Worker.issue("pbw", name="gpu-2", device="cpu")[0]
    batch = made(contest, "regrade", Filter(best=True), workers=["gpu-2"])
    assert set(batch.evaluations.values_list("only_worker", flat=True)) == {living.pk}


def test_only_the_chosen_worker_may_have_it(contest):
    other = factories.worker(name="gpu-1")
    factories.worker(name="gpu-2")
    made(contest, "regrade", Filter(best=True), workers=["gpu-2"])
    assert lifecycle.claim(other, {contest.slug: contest.version.sha256}) is None


def test_cancel_stops_measurements_and_a_late_report_is_stale(contest):
    before = town.picture(contest)
    batch = made(contest, "regrade")
    job = lifecycle.claim(factories.worker(), {contest.slug: contest.version.sha256})
    batches.cancel(batch, by="organiser")
    with pytest.raises(lifecycle.StaleAttempt):
        lifecycle.record(job.evaluation, job.attempt, factories.report(contest=contest))
    assert town.picture(contest) == before
    assert not batch.evaluations.exclude(status="cancelled").exists()
    for submission in Submission.objects.all():  # evidence stays
        assert default_storage.exists(submission.archive)


def test_what_is_rejected_when_measured_again_leaves_the_board_and_comes_back(contest):
    before = town.picture(contest)
    first = ranking.board(contest).entries[0]
    batch = made(contest, "regrade", Filter(submissions=(first.submission_id,)))
    job = lifecycle.claim(factories.worker(), {contest.slug: contest.version.sha256})
    lifecycle.reject(job.evaluation, job.attempt, [Problem("LOAD_ENGINE")])
    assert batches.advance(batch)
    found = batches.review(batch)
    assert found.matrix == [("scored", "rejected", 1)]
    assert found.moves[0].is_medal
    batches.apply(batch, by="organiser")
    assert first.submission_id not in [e.submission_id for e in ranking.board(contest).entries]
    batches.undo(batch, by="organiser")
    assert town.picture(contest) == before


def test_what_we_could_not_measure_keeps_its_score_and_can_be_tried_again(contest, settings):
    settings.MAX_ATTEMPTS = 1
    first = ranking.board(contest).entries[0]
    batch = made(contest, "regrade", Filter(submissions=(first.submission_id,)))
    job = lifecycle.claim(factories.worker(), {contest.slug: contest.version.sha256})
    lifecycle.fail(job.evaluation, job.attempt, [Problem("SYS_NOISY")])
    assert batches.advance(batch)
    assert batches.review(batch).problems == [("SYS", 1)]
    assert batches.retry(batch, by="organiser") == 1
    assert batch.status == Status.RUNNING
    town.measure(contest, batch)
    assert batches.advance(batch)
    assert batches.review(batch).problems == []


def test_new_rules_that_need_measuring_come_with_the_regrade_of_the_whole_board(contest, tmp_path):
    before = town.picture(contest)
    path = town.file_of(tmp_path, ("limit = 160", "limit = 120"))
    loading.load(str(path))
    contest.refresh_from_db()
    assert contest.pending
    refused(
        "BATCH_NEEDS_REGRADE",
        lambda: batches.prepare(contest, "rescore", Filter(), reason="x", by="o"),
    )
    batch = made(contest, "regrade")
    running = factories.running(evaluation=factories.submission(contest=contest))
    assert running.version == batch.old_version
    town.measure(contest, batch)
    assert batches.advance(batch)
    late = factories.scored(contest=contest)
    refused("BATCH_LATE_ENTRIES", lambda: batches.apply(batch, by="organiser"))
    assert late.version == batch.old_version
    assert batches.update(batch, by="organiser") == 1
    town.measure(contest, batch)
    assert batches.advance(batch)
    batches.apply(batch, by="organiser")
    contest = Contest.objects.select_related("version").get(pk=contest.pk)
    assert contest.version == batch.version
    # measured under the old rules, reported under the new: measured again, at no cost to anyone
    lifecycle.record(running.pk, 1, factories.report(contest=contest))
    running.refresh_from_db()
    assert (running.status, running.version, running.faults) == ("queued", contest.version, 0)
    assert town.picture(contest) != before
    counted = Evaluation.objects.filter(is_current=True, status="scored")
    assert set(counted.values_list("score__version", flat=True)) == {contest.version_id}


@pytest.fixture
def shorter(contest, tmp_path):
    """Rules with fewer questions are loaded and pending."""
    loading.load(str(town.file_of(tmp_path, ("limit = 160", "limit = 120"))))
    contest.refresh_from_db()
    return contest


def measured_and_applied(contest):
    batch = made(contest, "regrade")
    town.measure(contest, batch)
    assert batches.advance(batch)
    batches.apply(batch, by="organiser")
    return batch


def test_new_entries_that_another_batch_holds_are_named_and_not_taken(contest):
    batch = made(contest, "regrade")
    town.measure(contest, batch)
    assert batches.advance(batch)
    late = factories.scored(contest=contest)
    other = made(contest, "rescore", Filter(submissions=(late.submission_id,)))
    with pytest.raises(Refused) as caught:
        batches.update(batch, by="organiser")
    assert caught.value.code == "BATCH_OVERLAP"
    assert f"#{other.pk}" in caught.value.message and f"#{batch.pk}" not in caught.value.message
    batch.refresh_from_db()
    assert batch.status == Status.READY
    batches.cancel(other, by="organiser")
    assert batches.update(batch, by="organiser") == 1


def one_not_measured(contest):
    """A ready batch in which the measurement of one entry on the board broke."""
    batch = made(contest, "regrade")
    job = lifecycle.claim(factories.worker(), {contest.slug: batch.version.sha256})
    lifecycle.fail(job.evaluation, job.attempt, [Problem("SYS_NOISY")])
    town.measure(contest, batch)
    assert batches.advance(batch)
    return batch, Submission.objects.get(pk=job.submission)


@pytest.mark.parametrize("of_team", [True, False])
def test_what_is_disqualified_need_not_be_measured_and_lifting_brings_back_no_old_score(
    shorter, settings, of_team
):
    """Its score is over 160 questions and all others' over 120: it is back on the board once it is measured."""
    settings.MAX_ATTEMPTS = 1
    staff = factories.user(is_staff=True)
    # Puts a team's entry first in line.
    Submission.objects.filter(kind="base").update(kind="selftest")
    batch, entry = one_not_measured(shorter)
    old = Evaluation.objects.get(submission=entry, is_current=True)
    refused("BATCH_UNMEASURED", lambda: batches.apply(batch, by=staff))
    subject = {"team": entry.team} if of_team else {"submission": entry}
    ruling = Ruling(contest=shorter, kind="disqualified", reason="cannot be measured", **subject)
    rulings.impose(ruling, by=staff)
    batches.apply(batch, by=staff)
    rulings.lift(ruling, by=staff)
    contest = Contest.objects.select_related("version").get(pk=shorter.pk)
    assert entry.pk not in ranking.standing_evaluations(contest).values_list(
        "submission", flat=True
    )
    scored = Evaluation.objects.filter(is_current=True, status="scored", submission__kind="team")
    assert set(scored.values_list("score__version", flat=True)) == {contest.version_id}
    current = Evaluation.objects.get(submission=entry, is_current=True)
    assert (current.status, current.version, current.score) == ("failed", batch.version, None)
    again = made(contest, "regrade", Filter(submissions=(entry.pk,)))
    town.measure(contest, again)
    assert batches.advance(again)
    batches.apply(again, by=staff)
    assert entry.pk in ranking.standing_evaluations(contest).values_list("submission", flat=True)
    batches.undo(again, by=staff)
    batches.undo(batch, by=staff)
    current = Evaluation.objects.get(submission=entry, is_current=True)
    assert (current, current.score) == (old, old.score)


def test_a_retry_takes_everything_without_an_outcome_and_forgets_what_did_not_fit(contest):
    """Measurements that did not pool would not pool with another one either."""
    first, second = ranking.board(contest).entries[:2]
    entries = (first.submission_id, second.submission_id)
    archive = Submission.objects.get(pk=second.submission_id).archive
    with default_storage.open(archive) as file:
        content = file.read()
    default_storage.delete(archive)
    batch = made(contest, "regrade", Filter(submissions=entries), repeats=2)
    for questions in (0, 150):
        job = lifecycle.claim(factories.worker(), {contest.slug: batch.version.sha256})
        report = factories.report(contest=contest, questions=questions)
        lifecycle.record(job.evaluation, job.attempt, report)
    assert batches.advance(batch)
    assert len(batches.review(batch).problems) == 2
    assert batches.retry(batch, by="organiser") == 1, "no archive, nothing to measure"
    town.measure(contest, batch, seed=4)
    assert batches.advance(batch)
    ((note, count),) = batches.review(batch).problems
    assert "not kept" in note and count == 1
    item = batch.items.get(submission=first.submission_id)
    assert len(item.new.result.report["speed"][0]["rounds"]) == 2 * 8, "of the second round alone"
    default_storage.save(archive, ContentFile(content))
    assert batches.retry(batch, by="organiser") == 1
    town.measure(contest, batch, seed=4)
    assert batches.advance(batch)
    assert batches.review(batch).problems == []


def test_undo_is_refused_once_an_entry_was_measured_under_the_new_rules_alone(shorter):
    """Its report has 120 questions; a score under the old rules is over 160."""
    batch = measured_and_applied(shorter)
    contest = Contest.objects.select_related("version").get(pk=shorter.pk)
    late = factories.scored(contest=contest)
    before = town.picture(contest)
    refused("BATCH_NEWCOMERS", lambda: batches.undo(batch, by="organiser"))
    batch.refresh_from_db()
    assert batch.status == Status.APPLIED and town.picture(contest) == before
    late.refresh_from_db()
    assert late.score.version == batch.version


def test_undo_of_new_questions_is_exact_while_nothing_was_measured_since(shorter):
    before = town.picture(shorter)
    batch = measured_and_applied(shorter)
    batches.undo(batch, by="organiser")
    assert town.picture(shorter) == before


def test_what_cannot_be_scored_under_the_old_rules_is_told_and_not_thrown(contest, monkeypatch):
    def lacks(*args, **options):
        raise ScoreError("no such benchmark")

    old = contest.version
    Contest.objects.update(pending=factories.contest(slug="demo", formula="online").version)
    Contest.objects.update(version=old)
    contest.refresh_from_db()
    batch = made(contest, "rescore")
    batches.apply(batch, by="organiser")
    contest.refresh_from_db()
    factories.scored(contest=contest)
    monkeypatch.setattr(lifecycle, "rescore", lacks)
    refused("BATCH_NEWCOMERS", lambda: batches.undo(batch, by="organiser"))
