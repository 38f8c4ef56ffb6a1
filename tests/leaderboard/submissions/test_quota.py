"""A team's daily quota: what counts, when the day ends, and that two tabs cannot share the last one."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from grader.problems.catalogue import Problem
from leaderboard import lifecycle
from leaderboard.core import errors
from leaderboard.models import AuditEntry, Evaluation, Submission
from leaderboard.submissions import quota
from tests import factories

pytestmark = pytest.mark.django_db
SEOUL = ZoneInfo("Asia/Seoul")


def contest_with(*, a_day):
    contest = factories.contest()
    version = contest.version
    limit = f"submissions_per_day = {a_day}\nrejections_per_day = 2"
    source = version.source.replace("submissions_per_day = 20", limit)
    type(version).objects.filter(pk=version.pk).update(source=source)
    return type(contest).objects.select_related("version").get(pk=contest.pk)


def enter(contest, team):
    user = team.memberships.first().user
    content = uuid.uuid4().bytes  # an identical archive would be held as a duplicate
    return factories.entered(contest=contest, user=user, content=content)


def test_submissions_count_until_the_day_is_used_up():
    contest = contest_with(a_day=2)
    team = factories.team(contest=contest)
    assert quota.of(team).left == 2
    enter(contest, team)
    enter(contest, team)
    assert quota.of(team).left == 0
    with pytest.raises(errors.Refused) as refused:
        enter(contest, team)
    assert (refused.value.code, refused.value.status) == ("UPLOAD_QUOTA", 429)
    assert Submission.objects.count() == 2


def test_another_team_has_a_day_of_its_own():
    contest = contest_with(a_day=1)
    enter(contest, factories.team(contest=contest))
    enter(contest, factories.team(contest=contest))


def test_system_faults_cost_nothing_and_rejections_count_apart():
    contest = contest_with(a_day=1)
    team = factories.team(contest=contest)
    failed = enter(contest, team)
    lifecycle.give_up_check(failed.pk, Problem("SYS_CHECK_CRASHED"))
    lifecycle.fail_check(enter(contest, team).pk, [Problem("ARCHIVE_FORMAT")])
    now = quota.of(team)
    assert (now.used, now.rejected, now.is_open) == (0, 1, True)
    lifecycle.fail_check(enter(contest, team).pk, [Problem("ARCHIVE_FORMAT")])
    assert not quota.of(team).is_open


def test_a_withdrawn_submission_counts_like_a_rejected_one_and_a_held_duplicate_not_at_all():
    contest = contest_with(a_day=1)
    team = factories.team(contest=contest)
    lifecycle.cancel(enter(contest, team).pk, by="captain")
    now = quota.of(team)
    assert (now.used, now.rejected, now.is_open) == (0, 1, True)
    held = enter(contest, team)
    lifecycle.hold(held.pk, factories.facts(), Problem("UPLOAD_SAME", "", "#1"))
    now = quota.of(team)
    assert (now.used, now.rejected, now.is_open) == (0, 1, True)
    lifecycle.cancel(enter(contest, team).pk, by="captain")
    assert not quota.of(team).is_open


def test_yesterday_does_not_count():
    contest = contest_with(a_day=1)
    team = factories.team(contest=contest)
    evaluation = enter(contest, team)
    begins, _ = quota.day_of(timezone.now(), SEOUL)
    Submission.objects.filter(pk=evaluation.submission_id).update(
        created=begins - timedelta(seconds=1)
    )
    assert quota.of(team).left == 1


def test_organisers_grant_more_for_today_and_it_is_written_down():
    contest = contest_with(a_day=1)
    team, staff = factories.team(contest=contest), factories.user(is_staff=True)
    enter(contest, team)
    assert not quota.of(team).is_open
    quota.grant(team, 2, by=staff, reason="the site was down at noon")
    assert (quota.of(team).limit, quota.of(team).left) == (3, 2)
    enter(contest, team)
    assert quota.of(factories.team(contest=contest)).limit == 1
    entry = AuditEntry.objects.get(action="quota.grant")
    assert (entry.by, entry.target_id, entry.after["extra"]) == (staff, str(team.pk), 2)
    team.quota_grants.update(day=timezone.now().date() - timedelta(days=2))
    assert not quota.of(team).is_open


@pytest.mark.parametrize(("extra", "reason"), [(0, "why"), (-1, "why"), (1, " ")])
def test_a_grant_needs_a_number_and_a_reason(extra, reason):
    team = factories.team(contest=factories.contest())
    with pytest.raises(ValueError, match="reason"):
        quota.grant(team, extra, by=factories.user(is_staff=True), reason=reason)


def test_day_is_the_contests_not_the_servers():
    moment = datetime(2026, 2, 25, 15, 30, tzinfo=UTC)  # half past midnight in Seoul
    begins, resets = quota.day_of(moment, SEOUL)
    assert begins == datetime(2026, 2, 26, tzinfo=SEOUL)
    assert resets == datetime(2026, 2, 27, tzinfo=SEOUL)


def test_page_says_what_is_left(client):
    contest = contest_with(a_day=2)
    team = factories.team(contest=contest)
    enter(contest, team)
    client.force_login(team.memberships.first().user)
    page = client.get("/contests/demo/submit/", headers={"Accept-Language": "en"}).content.decode()
    assert "1 of 2 left" in page


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_cannot_share_the_last_submission():
    contest = contest_with(a_day=1)
    team = factories.team(contest=contest)
    barrier, codes = threading.Barrier(4), []

    def tab():
        try:
            barrier.wait()
            enter(contest, team)
            codes.append("entered")
        except errors.Refused as error:
            codes.append(error.code)
        finally:
            connection.close()

    tabs = [threading.Thread(target=tab) for _ in range(4)]
    for thread in tabs:
        thread.start()
    for thread in tabs:
        thread.join()
    assert sorted(codes) == ["UPLOAD_QUOTA"] * 3 + ["entered"]
    assert Evaluation.objects.count() == 1
