"""The gates of an entry: one order for every route."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from grader.assets import hub as the_hub
from leaderboard import uploads
from leaderboard.accounts import tokens
from leaderboard.core.errors import Refused
from leaderboard.models import Check, Contest, Ruling, Submission
from leaderboard.submissions import admission, dry_run, quota
from tests import factories
from tests.leaderboard.uploads.tus import Tus

pytestmark = pytest.mark.django_db
CONTENT = b"entered before"


@pytest.fixture
def contest():
    """Two submissions a day; archives up to 99 bytes."""
    row = factories.contest()
    source = row.version.source.replace("submissions_per_day = 20", "submissions_per_day = 2")
    source = source.replace("104_857_600", "99")
    type(row.version).objects.filter(pk=row.version_id).update(source=source)
    return Contest.objects.select_related("version").get(pk=row.pk)


@pytest.fixture
def captain(contest):
    """Captain of a team that has used up its quota and has been disqualified."""
    user = factories.user()
    team = factories.team(contest=contest, captain=user)
    for content in (CONTENT, b"another"):
        factories.entered(contest=contest, user=user, content=content)
    factories.ruling(Ruling.Kind.DISQUALIFIED, team=team)
    return user


def shut(settings, contest, user):
    """Opens every gate that can be opened, except those that ``captain`` has closed."""
    for n in range(admission.MOST_UNFINISHED):
        about = uploads.UploadRequest(size_bytes=9, name=f"{n}.tar", kind="reference")
        uploads.create(contest, user, about)
    Contest.objects.filter(pk=contest.pk).update(is_open=False)
    settings.DISK_RESERVE_BYTES = 1 << 60
    settings.CHECKS_PER_HOUR = 0
    for _ in range(admission.MOST_WAITING_CHECKS):
        dry_run.waiting(user=user, contest=contest, name="m.tar", size_bytes=1)


@pytest.mark.parametrize("only_check", [False, True])
def test_the_order_of_the_gates(settings, contest, captain, only_check):
    shut(settings, contest, captain)
    team = captain.memberships.get().team
    known = {"team": None, "size_bytes": 0, "sha256": Submission.objects.first().archive_sha256}

    def answer():
        row = Contest.objects.select_related("version").get()
        request = admission.EntryRequest(contest=row, user=captain, only_check=only_check, **known)
        try:
            admission.admit(request)
        except Refused as refused:
            return refused.code
        return "admitted"

    opened = [
        ("UPLOAD_NO_TEAM", lambda: known.update(team=team)),
        ("UPLOAD_CLOSED", lambda: Contest.objects.update(is_open=True)),
        ("UPLOAD_EMPTY", lambda: known.update(size_bytes=100)),
        ("UPLOAD_TOO_LARGE", lambda: known.update(size_bytes=9)),
        ("UPLOAD_DISK_FULL", lambda: setattr(settings, "DISK_RESERVE_BYTES", 0)),
        ("UPLOAD_SAME", lambda: known.update(sha256="0" * 64)),
        ("UPLOAD_DISQUALIFIED", lambda: Ruling.objects.update(lifted=timezone.now())),
        ("UPLOAD_QUOTA", lambda: quota.grant(team, 9, by=captain, reason="test")),
        ("UPLOAD_TOO_MANY", lambda: captain.uploads.filter(submission=None).delete()),
        ("UPLOAD_CHECKS", lambda: Check.objects.all().delete()),
        ("UPLOAD_CHECKS", lambda: setattr(settings, "CHECKS_PER_HOUR", 9)),
    ]
    passes = (
        {"UPLOAD_SAME", "UPLOAD_DISQUALIFIED", "UPLOAD_QUOTA"} if only_check else {"UPLOAD_CHECKS"}
    )
    for code, open_gate in opened:
        if code not in passes:
            assert answer() == code
        open_gate()
    assert answer() == "admitted"


def test_nothing_is_asked_of_a_contest_that_is_final_but_whose_team_it_is(
    settings, contest, captain
):
    shut(settings, contest, captain)
    Contest.objects.update(finalised_at=timezone.now())
    team = captain.memberships.get().team
    for who, code in ((None, "UPLOAD_NO_TEAM"), (team, "CONTEST_FINAL")):
        request = admission.EntryRequest(contest=contest, user=captain, team=who, size_bytes=0)
        with pytest.raises(Refused, match=code):
            admission.admit(request)
    organisers = {"contest": contest, "user": captain, "team": None}
    with pytest.raises(Refused, match="CONTEST_FINAL"):
        admission.admit(admission.EntryRequest(**organisers, kind="reference"))
    admission.admit(admission.EntryRequest(**organisers, kind="selftest"))


WAYS = ("form", "api", "tus", "hub form", "hub api")
# What is closed, and the answer of every route.
CASES = {
    "no team, closed, day used up": ("no team closed", "UPLOAD_NO_TEAM"),
    "closed, disqualified, day used up": ("closed", "UPLOAD_CLOSED"),
    "disqualified, day used up": ("", "UPLOAD_DISQUALIFIED"),
    "day used up": ("reinstated", "UPLOAD_QUOTA"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_every_way_in_answers_the_same(client, monkeypatch, contest, captain, way, case):
    shown, code = CASES[case]
    monkeypatch.setattr(the_hub, "pin", lambda *_, **__: pytest.fail("the Hub was asked"))
    user = factories.user() if "no team" in shown else captain
    if "closed" in shown:
        Contest.objects.update(is_open=False)
    if "reinstated" in shown:
        Ruling.objects.update(lifted=timezone.now())
    before = Submission.objects.count()
    answer = enter(client, user, way)
    if "no team" in shown and "form" in way:  # the page leads to creating a team
        assert answer.status_code == 302 and answer.url == "/contests/demo/team/"
    else:
        assert code in answer.content.decode()
    assert Submission.objects.count() == before


def enter(client, user, way):
    bearer = {"Authorization": f"Bearer {tokens.issue_token(user, 'x')}"}
    archive = SimpleUploadedFile("m.tar", b"new")
    if way == "tus":
        return Tus(client, user).create(9)
    if way == "api":
        path = "/api/contests/demo/submissions"
        return client.post(path, {"archive": archive}, headers=bearer)
    if way == "hub api":
        return client.post(
            "/api/contests/demo/submissions/hub", {"repo": "team/model"},
            content_type="application/json", headers=bearer,
        )  # fmt: skip
    client.force_login(user)
    if way == "form":
        return client.post("/contests/demo/submit/", {"archive": archive})
    return client.post("/contests/demo/submit/hub/", {"repo": "team/model"})


def test_an_archive_in_one_form_that_is_refused_at_the_end_leaves_nothing(
    settings, monkeypatch, contest
):
    """The gate closes while the bytes are stored."""
    user = factories.user()
    factories.team(contest=contest, captain=user)
    append = uploads.session.append

    def slow(*args):
        append(*args)
        monkeypatch.setattr(admission.phases, "accepts", lambda *_: None)

    monkeypatch.setattr(uploads.session, "append", slow)
    with pytest.raises(Refused, match="UPLOAD_CLOSED"):
        factories.entered(contest=contest, user=user, content=b"x")
    assert not user.uploads.exists() and not Submission.objects.exists()
    assert [p for p in settings.HOME.rglob("*") if p.is_file()] == []
