"""From an event to a message: written with it, sent once, retried, given up in the end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone, translation

from grader.problems.catalogue import Problem
from leaderboard import lifecycle, notifications
from leaderboard.models import Delivery, Evaluation, Profile, Webhook
from leaderboard.notifications import network, webhook
from leaderboard.operations import sweeper
from tests import factories
from tests.leaderboard.notifications.receiver import receiver

pytestmark = pytest.mark.django_db
EVERY = ["scored", "rejected", "failed", "rescored"]


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def team(contest):
    return factories.team(contest=contest, captain=factories.user(name="mina"), name="Hangang")


def subscribe(team, kinds=EVERY):
    team.memberships.update(mail_kinds=kinds)


def hook(team, url, kinds=EVERY):
    return Webhook.objects.create(team=team, url=url, secret=webhook.new_secret(), kinds=kinds)


def in_english(row):
    with translation.override("en"):
        return row.answer


def is_told_in_korean(row):
    with translation.override("ko"):
        return row.answer != in_english(row) and re.search("[가-힣]", row.answer)


def due(row):
    Delivery.objects.filter(pk=row.pk).update(not_before=Now() - timedelta(seconds=1))


def test_nobody_asked_nobody_is_told(contest, team):
    factories.scored(contest=contest, team=team)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("kind", ["scored", "rejected", "failed"])
def test_every_ending_writes_one_row_per_target(contest, team, kind):
    subscribe(team)
    hook(team, "https://hooks.example.org/x")
    if kind == "failed":
        evaluation = factories.submission(contest=contest, team=team)
        assert lifecycle.give_up_check(evaluation.pk, Problem("SYS_CHECK_CRASHED"))
    else:
        evaluation = getattr(factories, kind)(contest=contest, team=team)
    rows = Delivery.objects.order_by("channel")
    assert [(row.channel, row.kind, row.target) for row in rows] == [
        ("mail", kind, "mina@example.org"),
        ("webhook", kind, "https://hooks.example.org/x"),
    ]
    data = rows[1].event["data"]
    assert rows[1].event["type"] == f"submission.{kind}"
    assert (data["submission"], data["status"]) == (evaluation.submission_id, kind)
    assert (data["score"] is not None) == (kind == "scored")
    assert [p["code"] for p in data["problems"]] == {
        "scored": [],
        "rejected": ["LAYOUT_MISSING_CONFIG"],
        "failed": ["SYS_CHECK_CRASHED"],
    }[kind]


def test_only_what_was_asked_for(contest, team):
    subscribe(team, ["rejected"])
    factories.scored(contest=contest, team=team)
    assert not Delivery.objects.exists()
    factories.rejected(contest=contest, team=team)
    assert Delivery.objects.get().kind == "rejected"


def test_withdrawn_and_organisers_entries_tell_nobody(contest, team):
    subscribe(team)
    assert lifecycle.cancel(factories.submission(contest=contest, team=team).pk, by="mina")
    factories.scored(contest=contest, kind="base", title="base")
    assert not Delivery.objects.exists()


def test_a_measurement_that_does_not_count_yet_tells_nobody(contest, team):
    subscribe(team)
    evaluation = factories.submission(contest=contest, team=team)
    Evaluation.objects.filter(pk=evaluation.pk).update(is_current=False)
    assert lifecycle.fail_check(evaluation.pk, [Problem("LAYOUT_MISSING_CONFIG")])
    assert not Delivery.objects.exists()


def test_row_and_ending_stand_or_fall_together(contest, team):
    subscribe(team)
    evaluation = factories.submission(contest=contest, team=team)
    with pytest.raises(RuntimeError), transaction.atomic():
        assert lifecycle.fail_check(evaluation.pk, [Problem("LAYOUT_MISSING_CONFIG")])
        assert Delivery.objects.count() == 1
        raise RuntimeError
    assert not Delivery.objects.exists()


def test_the_same_thing_is_told_once(contest, team):
    subscribe(team)
    evaluation = factories.scored(contest=contest, team=team)
    for _ in range(2):
        notifications.tell(
            team, "rescored", key="batch/1", evaluation=evaluation, before=0.6, after=0.61
        )
    assert Delivery.objects.filter(kind="rescored").count() == 1
    notifications.tell(team, "rescored", key="batch/2", evaluation=evaluation)
    assert Delivery.objects.filter(kind="rescored").count() == 2


def test_many_teams_are_told_in_as_few_statements_as_one(contest, team, django_assert_num_queries):
    teams = [team, *(factories.team(contest=contest) for _ in range(4))]
    for each in teams[:4]:
        subscribe(each)
        hook(each, f"https://hooks.example.org/{each.pk}")
    for number in (1, 5):
        news = [notifications.News(one, f"batch/{number}/{one.pk}") for one in teams[:number]]
        with django_assert_num_queries(5):  # members, webhooks, and one INSERT in a savepoint
            told = notifications.tell_teams("rescored", news)
        assert told == 2 * min(number, 4)
    last = Delivery.objects.filter(key=f"batch/5/{teams[3].pk}")
    assert {row.event["data"]["team"]["id"] for row in last} == {teams[3].pk}
    assert {row.target for row in last} == {
        f"https://hooks.example.org/{teams[3].pk}",
        teams[3].memberships.get().user.email,
    }


def test_doorbell_is_rung_on_commit(contest, team, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr("leaderboard.core.doorbell.enqueue_delivery", lambda: rung.append(1))
    subscribe(team)
    with django_capture_on_commit_callbacks(execute=True):
        notifications.tell(team, "test", key="test/1")
        assert rung == []
    subscribe(team, [*EVERY, "test"])
    with django_capture_on_commit_callbacks(execute=True):
        notifications.tell(team, "test", key="test/1")
        assert rung == []
    assert rung == [1]


@pytest.mark.parametrize(
    ("language", "words"),
    [("ko", ["채점", "Hangang"]), ("en", ["has been graded", "Hangang"])],
)
def test_mail_is_in_the_receivers_language(contest, team, language, words):
    subscribe(team)
    Profile.objects.create(user=team.memberships.get().user, language=language)
    evaluation = factories.scored(contest=contest, team=team)
    notifications.deliver()
    (sent,) = mail.outbox
    assert sent.to == ["mina@example.org"]
    for word in [
        *words,
        f"{evaluation.score.value:.4f}",
        f"/submissions/{evaluation.submission_id}/",
    ]:
        assert word in sent.body
    assert f"#{evaluation.submission_id}" in sent.subject
    assert "\n" not in sent.subject
    assert Delivery.objects.get().status == "sent"


@pytest.mark.parametrize("kind", ["rejected", "failed", "rescored", "test"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_kind_has_words_in_both_languages(contest, team, kind, language):
    subscribe(team, [kind])
    Profile.objects.create(user=team.memberships.get().user, language=language)
    evaluation = factories.rejected(contest=contest, team=team) if kind == "rejected" else None
    if kind == "rescored":
        evaluation = factories.scored(contest=contest, team=team)
    if kind == "failed":
        evaluation = factories.submission(contest=contest, team=team)
        lifecycle.give_up_check(evaluation.pk, Problem("SYS_CHECK_CRASHED"))
    notifications.tell(
        team, kind, key="x", evaluation=evaluation, before=0.5, reason="wrong weights"
    )
    while notifications.are_due():
        notifications.deliver()
    body = mail.outbox[-1].body
    assert ("팀 페이지" in body) == (language == "ko")
    if kind == "rejected":
        assert "LAYOUT_MISSING_CONFIG" in body
    if kind == "rescored":
        assert "0.5000" in body and "wrong weights" in body


def test_mail_server_that_is_down_is_tried_again_later(contest, team, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    subscribe(team)
    factories.scored(contest=contest, team=team)
    notifications.deliver()
    row = Delivery.objects.get()
    assert (row.status, row.tries) == ("waiting", 1)
    assert "refused" in row.answer
    assert not notifications.are_due()


def test_webhook_is_signed_as_standard_webhooks_says(contest, team, settings):
    settings.WEBHOOKS_TO_PRIVATE = True
    with receiver() as server:
        mine = hook(team, server.url)
        evaluation = factories.scored(contest=contest, team=team)
        notifications.deliver()
        ((path, headers, body),) = server.got
    row = Delivery.objects.get()
    assert (path, row.status, row.answer) == ("/hook", "sent", "HTTP 204")
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["webhook-id"] == f"msg_{row.uid.hex}"
    key = base64.b64decode(mine.secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(body)["data"]["submission"] == evaluation.submission_id


def test_signature_agrees_with_the_example_of_the_specification():
    """standard-webhooks/spec: the published test vector."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert (
        webhook.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_failing_webhook_is_tried_with_growing_pauses_and_given_up(contest, team, settings):
    settings.WEBHOOKS_TO_PRIVATE = True
    with receiver(status=500) as server:
        hook(team, server.url)
        factories.scored(contest=contest, team=team)
        row, pauses = Delivery.objects.get(), []
        while row.status == "waiting":
            due(row)
            notifications.deliver()
            now = Delivery.objects.filter(pk=row.pk).annotate(now=Now()).get()
            pauses.append((now.not_before - now.now).total_seconds())
            row.refresh_from_db()
    assert (row.status, row.answer) == ("given_up", "HTTP 500")
    assert len(server.got) == len(notifications.PAUSES_S) + 1
    assert pauses[:6] == sorted(pauses[:6])
    assert len({headers["webhook-id"] for _, headers, _ in server.got}) == 1


