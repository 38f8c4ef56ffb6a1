"""Sign-up, login, logout, addresses and passwords; nobody can find out who has an account or keep guessing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from leaderboard.models import Profile
from tests import factories

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[3]
EN = {"Accept-Language": "en"}


@pytest.fixture(autouse=True)
def _verified(settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


def sign_up(client, name="newcomer", email="newcomer@example.org", **more):
    data = {"username": name, "email": email, "password1": factories.PASSWORD, **more}
    return client.post("/signup/", data, headers=EN)


def log_in(client, login, password=factories.PASSWORD):
    return client.post("/login/", {"login": login, "password": password}, headers=EN)


def is_logged_in(client):
    return "_auth_user_id" in client.session


def link_of(message):
    return re.search(r"https?://[^/\s]+(/\S+)", message.body)[1]


def verified(**kwargs):
    user = factories.user(**kwargs)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def test_account_opens_when_its_address_is_confirmed(client):
    assert sign_up(client).headers["Location"] == "/confirm-email/"
    assert not is_logged_in(client)
    (sent,) = mail.outbox
    assert sent.to == ["newcomer@example.org"]
    link = link_of(sent)
    assert "Yes, it is mine" in client.get(link, headers=EN).content.decode()
    assert not EmailAddress.objects.get().verified, (
        "a mail scanner that opens links confirms nothing"
    )
    client.post(link)
    assert EmailAddress.objects.get().verified
    assert is_logged_in(client)


def test_nobody_gets_in_before(client):
    sign_up(client)
    assert log_in(client, "newcomer").headers["Location"] == "/confirm-email/"
    assert not is_logged_in(client)
    assert client.get("/account/").headers["Location"].startswith("/login/")


def test_without_a_mail_server_one_may_start_at_once(client, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    assert sign_up(client).headers["Location"] == "/"
    assert is_logged_in(client)


def test_sign_up_does_not_tell_a_known_address_from_another(client, settings, django_user_model):
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    verified(name="owner")
    known = sign_up(client, name="curious", email="owner@example.org")
    client.logout()
    unknown = sign_up(client, name="another", email="nobody@example.org")
    assert (known.status_code, known.headers["Location"]) == (302, "/")
    assert (unknown.status_code, unknown.headers["Location"]) == (302, "/")
    assert not EmailAddress.objects.filter(user__username="curious", verified=True).exists()


@pytest.mark.parametrize("name", ["Mina", "mіna", "ｍｉｎａ", "rnina", "mi\u200bna", "\u3164"])
def test_nobody_signs_up_under_a_name_that_looks_like_anothers(client, name):
    factories.user(name="mina")
    assert sign_up(client, name=name).status_code == 200
    assert list(User.objects.values_list("username", flat=True)) == ["mina"]


def test_a_korean_name_may_be_a_user_name(client):
    factories.user(name="김민아")
    sign_up(client, name="김민지")
    assert User.objects.filter(username="김민지").exists()


def test_after_signing_up_one_comes_to_where_one_wanted_to_go(client, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    page = client.get("/signup/?next=/contests/demo/team/").content.decode()
    assert 'name="next" value="/contests/demo/team/"' in page
    response = sign_up(client, next="/contests/demo/team/")
    assert response.headers["Location"] == "/contests/demo/team/"
    elsewhere = sign_up(client.__class__(), "two", "two@example.org", next="https://evil.example/")
    assert elsewhere.headers["Location"] == "/"


def test_taken_address_looks_like_a_free_one_and_its_owner_is_told(client):
    owner = verified(name="owner")
    free = sign_up(client, "free", "free@example.org")
    taken = sign_up(client.__class__(), "taken", owner.email)
    assert (taken.status_code, taken.headers["Location"]) == (
        free.status_code,
        free.headers["Location"],
    )
    assert not User.objects.filter(username="taken").exists()
    assert mail.outbox[-1].to == [owner.email]
    assert "it already has an account" in " ".join(mail.outbox[-1].body.split())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"username": "OWNER"}, "already exists"),
        ({"username": "no spaces"}, "valid username"),
        ({"email": "nonsense"}, "valid email"),
        ({"password1": "12345678"}, "numeric"),
        ({"password1": "newcomer1"}, "similar"),
        ({"username": ""}, "required"),
    ],
)
def test_mistake_is_named_at_its_field(client, fields, words):
    verified(name="owner")
    response = sign_up(client, **fields)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert User.objects.count() == 1


def test_closed_sign_up_says_so(client, settings):
    settings.SIGN_UP_OPEN = False
    assert "Sign-up is closed" in client.get("/signup/", headers=EN).content.decode()
    sign_up(client)
    assert not User.objects.exists()


@pytest.mark.parametrize("login", ["mina", "mina@example.org", "MINA@example.org"])
def test_name_and_address_both_log_in(client, login):
    verified(name="mina")
    assert log_in(client, login).headers["Location"] == "/"
    assert is_logged_in(client)
    client.post("/logout/")
    assert not is_logged_in(client)


def test_logging_out_needs_a_post(client):
    verified(name="mina")
    log_in(client, "mina")
    client.get("/logout/")
    assert is_logged_in(client)


def test_guessing_is_stopped_even_with_the_right_password(client):
    verified(name="mina")
    verified(name="jiho")
    for _ in range(5):
        assert log_in(client, "mina", "wrong").status_code == 200
    response = log_in(client, "mina")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "300")
    assert "Too many failed login attempts" in response.content.decode()
    assert not is_logged_in(client)
    log_in(client, "jiho")
    assert is_logged_in(client), "another account is not locked with it"


def test_nobody_can_lock_another_out_from_elsewhere(client):
    verified(name="mina")
    for _ in range(5):
        log_in(Client(REMOTE_ADDR="10.9.9.9"), "mina", "wrong")
    assert log_in(Client(REMOTE_ADDR="10.9.9.9"), "mina").status_code == 429
    assert log_in(client, "mina").headers["Location"] == "/"


def test_on_site_many_people_log_in_from_one_address_and_none_guesses(client, settings):
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {
        "login": "3/m/ip",
        "login_failed": "3/m/ip,5/5m/key",
    }
    for number in range(5):
        verified(name=f"person{number}")
    hall = [Client() for _ in range(5)]
    answers = [log_in(one, f"person{n}", "wrong").status_code for n, one in enumerate(hall)]
    assert answers == [200, 200, 200, 429, 429]
    settings.ONSITE_NETWORKS = [ip_network("127.0.0.0/8")]
    for number, one in enumerate(hall):
        assert log_in(one, f"person{number}").headers["Location"] == "/"
    guesses = [log_in(client, "person0", "wrong").status_code for _ in range(6)]
    assert guesses[-1] == 429 and set(guesses[:4]) == {200}


def test_mail_about_an_account_names_the_address_on_site_too(client, settings):
    settings.ONSITE_NETWORKS = [ip_network("127.0.0.0/8")]
    verified(name="mina")
    log_in(client, "mina")
    new = {
        "oldpassword": factories.PASSWORD,
        "password1": "a longer horse",
        "password2": "a longer horse",
    }
    client.post("/password/change/", new, headers=EN)
    assert "from 127.0.0.1. If" in mail.outbox[-1].body


def test_flood_of_requests_gets_429_with_words(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"signup": "2/m/ip"}
    for number in range(2):
        sign_up(client, f"n{number}", f"n{number}@example.org")
    response = sign_up(client, "n3", "n3@example.org")
    assert response.status_code == 429
    assert "Wait a few minutes" in response.content.decode()


def test_behind_a_proxy_attempts_are_counted_per_visitor(client, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    settings.ACCOUNT_RATE_LIMITS = {"signup": "1/m/ip"}

    def come(forwarded, number):
        data = {"username": f"n{number}", "email": f"n{number}@example.org", "password1": "x"}
        return client.post("/signup/", data, headers={"X-Forwarded-For": forwarded}).status_code

    assert come("203.0.113.1", 1) == 200
    assert come("203.0.113.1", 2) == 429
    assert come("203.0.113.2", 3) == 200
    assert come("198.51.100.7, 203.0.113.1", 4) == 429, "what the visitor wrote is not believed"


def test_admin_has_no_door_of_its_own(client):
    response = client.get("/admin/login/?next=/admin/")
    assert response.headers["Location"].startswith("/login/?")
    factories.user(name="plain")
    client.force_login(User.objects.get())
    assert client.get("/admin/login/").status_code == 403


def test_password_reset_by_mail_ends_other_sessions(client):
    user = verified(name="mina")
    other = client.__class__()
    other.force_login(user)
    response = client.post("/password/reset/", {"email": user.email})
    assert response.headers["Location"] == "/password/reset/done/"
    page = client.get(link_of(mail.outbox[0]), follow=True)
    new = {"password1": "another long phrase", "password2": "another long phrase"}
    client.post(page.redirect_chain[-1][0], new)
    assert log_in(client, "mina", "another long phrase").headers["Location"] == "/"
    assert other.get("/account/").status_code == 302
    used = client.__class__().get(link_of(mail.outbox[0]), headers=EN).content.decode()
    assert "expired or was already used" in used


def test_password_reset_does_not_tell_who_has_an_account(client):
    verified(name="mina")
    answers = {
        client.post("/password/reset/", {"email": email}, headers=EN).headers["Location"]
        for email in ("mina@example.org", "nobody@example.org")
    }
    assert answers == {"/password/reset/done/"}
    assert "no account uses this address" in " ".join(mail.outbox[1].body.split())


def test_password_change_wants_the_old_one_and_is_told_by_mail(client):
    client.force_login(verified(name="mina"))
    new = {"password1": "another long phrase", "password2": "another long phrase"}
    refused = client.post("/password/change/", {"oldpassword": "wrong", **new}, headers=EN)
    assert "current password" in refused.content.decode()
    client.post("/password/change/", {"oldpassword": factories.PASSWORD, **new}, headers=EN)
    assert User.objects.get().check_password("another long phrase")
    assert is_logged_in(client)
    assert "password has been changed" in mail.outbox[0].body


def test_new_address_counts_once_it_is_confirmed(client):
    verified(name="mina")
    log_in(client, "mina")
    client.post("/reauthenticate/", {"password": factories.PASSWORD})
    client.post("/email/", {"action_add": "1", "email": "new@example.org"})
    assert User.objects.get().email == "mina@example.org"
    client.post(link_of(next(m for m in mail.outbox if m.to == ["new@example.org"])))
    assert User.objects.get().email == "new@example.org"
    assert EmailAddress.objects.get().email == "new@example.org"
    old = [m for m in mail.outbox if m.to == ["mina@example.org"]]
    assert old, "the old address hears of it"


def test_a_session_gives_the_password_again_before_it_changes_the_address(client):
    verified(name="mina")
    log_in(client, "mina")
    response = client.post("/email/", {"action_add": "1", "email": "new@example.org"})
    assert response.headers["Location"].startswith("/reauthenticate/")
    page = client.get("/reauthenticate/", headers=EN).content.decode()
    assert "enter your password again" in page
    client.post("/reauthenticate/", {"password": factories.PASSWORD})
    client.post("/email/", {"action_add": "1", "email": "new@example.org"})
    assert EmailAddress.objects.filter(email="new@example.org", verified=False).exists()


def test_mail_server_that_is_down_costs_no_account(client, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    response = client.post(
        "/signup/",
        {"username": "new", "email": "new@example.org", "password1": factories.PASSWORD},
        headers=EN,
        follow=True,
    )
    assert response.status_code == 200
    assert "could not be sent" in response.content.decode()
    assert User.objects.filter(username="new").exists()


def test_mails_are_in_the_language_of_the_page(client):
    korean = {"username": "a", "email": "a@example.org", "password1": factories.PASSWORD}
    client.post("/signup/", korean, headers={"Accept-Language": "ko"})
    assert re.search("[가-힣]", mail.outbox[0].subject)
    sign_up(client.__class__())
    assert not re.search("[가-힣]", mail.outbox[1].subject + mail.outbox[1].body)


def test_language_last_chosen_is_remembered(client):
    verified(name="mina")
    log_in(client, "mina")
    assert Profile.objects.get().language == "en"
    client.post("/i18n/setlang/", {"language": "ko", "next": "/"})
    assert Profile.objects.get().language == "ko"
    client.post("/i18n/setlang/", {"language": "xx", "next": "/"})
    assert Profile.objects.get().language == "ko"


PRODUCTION = {
    "SITE_URL": "https://contest.example.org",
    "ALLOWED_HOSTS": "contest.example.org",
    "SECRET_KEY": "k9#mQ2$vX7!pL4@wR8%tZ1^nB5&jH3*cF6(dG0)sK-aE+uY=iO",
    "BEHIND_PROXY": "1",
    "EMAIL_HOST": "mail.example.org",
}


def run(code_or_command, **env):
    """Run a fresh interpreter with other environment variables; returns its output."""
    names = set(PRODUCTION) | {"DEBUG", "SOCIAL_LOGIN", "DJANGO_ALLOW_ASYNC_UNSAFE"}
    clean = {key: value for key, value in os.environ.items() if key not in names}
    done = subprocess.run(
        [sys.executable, *code_or_command],
        cwd=ROOT,
        env=clean | {"DJANGO_SETTINGS_MODULE": "leaderboard.settings"} | env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_deployment_check_is_clean_in_production():
    code, said = run(["manage.py", "check", "--deploy", "--fail-level", "INFO"], **PRODUCTION)
    assert (code, said.strip()) == (0, "System check identified no issues (0 silenced).")


def test_deployment_check_would_complain():
    insecure = PRODUCTION | {"SITE_URL": "http://contest.example.org"}
    code, said = run(["manage.py", "check", "--deploy", "--fail-level", "WARNING"], **insecure)
    assert code != 0
    assert "SESSION_COOKIE_SECURE" in said


SETTINGS = """
import django; django.setup()
from django.conf import settings as s
print([getattr(s, n) for n in %r])
"""


def test_production_is_strict_where_the_demo_is_not():
    names = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT",
             "ACCOUNT_EMAIL_VERIFICATION", "WEBHOOKS_TO_PRIVATE", "ALLAUTH_TRUSTED_PROXY_COUNT"]  # fmt: skip
    _, said = run(["-c", SETTINGS % names], **PRODUCTION)
    assert said.strip() == str([True, True, True, "mandatory", False, 1])


SOCIAL = {
    "SOCIAL_LOGIN": "github,openid_connect",
    "SOCIAL_GITHUB_ID": "an-id",
    "SOCIAL_GITHUB_SECRET": "a-secret",
    "SOCIAL_OPENID_CONNECT_ID": "an-id",
    "SOCIAL_OPENID_CONNECT_URL": "https://id.example.ac.kr/realm",
    "SOCIAL_OPENID_CONNECT_NAME": "Campus",
}
LOGIN_PAGE = """
import django
from django.conf import settings
plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
settings.STORAGES["staticfiles"]["BACKEND"] = plain
django.setup()
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
client = Client(headers={"Accept-Language": "en"})
page = client.get("/login/")
print(page.content.decode(), page.headers["Content-Security-Policy"])
sent = client.post("/social/github/login/")
print("->", sent.headers.get("Location"))
"""


def test_social_login_is_on_the_page_where_it_is_configured(client):
    assert "Continue with" not in client.get("/login/", headers=EN).content.decode()
    assert client.get("/account/connections/").status_code == 404
    _, said = run(["-c", LOGIN_PAGE], **SOCIAL, **database())
    assert "Continue with GitHub" in said
    assert "Continue with Campus" in said
    assert "; form-action 'self' https://github.com https://id.example.ac.kr\n" in said
    assert re.search(r"-> https://github\.com/login/oauth/authorize\?client_id=an-id", said)
    assert "code_challenge=" in said


def database():
    """The test's own database, for another process."""
    from django.db import connection

    s = connection.settings_dict
    host = s["HOST"].replace("/", "%2F")
    port = f":{s['PORT']}" if s["PORT"] else ""
    user = s["USER"] + (f":{s['PASSWORD']}" if s["PASSWORD"] else "")
    return {"DATABASE_URL": f"postgresql://{user}@{host}{port}/{s['NAME']}"}


def test_unknown_provider_stops_the_site_with_a_sentence():
    code, said = run(["-c", "import django; django.setup()"], SOCIAL_LOGIN="myspace")
    assert code != 0
    assert "SOCIAL_LOGIN='myspace': known are github, google" in said
