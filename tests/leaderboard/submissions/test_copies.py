"""Staff see which teams entered the same checkpoint, and when; nobody else does."""

from __future__ import annotations

import pytest
from django.utils.timezone import localtime

from leaderboard.models import Submission
from leaderboard.submissions import copies
from tests import factories

pytestmark = pytest.mark.django_db
HUB = {"repo": "someone/model", "revision": "main", "commit": "0" * 40, "files": []}


@pytest.fixture
def contest():
    return factories.contest()


def entry(contest, team, *, seed, content, hub=None):
    facts = factories.facts(seed=seed)
    found = factories.submission(contest=contest, team=team, content=content)
    factories.checked(evaluation=found, checkpoint=facts)
    Submission.objects.filter(pk=found.submission_id).update(hub=hub or {})
    return found.submission


def test_what_entries_of_several_teams_have_in_common(contest):
    one, two = factories.team(contest=contest), factories.team(contest=contest)
    first = entry(contest, one, seed=1, content=b"a")
    entry(contest, one, seed=2, content=b"b")
    again = entry(contest, one, seed=2, content=b"c")  # a repeat of one team is no copy
    same = entry(contest, two, seed=1, content=b"d")
    bytes_ = entry(contest, two, seed=3, content=b"c")
    hub = [entry(contest, t, seed=9 + t.pk, content=b"%d" % t.pk, hub=HUB) for t in (one, two)]
    found = [(group.kind, [e.pk for e in group.entries]) for group in copies.of_contest(contest)]
    assert found == [
        (copies.Kind.CONTENT, [first.pk, same.pk]),
        (copies.Kind.UPLOAD, [again.pk, bytes_.pk]),
        (copies.Kind.REPOSITORY, [e.pk for e in hub]),
    ]


def test_a_contest_without_copies(contest):
    for seed in (1, 2):
        entry(contest, factories.team(contest=contest), seed=seed, content=b"%d" % seed)
    assert copies.of_contest(contest) == []


def test_the_page_names_both_teams_and_the_times(client, contest):
    teams = [factories.team(contest=contest, name=name) for name in ("Alpha", "Beta")]
    entries = [entry(contest, team, seed=1, content=team.name.encode()) for team in teams]
    client.force_login(factories.user(is_staff=True))
    for language, words in (("en", "the same weights and config"), ("ko", "가중치와 설정이 같음")):
        client.cookies["django_language"] = language
        page = client.get("/desk/contests/demo/copies/").content.decode()
        assert words in page
        for team, found in zip(teams, entries, strict=True):
            assert team.name in page and f"#{found.pk}" in page
            assert f"{localtime(found.created):%Y-%m-%d %H:%M:%S}" in page
