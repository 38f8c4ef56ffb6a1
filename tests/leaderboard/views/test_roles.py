"""Who may do what, on every URL. A route without a line here fails, and so does a line without a route.

Each line gives the status for owner (a team's captain), teammate, stranger, anonymous and staff, in this order;
302 for anonymous leads to the login page. What a page shows to whom is tested with the page.
"""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.admin import site
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from leaderboard import batches, teams
from leaderboard.accounts import tokens
from leaderboard.api import api
from leaderboard.models import Batch, Ruling, Worker
from tests import factories

pytestmark = pytest.mark.django_db
PEOPLE = ("owner", "teammate", "stranger", "anonymous", "staff")
OPEN = "200 200 200 200 200"
LOGGED_IN = "200 200 200 302 200"
STAFF = "403 403 403 302 200"

# route name: (method, keyword arguments, statuses); several cases of one route in a list
PAGES = {
    "home": ("get", {}, OPEN),
    "board": ("get", {"slug": "demo"}, OPEN),
    "queue": ("get", {"slug": "demo"}, OPEN),
    "points": ("get", {"slug": "demo"}, OPEN),
    "board_json": ("get", {"slug": "demo"}, OPEN),
    "board_csv": ("get", {"slug": "demo"}, OPEN),
    "board_history": ("get", {"slug": "demo"}, OPEN),
    "history_json": ("get", {"slug": "demo"}, OPEN),
    "rules": ("get", {"slug": "demo"}, OPEN),
    "problems": ("get", {}, OPEN),
    "submit": ("get", {"slug": "demo"}, "200 200 302 302 302"),  # without a team: to create one
    "submit_hub": ("post", {"slug": "demo"}, "400 400 302 302 302"),  # an empty form
    "check": ("get", {"slug": "demo", "key": "none"}, "404 404 404 302 404"),  # one's own only
    "upload_enter": ("post", {"slug": "demo", "key": "none"}, "404 404 404 302 404"),
    "upload_discard": ("post", {"slug": "demo", "key": "none"}, "404 404 404 302 404"),
    "submission": ("get", {"pk": "entry"}, "200 200 404 404 200"),
    "measure_again": ("post", {"pk": "entry"}, "302 302 404 302 403"),
    "cancel": ("post", {"pk": "entry"}, "302 302 404 302 403"),
    "team_create": ("get", {"slug": "demo"}, "302 302 200 302 200"),  # with a team: to its page
    "team": ("get", {"pk": "team"}, OPEN),
    "team_act": [
        ("post", {"pk": "team", "verb": "mails"}, "302 302 403 302 403"),
        ("post", {"pk": "team", "verb": "test"}, "302 302 403 302 403"),
        ("post", {"pk": "team", "verb": "invite"}, "302 403 403 302 403"),
        ("post", {"pk": "team", "verb": "webhook"}, "400 403 403 302 403"),
        ("post", {"pk": "team", "verb": "rename"}, "400 400 403 302 403"),
        ("post", {"pk": "team", "verb": "remove"}, "404 403 403 302 403"),
        ("post", {"pk": "team", "verb": "captain"}, "404 403 403 302 403"),
        ("post", {"pk": "team", "verb": "revoke"}, "404 403 403 302 403"),
        ("post", {"pk": "team", "verb": "offer"}, "404 403 403 302 403"),
        ("post", {"pk": "team", "verb": "accept"}, "404 404 403 302 403"),
        ("post", {"pk": "team", "verb": "close"}, "404 404 403 302 403"),
        ("post", {"pk": "team", "verb": "final"}, "409 409 403 302 403"),  # no date in this contest
        ("post", {"pk": "team", "verb": "leave"}, "409 302 403 302 403"),
        ("post", {"pk": "team", "verb": "nonsense"}, "404 404 404 302 404"),
        ("get", {"pk": "team", "verb": "leave"}, "405 405 405 405 405"),
    ],
    "join": [
        ("get", {"token": "link"}, OPEN),
        ("post", {"token": "link"}, "302 302 302 200 302"),
        ("get", {"token": "forged"}, "404 404 404 404 404"),
    ],
    "public_board": ("get", {"slug": "demo"}, OPEN),
    "private_board": ("get", {"slug": "demo"}, "404 404 404 404 200"),
    "desk": ("get", {}, STAFF),
    "desk_doctor": ("get", {}, STAFF),
    "desk_put_back": [
        ("post", {}, "403 403 403 302 302"),
        ("get", {}, "405 405 405 405 405"),
    ],
    "desk_worker": ("get", {"pk": "worker"}, STAFF),
    "desk_worker_act": [
        ("post", {"pk": "worker", "verb": "drain"}, "403 403 403 302 302"),
        ("post", {"pk": 0, "verb": "drain"}, "403 403 403 302 404"),
        ("get", {"pk": 0, "verb": "drain"}, "405 405 405 405 405"),
    ],
    "desk_contest": ("get", {"slug": "demo"}, STAFF),
    "desk_copies": ("get", {"slug": "demo"}, STAFF),
    "desk_contest_act": [
        ("post", {"slug": "demo", "verb": "thaw"}, "403 403 403 302 302"),
        ("post", {"slug": "demo", "verb": "finalise"}, "403 403 403 302 400"),  # name not typed
        ("post", {"slug": "demo", "verb": "nonsense"}, "403 403 403 302 404"),
        ("get", {"slug": "demo", "verb": "thaw"}, "405 405 405 405 405"),
    ],
    "desk_evidence": ("get", {"slug": "demo"}, "403 403 403 302 409"),  # not finalized
    "desk_team": ("get", {"pk": "team"}, STAFF),
    "desk_team_act": [
        ("post", {"pk": "team", "verb": "disqualify"}, "403 403 403 302 400"),  # no reason
        ("post", {"pk": "team", "verb": "grant"}, "403 403 403 302 302"),
        ("post", {"pk": "team", "verb": "nonsense"}, "403 403 403 302 404"),
        ("get", {"pk": "team", "verb": "hide"}, "405 405 405 405 405"),
    ],
    "desk_submission": ("get", {"pk": "entry"}, STAFF),
    "desk_submission_act": [
        ("post", {"pk": "entry", "verb": "hide"}, "403 403 403 302 400"),
        ("post", {"pk": "entry", "verb": "nonsense"}, "403 403 403 302 404"),
        ("get", {"pk": "entry", "verb": "hide"}, "405 405 405 405 405"),
    ],
    "desk_ruling_lift": [
        ("post", {"pk": "ruling"}, "403 403 403 302 302"),
        ("post", {"pk": 0}, "403 403 403 302 404"),
        ("get", {"pk": 0}, "405 405 405 405 405"),
    ],
    "metrics": ("get", {}, "404 404 404 404 404"),  # needs its own token, not an account
    "batches": ("get", {"slug": "demo"}, STAFF),
    "batch_new": ("get", {"slug": "demo"}, STAFF),
    "batch": ("get", {"pk": "batch"}, STAFF),
    "batch_act": [
        ("post", {"pk": "batch", "verb": "apply"}, "403 403 403 302 409"),  # not started
        ("post", {"pk": 0, "verb": "apply"}, "403 403 403 302 404"),
        ("get", {"pk": 0, "verb": "apply"}, "405 405 405 405 405"),
    ],
    "account": ("get", {}, LOGGED_IN),
    "revoke_token": ("post", {"pk": "token"}, "302 404 404 302 404"),
    "set_language": ("post", {}, "302 302 302 302 302"),
    "healthz": ("get", {}, OPEN),
    "readyz": ("get", {}, OPEN),
    "uploads": ("post", {}, "415 415 415 401 415"),  # a form of another site could send this type
    "upload": ("head", {"key": "none"}, "404 404 404 401 404"),
    "upload_submission": ("post", {"key": "none"}, "415 415 415 401 415"),
    "account_login": ("get", {}, "302 302 302 200 302"),
    "account_signup": ("get", {}, "302 302 302 200 302"),
    "account_logout": ("get", {}, "200 200 200 302 200"),
    "account_inactive": ("get", {}, OPEN),
    "account_reauthenticate": ("get", {}, LOGGED_IN),
    "account_email": ("get", {}, LOGGED_IN),
    "account_email_verification_sent": ("get", {}, OPEN),
    "account_confirm_email": ("get", {"key": "none"}, OPEN),
    "account_change_password": ("get", {}, LOGGED_IN),
    "account_set_password": ("get", {}, "302 302 302 302 302"),  # they have one
    "account_reset_password": ("get", {}, OPEN),
    "account_reset_password_done": ("get", {}, OPEN),
    "account_reset_password_from_key": ("get", {"uidb36": "1", "key": "none"}, OPEN),
    "account_reset_password_from_key_done": ("get", {}, OPEN),
    "account_confirm_login_code": ("get", {}, "302 302 302 302 302"),
}
# "verb path": (path, statuses by token); anonymous has no token
CALLS = {
    "get /api/me": ("/api/me", "200 200 200 401 200"),
    "get /api/contests": ("/api/contests", OPEN),
    "get /api/contests/{slug}": ("/api/contests/demo", OPEN),
    "get /api/contests/{slug}/board": ("/api/contests/demo/board", OPEN),
    "post /api/contests/{slug}/submissions": (
        "/api/contests/demo/submissions",
        "422 422 422 401 422",
    ),
    "get /api/contests/{slug}/final": ("/api/contests/demo/final", "200 200 403 401 403"),
    "put /api/contests/{slug}/final": ("/api/contests/demo/final", "422 422 422 401 422"),
    "post /api/contests/{slug}/submissions/hub": (
        "/api/contests/demo/submissions/hub",
        "400 400 400 401 400",  # no document
    ),
    "get /api/contests/{slug}/history": ("/api/contests/demo/history", OPEN),
    "get /api/contests/{slug}/quota": ("/api/contests/demo/quota", "200 200 404 401 404"),
    "get /api/submissions": ("/api/submissions", "200 200 200 401 200"),
    "get /api/submissions/{pk}/report": ("/api/submissions/{entry}/report", "404 404 404 401 404"),
    "get /api/submissions/{pk}/logs": ("/api/submissions/{entry}/logs", "200 200 404 401 200"),
    "post /api/contests/{slug}/checks": ("/api/contests/demo/checks", "400 400 400 401 400"),
    "get /api/checks/{key}": ("/api/checks/none", "404 404 404 401 404"),
    "post /api/submissions/{pk}/again": (  # it is not held
        "/api/submissions/{entry}/again",
        "410 410 404 401 403",
    ),
    "get /api/submissions/{pk}": ("/api/submissions/{entry}", "200 200 404 401 200"),
}
LIBRARY = {"admin", "api"}  # namespaces: the admin and the API have their own tests below


