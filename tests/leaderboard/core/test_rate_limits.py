"""Tokens have scopes and an expiry; requests are limited."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now
from redis.exceptions import ConnectionError as NoValkey

from leaderboard.accounts import tokens
from leaderboard.core import rate_limits
from leaderboard.models import ApiToken, Worker
from tests import factories

pytestmark = pytest.mark.django_db
EN = {"Accept-Language": "en"}


@pytest.fixture
def contest():
    return factories.contest()


def bearer(token):
    return {"Authorization": f"Bearer {token}", **EN}


def read(client, token):
    return client.get("/api/me", headers=bearer(token))


def submit(client, token):
    archive = SimpleUploadedFile("model.zip", b"x")
    return client.post(
        "/api/contests/demo/submissions", {"archive": archive}, headers=bearer(token)
    )


@pytest.mark.parametrize(
    ("scopes", "may_read", "may_submit"),
    [(["read"], 200, 403), (["submit"], 403, 201), (["read", "submit"], 200, 201), ([], 403, 403)],
)
def test_scopes_do_not_imply_each_other(client, contest, scopes, may_read, may_submit):
    user = factories.user()
    factories.team(contest=contest, captain=user)
    token = tokens.issue_token(user, "x", scopes=scopes)
    answers = [read(client, token), submit(client, token)]
    assert [answer.status_code for answer in answers] == [may_read, may_submit]
    for answer in answers:
        if answer.status_code == 403:
            assert answer.json()["code"] == "TOKEN_SCOPE"
            assert answer.json()["hint"]


def test_an_upload_needs_a_token_that_may_submit(client, contest):
    token = tokens.issue_token(factories.user(), "x", scopes=["read"])
    answer = client.post("/api/uploads/", headers=bearer(token) | {"Tus-Resumable": "1.0.0"})
    assert (answer.status_code, answer.json()["code"]) == (403, "TOKEN_SCOPE")


def test_expired_and_revoked_tokens_say_so(client):
    user = factories.user()
    token = tokens.issue_token(user, "x", days=30)
    assert read(client, token).status_code == 200
    ApiToken.objects.update(expires=Now() - timedelta(seconds=1))
    answer = read(client, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_EXPIRED")
    ApiToken.objects.update(revoked=Now())
    assert read(client, token).json()["code"] == "TOKEN_REVOKED"
    assert read(client, "pbt_unknown").json()["code"] == "UNAUTHENTICATED"


def test_switched_off_account_has_no_tokens(client):
    user = factories.user()
    token = tokens.issue_token(user, "x")
    type(user).objects.update(is_active=False)
    assert read(client, token).status_code == 401


def test_last_use_is_kept_to_the_minute(client, django_assert_num_queries):
    token = tokens.issue_token(factories.user(), "x")
    assert ApiToken.objects.get().last_used is None
    read(client, token)
    used = ApiToken.objects.get().last_used
    assert used is not None
    read(client, token)
    assert ApiToken.objects.get().last_used == used


def test_workers_token_is_none_of_these(client, contest):
    _, token = Worker.issue("pbw", name="gpu-9")
    assert read(client, token).status_code == 401
    mine = tokens.issue_token(factories.user(), "x")
    body = {"worker": "x", "device": "cpu", "contests": {}}
    for path, asked in (("/api/worker/claim", body),):
        answer = client.post(path, asked, content_type="application/json", headers=bearer(mine))
        assert answer.status_code == 401


def test_token_form_makes_what_was_chosen(client):
    user = factories.user()
    client.force_login(user)
    form = {"name": "laptop", "scopes": ["read"], "days": "30"}
    assert "pbt_" in client.post("/account/", form).content.decode()
    row = ApiToken.objects.get()
    left = row.expires - row.created
    assert row.scopes == ["read"]
    assert timedelta(days=29, hours=23) < left < timedelta(days=30, minutes=1)
    for wrong in ({"scopes": []}, {"scopes": ["everything"]}, {"days": "31"}, {"name": ""}):
        assert "errorlist" in client.post("/account/", form | wrong).content.decode()
    assert ApiToken.objects.count() == 1


def test_too_many_requests_of_one_token_get_429_in_the_one_shape(client, settings):
    settings.API_LIMITS = settings.API_LIMITS | {"person": 3}
    token, other = (tokens.issue_token(factories.user(), "x") for _ in range(2))
    left = [read(client, token).headers["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    answer = read(client, token)
    assert answer.status_code == 429
    assert set(answer.json()) == {"code", "message", "hint"}
    assert answer.json()["code"] == "RATE_LIMITED"
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert "Content-Security-Policy" in answer.headers
    assert read(client, other).status_code == 200


def test_guessing_tokens_is_limited_by_address(client, settings):
    settings.API_LIMITS = settings.API_LIMITS | {"address": 4}
    answers = [read(client, f"pbt_guess{number}").status_code for number in range(6)]
    assert answers == [401, 401, 401, 401, 429, 429]


def test_a_token_that_is_not_good_lifts_no_limit(client, settings):
    settings.API_LIMITS = settings.API_LIMITS | {"anonymous": 2}
    answers = [read(client, f"pbt_guess{number}").status_code for number in range(3)]
    assert answers == [401, 401, 429]
    token = tokens.issue_token(factories.user(), "x")
    assert read(client, token).status_code == 200
    ApiToken.objects.update(revoked=Now())
    assert read(client, token).status_code == 429


def test_many_people_behind_one_address_create_side_by_side(client, settings, contest):
    settings.API_LIMITS = settings.API_LIMITS | {"create": 1, "anonymous": 1}
    for number in range(3):
        user = factories.user()
        if number % 2:
            client.logout()
            answer = submit(client, tokens.issue_token(user, "x"))
        else:
            client.force_login(user)
            answer = client.post("/api/uploads/", headers={"Tus-Resumable": "1.0.0"})
        assert answer.status_code not in (401, 429), number


@pytest.mark.parametrize(("address", "last"), [("10.1.2.3", 401), ("10.2.2.3", 429)])
def test_limits_per_address_do_not_apply_on_site(client, settings, address, last):
    settings.ONSITE_NETWORKS = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    settings.API_LIMITS = settings.API_LIMITS | {"address": 2, "anonymous": 2, "create": 2}
    answers = [
        client.get("/api/me", headers=bearer(f"pbt_guess{number}"), REMOTE_ADDR=address)
        for number in range(4)
    ]
    assert [answer.status_code for answer in answers] == [401, 401, last, last]


def test_limits_per_person_apply_on_site(client, settings):
    settings.ONSITE_NETWORKS = [ip_network("127.0.0.0/8")]
    settings.API_LIMITS = settings.API_LIMITS | {"person": 2}
    token = tokens.issue_token(factories.user(), "x")
    assert [read(client, token).status_code for _ in range(3)] == [200, 200, 429]


def test_several_tokens_of_one_person_share_its_limit(client, settings):
    settings.API_LIMITS = settings.API_LIMITS | {"person": 2}
    user = factories.user()
    answers = [read(client, tokens.issue_token(user, f"t{n}")).status_code for n in range(3)]
    assert answers == [200, 200, 429]


def test_creating_is_limited_more_strictly(client, settings, contest):
    settings.API_LIMITS = settings.API_LIMITS | {"create": 1}
    token = tokens.issue_token(factories.user(), "x")
    assert submit(client, token).status_code == 403
    assert submit(client, token).status_code == 429
    assert read(client, token).status_code == 200


def test_bytes_of_an_upload_and_workers_are_not_counted(client, settings):
    settings.API_LIMITS = dict.fromkeys(settings.API_LIMITS, 1)
    for _ in range(3):
        assert client.patch("/api/uploads/none").status_code != 429
        assert client.post("/api/worker/claim").status_code == 401
    assert client.get("/healthz").status_code == 200


def test_the_next_window_begins_anew(monkeypatch):
    now = 1_000_000.0
    monkeypatch.setattr(rate_limits.time, "time", lambda: now)
    assert [rate_limits.take("t", "me", 2).left for _ in range(3)] == [1, 0, -1]
    assert rate_limits.take("t", "somebody else", 2).left == 1
    now += 60
    assert rate_limits.take("t", "me", 2).left == 1


def test_without_valkey_nobody_is_turned_away(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise NoValkey("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(type(cache._connections["default"]), "add", refuse)
        assert [rate_limits.take("t", "me", 1).is_over for _ in range(3)] == [False] * 3
    rate_limits.take("t", "me", 1)
    assert rate_limits.take("t", "me", 1).is_over


def test_pages_that_create_have_a_limit_and_a_page_for_it(client):
    client.force_login(factories.user())
    form = {"name": "x", "scopes": ["read"], "days": "0"}
    statuses = [client.post("/account/", form).status_code for _ in range(20)]
    assert set(statuses) == {200}
    answer = client.post("/account/", form, headers=EN)
    assert answer.status_code == 429
    assert "Too many attempts" in answer.content.decode()
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/account/").status_code == 200
    assert ApiToken.objects.count() == 20