def test_address_in_other_letters_is_sent_to_in_ascii(contest, team, settings, monkeypatch):
    settings.WEBHOOKS_TO_PRIVATE = True
    asked, real = [], network.Guarded.connect_tcp

    def here(self, host, port, *args, **options):
        asked.append((host, port))
        return real(self, "127.0.0.1", port, *args, **options)

    monkeypatch.setattr(network.Guarded, "connect_tcp", here)
    with receiver() as server:
        hook(team, f"http://예시.한국:{server.server_port}/웹훅?q=값")
        factories.scored(contest=contest, team=team)
        notifications.deliver()
        ((path, headers, _),) = server.got
    assert Delivery.objects.get().status == "sent"
    host = "xn--vv4b11d.xn--3e0b707e"
    assert asked == [(host, server.server_port)]
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["host"] == f"{host}:{server.server_port}"
    assert path == "/%EC%9B%B9%ED%9B%85?q=%EA%B0%92"


def test_a_fault_of_ours_is_counted_given_up_and_holds_up_no_other(
    contest, team, monkeypatch, caplog
):
    rung = []
    monkeypatch.setattr("leaderboard.core.doorbell.enqueue_delivery", lambda: rung.append(1))
    monkeypatch.setattr(webhook, "send", lambda row: {}["nobody thought of it"])
    hook(team, "https://hooks.example.org/x")
    factories.scored(contest=contest, team=team)
    subscribe(team)
    factories.scored(contest=contest, team=team)
    notifications.deliver()
    assert rung == [1]  # for the next one
    row = Delivery.objects.get(tries=1)
    assert (row.status, in_english(row)) == ("waiting", "the site could not send it")
    assert is_told_in_korean(row)
    assert caplog.records[-1].exc_info
    for _ in notifications.PAUSES_S:
        due(row)
        Delivery.objects.exclude(pk=row.pk).delete()
        notifications.deliver()
    row.refresh_from_db()
    assert row.status == "given_up"


