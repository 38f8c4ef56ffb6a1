"""The life of an evaluation: guarded, fenced, append-only; nothing lost, nothing graded twice."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress
from leaderboard import lifecycle
from leaderboard.models import Attempt, Evaluation, Result, Score, Transition
from leaderboard.operations import sweeper
from tests import factories

pytestmark = pytest.mark.django_db
Status = Evaluation.Status


@pytest.fixture
def contest():
    return factories.contest()


def claim(contest, worker=None):
    mine = {contest.slug: contest.version.sha256}
    return lifecycle.claim(worker or factories.worker(), mine)


def expire(evaluation):
    Evaluation.objects.filter(pk=evaluation.pk).update(lease_until=Now() - timedelta(seconds=1))


def rescore(evaluation, reason):
    version = evaluation.submission.contest.version
    return lifecycle.rescore(evaluation, version, by="organiser", reason=reason)


def history(evaluation):
    return list(Transition.objects.filter(evaluation=evaluation).values_list("old", "new"))


def status(evaluation):
    evaluation.refresh_from_db()
    return evaluation.status


def test_submission_waits_for_its_check_before_a_worker_may_have_it(contest):
    evaluation = factories.submission(contest=contest)
    assert claim(contest) is None
    factories.checked(evaluation=evaluation)
    assert claim(contest).evaluation == evaluation.pk


def test_scored_evaluation_has_result_score_and_history(contest):
    evaluation = factories.scored(contest=contest)
    assert evaluation.status == Status.SCORED
    assert evaluation.score.value > 0
    assert Result.objects.get(evaluation=evaluation).attempt == 1
    assert history(evaluation) == [
        ("", "queued"),
        ("queued", "queued"),
        ("queued", "running"),
        ("running", "scored"),
    ]


def test_claim_skips_a_worker_whose_copy_of_the_contest_differs(contest):
    factories.checked(evaluation=factories.submission(contest=contest))
    assert lifecycle.claim(factories.worker(), {contest.slug: "0" * 64}) is None
    assert lifecycle.claim(factories.worker(), {}) is None


def test_higher_priority_goes_first_then_first_come_first_served(contest):
    first, second, urgent = (factories.submission(contest=contest) for _ in range(3))
    Evaluation.objects.filter(pk=urgent.pk).update(priority=5)
    for evaluation in (first, second, urgent):
        factories.checked(evaluation=evaluation)
    order = [claim(contest).evaluation for _ in range(3)]
    assert order == [urgent.pk, first.pk, second.pk]


def test_stale_attempt_can_write_nothing(contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    expire(evaluation)
    assert lifecycle.return_lost_work() == 1
    job = claim(contest)
    assert (job.evaluation, job.attempt) == (evaluation.pk, 2)
    report = factories.report(contest=contest)
    for late in (
        lambda: lifecycle.progress(evaluation.pk, 1, Progress(Stage.SPEED)),
        lambda: lifecycle.record(evaluation.pk, 1, report),
        lambda: lifecycle.reject(evaluation.pk, 1, [Problem("LOAD_ENGINE")]),
        lambda: lifecycle.fail(evaluation.pk, 1, [Problem("SYS_ENGINE_DIED")]),
    ):
        with pytest.raises(lifecycle.StaleAttempt):
            late()
    assert status(evaluation) == Status.RUNNING
    lifecycle.record(evaluation.pk, 2, report)
    assert status(evaluation) == Status.SCORED
    outcomes = Attempt.objects.filter(evaluation=evaluation).order_by("number")
    assert list(outcomes.values_list("outcome", flat=True)) == ["lost", "scored"]


def test_report_sent_twice_is_stored_once_and_welcome_twice(contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    report = factories.report(contest=contest)
    lifecycle.record(evaluation.pk, 1, report)
    lifecycle.record(evaluation.pk, 1, report)
    assert Result.objects.filter(evaluation=evaluation).count() == 1
    assert Score.objects.filter(evaluation=evaluation).count() == 1


def test_heartbeat_extends_the_lease(contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    expire(evaluation)
    lifecycle.progress(evaluation.pk, 1, Progress(Stage.QUALITY, 3, 10))
    assert lifecycle.return_lost_work() == 0
    evaluation.refresh_from_db()
    assert (evaluation.stage, evaluation.progress["done"]) == ("quality", 3)


def test_system_fault_is_retried_after_a_pause_and_leaves_no_trace_for_the_team(contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    lifecycle.fail(evaluation.pk, 1, [Problem("SYS_NOISY")], "log")
    assert status(evaluation) == Status.QUEUED
    assert evaluation.problems == []
    assert claim(contest) is None  # not before the pause is over
    Evaluation.objects.filter(pk=evaluation.pk).update(not_before=Now())
    assert claim(contest).attempt == 2


def test_rejection_by_the_worker_is_final_and_names_the_problem(contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    lifecycle.reject(evaluation.pk, 1, [Problem("LOAD_ENGINE", detail="bad scale")], "tail")
    assert status(evaluation) == Status.REJECTED
    assert evaluation.problems == [{"code": "LOAD_ENGINE", "where": "", "detail": "bad scale"}]
    assert Attempt.objects.get(evaluation=evaluation).log == "tail"


def test_cancel_works_while_queued_only(contest):
    evaluation = factories.submission(contest=contest)
    assert lifecycle.cancel(evaluation.pk, by="mina")
    assert status(evaluation) == Status.CANCELLED
    other = factories.running(evaluation=factories.submission(contest=contest))
    assert not lifecycle.cancel(other.pk, by="mina")
    assert status(other) == Status.RUNNING


def test_database_refuses_a_scored_evaluation_without_a_score(contest):
    evaluation = factories.submission(contest=contest)
    with pytest.raises(IntegrityError), transaction.atomic():
        Evaluation.objects.filter(pk=evaluation.pk).update(status=Status.SCORED)


def test_report_without_a_benchmark_is_not_half_recorded(contest):
    from dataclasses import replace

    from grader.scoring.score import ScoreError

    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    report = replace(factories.report(contest=contest), quality=())
    with pytest.raises(ScoreError):
        lifecycle.record(evaluation.pk, 1, report)
    assert status(evaluation) == Status.RUNNING
    assert not Result.objects.filter(evaluation=evaluation).exists()


def test_rescore_appends_a_score_under_the_rules_in_force(contest):
    evaluation = factories.scored(contest=contest)
    before = evaluation.score
    assert rescore(evaluation, "nothing new") is None
    factories.contest(formula="online")  # same contest, the other formula in force
    evaluation = Evaluation.objects.get(pk=evaluation.pk)
    after = rescore(evaluation, "phase change")
    evaluation.refresh_from_db()
    assert evaluation.score == after
    assert (before.formula, after.formula) == ("final", "online")
    assert after.value != before.value
    assert Score.objects.filter(evaluation=evaluation).count() == 2


def test_sweeper_gives_up_on_a_check_that_crashes_every_time(contest):
    evaluation = factories.submission(contest=contest)
    for _ in range(sweeper.MAX_CHECKS):
        assert lifecycle.begin_check(evaluation.pk)
        Evaluation.objects.filter(pk=evaluation.pk).update(not_before=Now())  # it has died
    sweeper.sweep()
    assert status(evaluation) == Status.FAILED
    assert evaluation.problems[0]["code"] == "SYS_CHECK_CRASHED"


@pytest.mark.django_db(transaction=True)
def test_many_workers_claiming_at_once_never_share_an_evaluation():
    contest = factories.contest()
    waiting = {
        factories.checked(evaluation=factories.submission(contest=contest)).pk for _ in range(6)
    }
    workers = [factories.worker(name=f"gpu-{n}") for n in range(10)]
    claimed, errors = [], []

    def ask(worker):
        try:
            if job := claim(contest, worker):
                claimed.append(job.evaluation)
        except Exception as error:  # a thread's exception must fail the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(claimed) == len(set(claimed))
    # a claim that skipped a locked row may come back empty; the next claim gets the rest
    while job := claim(contest):
        claimed.append(job.evaluation)
    assert set(claimed) == waiting
    assert not Evaluation.objects.exclude(attempt=F("attempt") * 0 + 1).exists()
