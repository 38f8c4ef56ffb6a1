"""Faults are counted per cause: what points at an entry fails it, what is ours makes it wait and comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import F
from django.db.models.functions import Now

from grader.problems.catalogue import CATALOGUE, Fault, Problem
from leaderboard import lifecycle
from leaderboard.lifecycle import causes
from leaderboard.lifecycle.causes import Cause, cause_of
from leaderboard.models import AARun, Delivery, Evaluation, Transition, Webhook
from leaderboard.operations import sweeper
from leaderboard.submissions import preflight
from tests import factories

pytestmark = pytest.mark.django_db
Status = Evaluation.Status
OUTAGE = Problem("SYS_STORAGE", detail="gone")
NOISE = Problem("SYS_NOISY")


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def waiting(contest):
    return factories.checked(evaluation=factories.submission(contest=contest))


def claim(evaluation):
    Evaluation.objects.filter(pk=evaluation.pk).update(not_before=Now())
    return factories.running(evaluation=evaluation)


def break_with(evaluation, problem, times=1):
    for _ in range(times):
        attempt = claim(evaluation).attempt
        lifecycle.fail(evaluation.pk, attempt, [problem])
    evaluation.refresh_from_db()
    return evaluation


def lose(evaluation, times):
    for _ in range(times):
        claim(evaluation)
        Evaluation.objects.filter(pk=evaluation.pk).update(lease_until=Now() - timedelta(seconds=1))
        assert lifecycle.return_lost_work() == 1
    evaluation.refresh_from_db()
    return evaluation


def codes(evaluation):
    return [problem["code"] for problem in evaluation.problems]


def age(evaluation, **passed):
    Evaluation.objects.filter(pk=evaluation.pk).update(finished=F("finished") - timedelta(**passed))


def put_backs(evaluation):
    return Transition.objects.filter(evaluation=evaluation, code="put_back").count()


def test_every_code_that_is_ours_is_in_the_catalogue():
    assert {CATALOGUE[code].fault for code in causes.OURS} == {Fault.SYSTEM}


@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        (Problem("SYS_ENGINE_DIED", "candidate"), Cause.ENTRY),
        (Problem("SYS_ENGINE_DIED", "base"), Cause.WORKER),
        (Problem("SYS_NOISY"), Cause.ENTRY),
        (Problem("SYS_WORKER_LOST"), Cause.WORKER),
        (Problem("SYS_DOWNLOAD"), Cause.STORAGE),
        (Problem("SYS_HUB"), Cause.HUB),
    ],
)
def test_cause(problem, cause):
    assert cause_of([problem]) == cause


def test_three_attempts_that_point_at_the_entry_fail_it(waiting):
    assert break_with(waiting, NOISE, 2).status == Status.QUEUED
    assert break_with(waiting, NOISE).status == Status.FAILED
    assert codes(waiting) == ["SYS_NOISY", "SYS_ATTEMPTS_EXHAUSTED"]
    assert not lifecycle.failed_for_our_sake().exists()  # no button brings it back


def test_outages_use_up_none_of_the_three(waiting):
    break_with(waiting, OUTAGE, 4)
    lose(waiting, 4)
    assert break_with(waiting, NOISE, 2).status == Status.QUEUED
    assert waiting.faults == 10  # all are in the history
    assert break_with(waiting, NOISE).status == Status.FAILED


def test_pauses_grow_per_cause_up_to_ten_minutes(waiting):
    break_with(waiting, OUTAGE, 8)
    in_nine, in_eleven = (Now() + timedelta(minutes=n) for n in (9, 11))
    assert Evaluation.objects.filter(not_before__range=(in_nine, in_eleven)).exists()
    break_with(waiting, NOISE)
    assert Evaluation.objects.filter(not_before__lt=Now() + timedelta(seconds=6)).exists()


def test_ten_of_one_cause_fail_it_for_our_sake(waiting):
    assert lose(waiting, causes.MAX_OUTAGES - 1).status == Status.QUEUED
    assert lose(waiting, 1).status == Status.FAILED
    assert codes(waiting) == ["SYS_WORKER_LOST", "SYS_OUTAGE"]
    assert waiting.problems[-1]["where"] == "worker"
    assert lifecycle.failed_for_our_sake().get() == waiting


@pytest.fixture
def failed(waiting):
    return break_with(waiting, OUTAGE, causes.MAX_OUTAGES)


def test_put_back_it_is_graded_and_the_history_says_so(failed, contest):
    assert lifecycle.put_back(lifecycle.failed_for_our_sake(), by="mina") == 1
    failed.refresh_from_db()
    assert (failed.status, failed.problems, failed.finished) == (Status.QUEUED, [], None)
    step = Transition.objects.filter(evaluation=failed).last()
    assert (step.old, step.new, step.by, step.parameters) == ("failed", "queued", "mina", {"n": 10})
    attempt = claim(failed).attempt
    assert attempt == 11
    lifecycle.record(failed.pk, attempt, factories.report(contest=contest))
    failed.refresh_from_db()
    assert failed.status == Status.SCORED
    assert lifecycle.put_back(lifecycle.failed_for_our_sake(), by="mina") == 0


def test_put_back_it_has_all_its_attempts_again(failed):
    lifecycle.put_back(lifecycle.failed_for_our_sake(), by="mina")
    assert break_with(failed, OUTAGE, causes.MAX_OUTAGES - 1).status == Status.QUEUED
    assert break_with(failed, OUTAGE).status == Status.FAILED


def test_a_grade_that_ends_well_brings_it_back(failed, contest):
    assert lifecycle.put_back_recovered() == 0
    age(failed, minutes=1)
    factories.scored(contest=contest)
    sweeper.sweep()
    failed.refresh_from_db()
    assert failed.status == Status.QUEUED


def test_a_grade_that_ended_before_brings_nothing_back(contest, waiting):
    factories.scored(contest=contest)
    failed = break_with(waiting, OUTAGE, causes.MAX_OUTAGES)
    Evaluation.objects.filter(pk=failed.pk).update(finished=Now() + timedelta(seconds=1))
    assert lifecycle.put_back_recovered() == 0


def test_a_healthy_aa_test_of_its_worker_brings_back_what_the_worker_broke(waiting, contest):
    failed = lose(waiting, causes.MAX_OUTAGES)
    age(failed, minutes=1)
    test = AARun.objects.create(
        worker=failed.worker, contest=contest, version=contest.version, finished=Now(),
        status=AARun.Status.FAILED,
    )  # fmt: skip
    assert lifecycle.put_back_recovered() == 0
    AARun.objects.filter(pk=test.pk).update(status=AARun.Status.PASSED)
    assert lifecycle.put_back_recovered() == 1


def test_where_nothing_else_is_left_one_is_tried_after_half_an_hour(failed, contest):
    other = factories.checked(evaluation=factories.submission(contest=contest))
    break_with(other, OUTAGE, causes.MAX_OUTAGES)
    age(failed, minutes=40)
    age(other, minutes=35)
    assert lifecycle.put_back_recovered() == 1
    assert lifecycle.put_back_recovered() == 0  # one is on its way
    failed.refresh_from_db()
    assert failed.status == Status.QUEUED


def test_it_comes_back_by_itself_three_times_and_then_by_hand(failed):
    for n in range(1, 4):
        age(failed, minutes=31)
        assert lifecycle.put_back_recovered() == 1
        assert put_backs(failed) == n
        break_with(failed, OUTAGE, causes.MAX_OUTAGES)
    age(failed, minutes=31)
    assert lifecycle.put_back_recovered() == 0
    assert lifecycle.put_back(lifecycle.failed_for_our_sake(), by="mina") == 1


def test_the_command_puts_back_and_can_only_say_how_many(failed, capsys):
    call_command("putback", "--dry-run")
    call_command("putback")
    assert capsys.readouterr().out == "1 would be put back\n1 put back\n"


def test_teams_are_notified_of_the_score_after_the_fault(waiting, contest):
    team = waiting.submission.team
    Webhook.objects.create(team=team, url="https://team.example/hook", kinds=["failed", "scored"])
    failed = break_with(waiting, OUTAGE, causes.MAX_OUTAGES)
    lifecycle.put_back(lifecycle.failed_for_our_sake(), by="mina")
    lifecycle.record(failed.pk, claim(failed).attempt, factories.report(contest=contest))
    kinds = Delivery.objects.filter(team=team).values_list("kind", flat=True)
    assert sorted(kinds) == ["failed", "scored"]


def test_checks_go_on_once_the_storage_is_back(contest, monkeypatch):
    evaluation = factories.submission(contest=contest)

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(preflight, "inspect", broken)
    for _ in range(2 * sweeper.MAX_CHECKS):
        Evaluation.objects.update(not_before=Now())
        with pytest.raises(preflight.CheckError, match="Input/output"):
            preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.check_attempts) == (Status.QUEUED, 0)