def test_dead_deliverer_loses_nothing(contest, team, monkeypatch):
    subscribe(team)
    factories.scored(contest=contest, team=team)

    def die(row):
        raise SystemExit

    monkeypatch.setattr("leaderboard.notifications.mail.send", die)
    with pytest.raises(SystemExit):
        notifications.deliver()
    monkeypatch.undo()
    due(Delivery.objects.get())
    notifications.deliver()
    assert Delivery.objects.get().status == "sent"


def test_sweeper_rings_for_what_is_due(contest, team, monkeypatch):
    rung = []
    monkeypatch.setattr("leaderboard.core.doorbell.enqueue_delivery", lambda: rung.append(1))
    sweeper.sweep()
    assert rung == []
    subscribe(team)
    factories.scored(contest=contest, team=team)
    sweeper.sweep()
    assert rung == [1]


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("https://127.0.0.1/x", "private network"),
        ("https://localhost:9/x", "private network"),
        ("https://[::1]/x", "private network"),
        ("http://8.8.8.8/x", "https"),
        ("https://hooks..example.org/x", "no address"),  # stored before such URLs were refused
    ],
)
def test_forbidden_address_is_given_up_at_once(contest, team, url, answer):
    hook(team, url)
    factories.scored(contest=contest, team=team)
    notifications.deliver()
    row = Delivery.objects.get()
    assert (row.status, row.tries) == ("given_up", 1)
    assert answer in in_english(row)
    assert is_told_in_korean(row)


