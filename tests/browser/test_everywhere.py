"""Every page through axe-core: light, dark, on a phone, in Korean; none is too wide."""

from __future__ import annotations

import pytest
from django.urls import reverse

from leaderboard import teams
from leaderboard.accounts import tokens
from leaderboard.models import Batch, Contest, Worker
from tests import factories
from tests.browser import scene
from tests.browser.conftest import grave_findings, overflow, shoot
from tests.leaderboard.views import test_roles

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS = {
    "light": {},
    "dark-ko": {"color_scheme": "dark", "locale": "ko-KR"},
    "phone-ko": {"locale": "ko-KR", "viewport": {"width": 360, "height": 780}},
}
PEOPLE = ("captain", "captain", "stranger", "anonymous", "staff")  # as the columns of test_roles
NEEDS_A_ROW = {  # routes that the table of roles lacks: who visits, with which arguments
    "batch": ("staff", {"pk": "batch"}),
    "desk_worker": ("staff", {"pk": "worker"}),
}


def pages():
    """Every URL that renders a page: route, visitor, arguments.

    From the table of roles, which every new URL must be in.
    """
    for name, cases in test_roles.PAGES.items():
        for method, kwargs, statuses in cases if isinstance(cases, list) else [cases]:
            found = statuses.split()
            if method == "get" and "200" in found:
                yield name, PEOPLE[found.index("200")], kwargs
                break
    for name, (who, kwargs) in NEEDS_A_ROW.items():
        yield name, who, kwargs


@pytest.fixture
def known(live_server):
    town = scene.build()
    staff = factories.user(name="organiser", is_staff=True)
    tokens.issue_token(town.captain, "laptop")
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
        "entry": town.scored.submission_id,
        "team": town.team.pk,
        "link": link,
        "batch": batch.pk,
        "worker": worker.pk,
    }


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_grave_on_any_page(visit, known, look):
    people, arguments = known
    browsers = {who: visit("/healthz", as_user=user, **LOOKS[look]) for who, user in people.items()}
    found, seen = {}, 0
    for name, who, kwargs in pages():
        path = reverse(name, kwargs={k: arguments.get(v, v) for k, v in kwargs.items()})
        page = browsers[who]
        answer = page.request.get(path)
        assert answer.status == 200, f"{name}: {answer.status}"
        if not answer.text().lower().startswith("<!doctype html>"):
            continue  # a file, or a fragment of a page
        page.goto(path)
        seen += 1
        if page.locator(".chart").count():
            page.locator("canvas").first.wait_for()
        findings = grave_findings(page)
        if too_wide := overflow(page):
            findings.append(f"{too_wide} px wider than its window")
        shoot(page, f"every-{look}-{name}")
        if findings:
            found[name] = findings
    assert found == {}
    assert seen >= 30