@pytest.fixture
def scene(client):
    contest = factories.contest()
    people = {name: factories.user(name=name) for name in PEOPLE[:3]}
    people["staff"] = factories.user(name="staff", is_staff=True)
    team = factories.team(contest=contest, captain=people["owner"], members=[people["teammate"]])
    entry = factories.submission(contest=contest, team=team)
    tokens.issue_token(people["owner"], "mine")
    link = teams.address(teams.invite(team, people["owner"])).split("/")[2]
    other = factories.scored(contest=contest).submission
    filed = batches.prepare(
        contest, Batch.Kind.RESCORE, batches.Filter(), reason="a test", by="staff"
    )
    known = {
        "entry": entry.submission_id,
        "team": team.pk,
        "token": people["owner"].api_tokens.get().pk,
        "link": link,
        "worker": factories.worker().pk,
        "ruling": factories.ruling(Ruling.Kind.HIDDEN, submission=other).pk,
        "batch": filed.pk,
    }
    return client, people, known


def routes(resolver=None):
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace not in LIBRARY:
                yield from routes(pattern)
        elif isinstance(pattern, URLPattern):
            yield pattern


def test_every_page_has_its_line():
    assert sorted({route.name for route in routes()}, key=str) == sorted(PAGES)


CASES = [
    pytest.param(name, *case, id=f"{name} {case[1].get('verb', case[1].get('token', case[0]))}")
    for name, cases in PAGES.items()
    for case in (cases if isinstance(cases, list) else [cases])
]