def test_redirect_is_not_followed(contest, team, settings):
    settings.WEBHOOKS_TO_PRIVATE = True
    with receiver() as inner, receiver(status=302, headers=[("Location", inner.url)]) as outer:
        hook(team, outer.url)
        factories.scored(contest=contest, team=team)
        notifications.deliver()
        assert (len(outer.got), len(inner.got)) == (1, 0)
    assert Delivery.objects.get().answer == "HTTP 302"


@pytest.mark.parametrize("how", [{"pause_s": 1.0}, {"trickle": True}])
def test_slow_receiver_is_left_alone(contest, team, settings, monkeypatch, how):
    settings.WEBHOOKS_TO_PRIVATE = True
    monkeypatch.setattr(webhook, "SECONDS", 0.4)
    with receiver(**how) as server:
        hook(team, server.url)
        factories.scored(contest=contest, team=team)
        notifications.deliver()
    row = Delivery.objects.get()
    assert (row.status, in_english(row)) == ("waiting", "no answer within 0 s")
    assert is_told_in_korean(row)


def test_endless_answer_is_not_read(contest, team, settings):
    settings.WEBHOOKS_TO_PRIVATE = True
    with receiver(status=200, body=b"x" * (32 << 20)) as server:
        hook(team, server.url)
        factories.scored(contest=contest, team=team)
        notifications.deliver()
        assert Delivery.objects.get().status == "sent"
    assert server.cut_off


def test_receiver_that_is_gone_for_good_is_not_asked_again(contest, team, settings):
    settings.WEBHOOKS_TO_PRIVATE = True
    with receiver(status=410) as server:
        hook(team, server.url)
        factories.scored(contest=contest, team=team)
        notifications.deliver()
    assert Delivery.objects.get().status == "given_up"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://hooks.example.org/x?y=1", ""),
        ("https://hooks.example.org:8443/", ""),
        ("http://hooks.example.org/", "WEBHOOK_HTTPS"),
        ("ftp://hooks.example.org/", "WEBHOOK_HTTPS"),
        ("https://", "WEBHOOK_ADDRESS"),
        ("https://user:secret@hooks.example.org/", "WEBHOOK_ADDRESS"),
        ("https://hooks.example.org/#part", "WEBHOOK_ADDRESS"),
        ("https://예시.한국/웹훅", ""),
        ("https://[2001:db8::1]:8443/", ""),
        ("https://[::1", "WEBHOOK_ADDRESS"),
        ("https://hooks.example.org:99999/", "WEBHOOK_ADDRESS"),
        ("https://hooks..example.org/", "WEBHOOK_ADDRESS"),
    ],
)
def test_fault_of_an_address_is_found_before_it_is_stored(url, fault):
    assert webhook.find_fault(url) == fault


def test_what_was_told_long_ago_is_forgotten_and_what_waits_is_not(contest):
    team = factories.team(contest=contest)
    for key, ended in (("old", timedelta(days=91)), ("new", timedelta(days=89)), ("waiting", None)):
        Delivery.objects.create(
            team=team, kind=Delivery.Kind.TEST, key=key, channel="mail", target="a@example.org",
            ended=timezone.now() - ended if ended else None,
        )  # fmt: skip
    notifications.forget_old()
    assert set(Delivery.objects.values_list("key", flat=True)) == {"new", "waiting"}
