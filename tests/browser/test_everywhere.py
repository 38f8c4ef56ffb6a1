"""Every page there is, through axe-core: by day, in the dark, on a phone, in Korean; none is too wide."""

from __future__ import annotations

import pytest
from django.urls import reverse

from leaderboard import accounts, teams
from leaderboard.models import Batch, Contest, Worker
from tests import factories
from tests.browser import scene
from tests.browser.conftest import grave_findings, overflow, shoot
from tests.leaderboard.test_roles import routes

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS = {
    "light": {},
    "dark-ko": {"color_scheme": "dark", "locale": "ko-KR"},
    "phone-ko": {"locale": "ko-KR", "viewport": {"width": 360, "height": 780}},
    "phone-dark": {"color_scheme": "dark", "viewport": {"width": 360, "height": 780}},
}
CONTEST = {"slug": "demo"}
PAGES = {  # route → who looks, with which arguments
    "home": ("anonymous", {}),
    "board": ("captain", CONTEST),
    "private_board": ("staff", CONTEST),
    "board_history": ("captain", CONTEST),
    "rules": ("anonymous", CONTEST),
    "submit": ("captain", CONTEST),
    "problems": ("anonymous", {}),
    "submission": ("captain", {"pk": "scored"}),
    "team": ("captain", {"pk": "team"}),
    "team_create": ("stranger", CONTEST),
    "join": ("stranger", {"token": "link"}),
    "account": ("captain", {}),
    "batches": ("staff", CONTEST),
    "batch_new": ("staff", CONTEST),
    "batch": ("staff", {"pk": "batch"}),
    "desk": ("staff", {}),
    "desk_doctor": ("staff", {}),
    "desk_worker": ("staff", {"pk": "worker"}),
    "account_login": ("anonymous", {}),
    "account_signup": ("anonymous", {}),
    "account_logout": ("captain", {}),
    "account_inactive": ("anonymous", {}),
    "account_reauthenticate": ("captain", {}),
    "account_email": ("captain", {}),
    "account_email_verification_sent": ("anonymous", {}),
    "account_confirm_email": ("anonymous", {"key": "none"}),
    "account_change_password": ("captain", {}),
    "account_reset_password": ("anonymous", {}),
    "account_reset_password_done": ("anonymous", {}),
    "account_reset_password_from_key": ("anonymous", {"uidb36": "1", "key": "none"}),
    "account_reset_password_from_key_done": ("anonymous", {}),
}
NO_PAGES = {  # actions, files, pieces of pages, and addresses that only lead on
    "account_confirm_login_code", "account_set_password", "batch_act", "board_csv", "board_json", "cancel",
    "desk_worker_act", "healthz", "history_json", "metrics", "points", "queue", "readyz", "revoke_token",
    "set_language", "team_act", "upload", "upload_discard", "upload_enter", "upload_submission", "uploads",
}  # fmt: skip


def test_no_page_is_left_out():
    assert sorted(set(routes())) == sorted({*PAGES, *NO_PAGES})


@pytest.fixture
def known(live_server):
    town = scene.build()
    staff = factories.user(name="organiser", is_staff=True)
    accounts.issue_token(town.captain, "laptop")
    worker = Worker.issue("pbw", name="gpu-7", device="cuda", sandbox="bubblewrap")[0]
    version = Contest.objects.get(slug="demo").version
    batch = Batch.objects.create(
        contest=town.contest, kind=Batch.Kind.RESCORE, reason="another look",
        version=version, old_version=version, by=str(staff), filter={}, noise=0.001,
    )  # fmt: skip
    link = teams.address(teams.invite(town.team, town.captain)).split("/")[2]
    people = {"staff": staff, "captain": town.captain, "anonymous": None}
    people["stranger"] = factories.user(name="stranger")
    return people, {
        "scored": town.scored.submission_id,
        "team": town.team.pk,
        "link": link,
        "batch": batch.pk,
        "worker": worker.pk,
    }


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_grave_on_any_page(visit, known, look):
    people, arguments = known
    pages = {who: visit("/healthz", as_user=user, **LOOKS[look]) for who, user in people.items()}
    found = {}
    for name, (who, kwargs) in PAGES.items():
        path = reverse(name, kwargs={k: arguments.get(v, v) for k, v in kwargs.items()})
        page = pages[who]
        answer = page.goto(path)
        if page.locator(".chart").count():
            page.locator("canvas").first.wait_for()
        findings = grave_findings(page)
        if answer.status != 200 or not page.url.endswith(path):
            findings.append(f"{answer.status} at {page.url}")
        if too_wide := overflow(page):
            findings.append(f"{too_wide} px wider than its window")
        shoot(page, f"every-{look}-{name}")
        if findings:
            found[name] = findings
    assert found == {}