@pytest.mark.parametrize(("name", "method", "kwargs", "expected"), CASES)
def test_page(scene, name, method, kwargs, expected):
    client, people, known = scene
    path = reverse(name, kwargs={key: known.get(value, value) for key, value in kwargs.items()})
    found = []
    for person in PEOPLE:
        client.logout()
        if person != "anonymous":
            client.force_login(people[person])
        found.append(str(getattr(client, method)(path).status_code))
    assert " ".join(found) == expected


STAFF_ROUTES = {
    route.name
    for route in routes()
    if route.callback.__module__.startswith("leaderboard.views.staff")
}
STAFF_CASES = [case for case in CASES if case.values[0] in STAFF_ROUTES]


def test_the_desk_and_the_batches_are_pages_for_staff():
    named = {name for name in PAGES if name.startswith(("desk", "batch"))}
    assert named == STAFF_ROUTES


@pytest.mark.parametrize(("name", "method", "kwargs", "expected"), STAFF_CASES)
def test_pages_for_staff_are_closed_to_others_and_never_cached(
    scene, name, method, kwargs, expected
):
    if method == "get" and expected.startswith("405"):
        assert expected == "405 405 405 405 405"  # the method is refused before authentication
        return
    assert expected.startswith("403 403 403 302 ")
    client, people, known = scene
    path = reverse(name, kwargs={key: known.get(value, value) for key, value in kwargs.items()})
    client.force_login(people["staff"])
    answer = getattr(client, method)(path)
    if answer.status_code == 404:  # holds nothing personal
        return
    kept = {word.strip() for word in answer.headers.get("Cache-Control", "").split(",")}
    assert {"private", "no-store"} <= kept


