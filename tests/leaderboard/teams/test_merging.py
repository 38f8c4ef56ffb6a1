"""Merging two teams, if both captains agree and no limit is exceeded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from leaderboard import lifecycle, notifications, teams, uploads
from leaderboard.board import cached, ranking
from leaderboard.models import Delivery, Merger, Profile, Ruling, Team
from leaderboard.submissions import queries, quota
from leaderboard.teams.merging import allowed_so_far
from tests import factories
from tests.leaderboard.teams.test_teams import end, limit, members, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def two(contest):
    """Two teams of two with an entry each, their captains, and an open offer of the first to the second."""
    mina, jiho = factories.user(name="mina"), factories.user(name="jiho")
    first = factories.team(
        contest=contest, captain=mina, members=[factories.user(name="a")], name="First"
    )
    second = factories.team(
        contest=contest, captain=jiho, members=[factories.user(name="b")], name="Second"
    )
    factories.scored(contest=contest, team=first, accuracy=0.38)
    factories.scored(contest=contest, team=second, accuracy=0.41)
    return first, second, mina, jiho, teams.offer(first, "second", mina)


def test_members_and_entries_move_into_the_team_that_offered(contest, two):
    first, second, mina, jiho, offer = two
    assert teams.merge(offer, jiho) == first
    assert members(first) == [("mina", True), ("a", False), ("jiho", False), ("b", False)]
    assert first.submissions.count() == 2
    second.refresh_from_db()
    assert second.merged_into == first
    assert quota.of(first).used == 2, "the day is counted together"
    found = cached.seen_by(mina, contest)
    assert [(e.entrant, e.submissions) for e in found.entries if e.is_ranked] == [("First", 2)]
    assert list(first.events.values_list("kind", "by", "detail"))[-1] == (
        "merged",
        "jiho",
        "Second",
    )


def test_the_captain_who_is_asked_hears_of_it_and_nobody_else(two, mailoutbox):
    first, second, _, jiho, offer = two
    # The message is sent regardless of settings, because nobody else can respond.
    second.memberships.update(mail_kinds=[])
    (row,) = Delivery.objects.filter(kind=Delivery.Kind.MERGE)
    assert (row.team, row.target, row.channel) == (second, jiho.email, "mail")
    assert row.event["type"] == "team.merge" and row.key == f"merger/{offer.pk}"
    Profile.objects.create(user=jiho, language="en")
    notifications.deliver()
    while notifications.are_due():
        notifications.deliver()
    (letter,) = [mail for mail in mailoutbox if "merge" in mail.subject]
    assert "First offers to merge with Second" in letter.body
    assert second.get_absolute_url() in letter.body


def test_everything_that_points_at_a_team_was_thought_of():
    """A new table that refers to a team needs a decision: do its rows move in a merger?"""
    relations = {
        f"{relation.related_model.__name__}.{relation.field.name}"
        for relation in Team._meta.get_fields(include_hidden=True)
        if relation.one_to_many or relation.one_to_one
    }
    move = {"Membership.team", "Submission.team", "Score.team"}
    end = {"FinalChoice.team", "Webhook.team", "Invitation.team", "Merger.team", "Merger.other"}
    stay = {"Team.merged_into", "TeamEvent.team", "Delivery.team", "Ruling.team", "QuotaGrant.team"}
    assert relations == move | end | stay


def test_old_page_leads_to_the_new_one(client, two):
    first, second, _, jiho, offer = two
    teams.merge(offer, jiho)
    assert client.get(second.get_absolute_url()).headers["Location"] == first.get_absolute_url()


def test_name_of_the_team_that_went_stays_taken(contest, two):
    *_, jiho, offer = two
    teams.merge(offer, jiho)
    refused("TEAM_NAME_TAKEN", teams.create, contest, "Second", factories.user())


def test_only_the_captain_who_was_asked_accepts(two):
    _, second, mina, _, offer = two
    member = second.memberships.get(is_captain=False).user
    refused("TEAM_NOT_MEMBER", teams.merge, offer, mina)
    refused("TEAM_CAPTAIN_ONLY", teams.merge, offer, member)
    refused("TEAM_NOT_MEMBER", teams.merge, offer, factories.user())
    assert not Team.objects.filter(merged_into__isnull=False).exists()


@pytest.mark.parametrize(("who", "state"), [(2, "withdrawn"), (3, "declined")])
def test_either_captain_can_close_the_offer_once(two, who, state):
    *_, jiho, offer = two
    teams.close(offer, two[who])
    offer.refresh_from_db()
    assert offer.status == state
    refused("TEAM_MERGE_OVER", teams.merge, offer, jiho)
    refused("TEAM_MERGE_OVER", teams.close, offer, two[who])


def test_offers_that_cannot_be_made(contest, two):
    first, _, mina, *_ = two
    refused("TEAM_MERGE_OFFERED", teams.offer, first, "Second", mina)
    refused("TEAM_UNKNOWN", teams.offer, first, "First", mina)
    refused("TEAM_UNKNOWN", teams.offer, first, "Nobody", mina)
    elsewhere = factories.contest(slug="other")
    factories.team(contest=elsewhere, name="Elsewhere")
    refused("TEAM_UNKNOWN", teams.offer, first, "Elsewhere", mina)


def test_not_more_people_than_a_team_may_have(contest, two):
    *_, jiho, offer = two
    limit(contest, team_size=3)
    error = refused("TEAM_MERGE_SIZE", teams.merge, offer, jiho)
    assert error.detail == "4 > 3"


def test_not_more_entries_than_one_team_could_have_made(contest, two, monkeypatch):
    """As on Kaggle, merging must not double the number of submissions."""
    *_, jiho, offer = two
    monkeypatch.setattr("leaderboard.teams.merging.allowed_so_far", lambda contest: 1)
    error = refused("TEAM_MERGE_QUOTA", teams.merge, offer, jiho)
    assert error.detail == "2 > 1"


@pytest.mark.parametrize(
    ("now", "days"),
    [
        (datetime(2025, 12, 31, 14, 59, tzinfo=UTC), 0),  # one minute before the start in Seoul
        (datetime(2025, 12, 31, 15, 0, tzinfo=UTC), 1),
        (datetime(2026, 1, 1, 14, 59, tzinfo=UTC), 1),
        (datetime(2026, 1, 1, 15, 0, tzinfo=UTC), 2),
        (datetime(2036, 6, 1, tzinfo=UTC), 3652),
    ],
)
def test_allowance_grows_with_the_days_of_the_contest(contest, monkeypatch, now, days):
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    assert allowed_so_far(contest) == days * contest.rules.limits.submissions_per_day


def test_merging_ends_at_its_date(contest, two):
    first, _, mina, jiho, offer = two
    limit(contest, merge_until=(datetime.now(UTC) - timedelta(minutes=1)).isoformat())
    refused("TEAM_MERGE_LATE", teams.merge, offer, jiho)
    refused("TEAM_MERGE_LATE", teams.offer, first, "Second", mina)
    teams.close(offer, jiho)  # declining is always possible


def test_before_its_date_and_after_the_end(contest, two):
    *_, jiho, offer = two
    limit(contest, merge_until=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    end(contest)
    refused("TEAM_CLOSED", teams.merge, offer, jiho)


def test_a_ruling_cannot_be_merged_away(contest, two):
    first, second, _, jiho, offer = two
    Ruling.objects.create(
        contest=contest, kind=Ruling.Kind.DISQUALIFIED, team=second, reason="x", by="staff"
    )
    refused("TEAM_RULED", teams.merge, offer, jiho)


def test_open_links_and_offers_of_the_team_that_went_are_closed(contest, two):
    first, second, mina, jiho, offer = two
    third = factories.team(contest=contest, captain=factories.user(name="c"), name="Third")
    link = teams.address(teams.invite(second, jiho)).split("/")[2]
    teams.offer(second, "Third", jiho)
    teams.merge(offer, jiho)
    refused("TEAM_INVITATION", teams.accept, link, factories.user())
    assert not Merger.objects.filter(status="open").exists()
    refused("TEAM_GONE", teams.invite, second, jiho)
    assert third.memberships.count() == 1


def test_what_arrives_while_teams_merge_is_entered_for_the_one_that_stays(contest, two):
    """The team was read before the archive arrived, and is gone by the time it is entered."""
    first, second, mina, jiho, offer = two
    third = factories.team(contest=contest, captain=factories.user(name="c"), name="Third")

    class Slow(SimpleUploadedFile):
        def chunks(self, *args, **options):
            if second.mergers_received.filter(status="open").exists():
                teams.merge(offer, jiho)
                teams.merge(teams.offer(third, "First", third.memberships.get().user), mina)
            return super().chunks(*args, **options)

    archive = Slow("m.zip", b"PK\x05\x06" + bytes(18) + b"x")
    entered = uploads.enter_whole(contest, jiho, archive)
    assert entered.team == third
    assert queries.visible_submissions(jiho).filter(pk=entered.pk).exists()
    assert quota.of(third).used == 3, "of the day that they share"


def test_a_report_that_arrives_while_teams_merge_is_a_score_of_the_one_that_stays(
    contest, two, monkeypatch
):
    _, second, _, jiho, offer = two
    running = factories.running(evaluation=factories.submission(contest=contest, team=second))
    computed = lifecycle.attempts.score_fields

    def merged_meanwhile(*args):
        monkeypatch.setattr(lifecycle.attempts, "score_fields", computed)
        teams.merge(offer, jiho)
        return computed(*args)

    monkeypatch.setattr(lifecycle.attempts, "score_fields", merged_meanwhile)
    report = factories.report(contest=contest, accuracy=0.36)
    lifecycle.record(running.pk, running.attempt, report)
    running.refresh_from_db()
    assert running.score.team == offer.team
    board = ranking.board(contest)
    assert [(e.entrant, e.submissions) for e in board.entries] == [("First", 3)]