def test_every_call_has_its_line():
    found = {
        f"{verb} {path}"
        for path, verbs in api.get_openapi_schema()["paths"].items()
        for verb in verbs
        if not path.startswith("/api/worker/")
    }
    assert found == set(CALLS)


@pytest.mark.parametrize("call", CALLS)
def test_call(scene, call):
    client, people, known = scene
    path, expected = CALLS[call]
    method, found = call.partition(" ")[0], []
    for person in PEOPLE:
        headers = bearer(people[person]) if person != "anonymous" else {}
        found.append(
            str(getattr(client, method)(path.format(**known), headers=headers).status_code)
        )
    assert " ".join(found) == expected


def bearer(user):
    return {"Authorization": f"Bearer {tokens.issue_token(user, 'x')}"}


def test_workers_door_is_for_workers(scene):
    client, people, _ = scene
    for path, verbs in api.get_openapi_schema()["paths"].items():
        if path.startswith("/api/worker/"):
            address = re.sub(r"{\w+}", "1", path)
            for verb in verbs:
                for headers in ({}, bearer(people["owner"]), bearer(people["staff"])):
                    answer = client.generic(verb.upper(), address, "{}", headers=headers)
                    assert answer.status_code == 401, f"{verb} {path}"
    _, token = Worker.issue("pbw", name="gpu-7")
    answer = client.post(
        "/api/worker/claim",
        json.dumps({"worker": "x", "device": "cpu", "contests": {}}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code in (200, 204), "the door opens for a worker"


def test_admin_is_closed_to_everybody_but_staff(scene):
    client, people, _ = scene
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in site._registry
    ]
    assert len(lists) > 10
    for path in ["/admin/", *lists]:
        found = []
        for person in PEOPLE[:4]:
            client.logout()
            if person != "anonymous":
                client.force_login(people[person])
            found.append(client.get(path).status_code)
        assert found == [302] * 4, path
