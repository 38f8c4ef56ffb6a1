"""Every page for each kind of person; pages need the same number of queries for any number of rows."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress
from leaderboard import lifecycle
from leaderboard.submissions import documents
from tests import factories

pytestmark = pytest.mark.django_db
PEOPLE = ("owner", "teammate", "stranger", "anonymous", "staff")


@pytest.fixture
def scene(client):
    """A contest with one team's scored and queued submissions; ``visit(person, path)`` → response."""
    contest = factories.contest()
    people = {name: factories.user(name=name) for name in ("owner", "teammate", "stranger")}
    people["staff"] = factories.user(name="staff", is_staff=True)
    team = factories.team(contest=contest, captain=people["owner"], members=[people["teammate"]])

    class Scene:
        queued = factories.submission(contest=contest, team=team)
        scored = factories.scored(contest=contest, team=team)
        rejected = factories.rejected(contest=contest, team=team)
        base = factories.scored(contest=contest, kind="base", title="base")

        def visit(self, person, path, method="get", language=""):
            client.logout()
            if person != "anonymous":
                client.force_login(people[person])
            headers = {"Accept-Language": language} if language else {}
            return getattr(client, method)(path, headers=headers)

        def statuses(self, path, method="get"):
            return {person: self.visit(person, path, method).status_code for person in PEOPLE}

    Scene.contest, Scene.team = contest, team
    return Scene()


def everyone(status):
    return dict.fromkeys(PEOPLE, status)


@pytest.mark.parametrize(
    "path",
    [
        "/contests/demo/",
        "/contests/demo/board.json",
        "/contests/demo/board.csv",
        "/contests/demo/points.json",
        "/contests/demo/queue/",
        "/contests/demo/rules/",
        "/problems/",
        "/healthz",
        "/readyz",
        "/api/docs",
    ],
)
def test_public_pages_are_for_everyone(scene, path):
    assert scene.statuses(path) == everyone(200)


def test_a_contest_may_be_named_after_its_model(scene):
    factories.contest(slug="qwen3-0.6b")
    assert scene.statuses("/") == everyone(200)
    for path in ("", "board.json", "rules/", "queue/"):
        assert scene.statuses(f"/contests/qwen3-0.6b/{path}") == everyone(200)


@pytest.mark.parametrize("which", ["queued", "scored", "rejected"])
def test_submission_page_is_for_its_team_and_staff(scene, which):
    path = f"/submissions/{getattr(scene, which).submission_id}/"
    assert scene.statuses(path) == everyone(200) | {"stranger": 404, "anonymous": 404}


def test_organisers_entries_are_open_to_everyone(scene):
    assert scene.statuses(f"/submissions/{scene.base.submission_id}/") == everyone(200)


def test_team_page_shows_members_to_all_and_entries_to_the_team(scene):
    path = f"/teams/{scene.team.pk}/"
    assert scene.statuses(path) == everyone(200)
    link = f"/submissions/{scene.scored.submission_id}/"
    shown = {person: link in scene.visit(person, path).content.decode() for person in PEOPLE}
    assert shown == everyone(True) | {"stranger": False, "anonymous": False}


def test_pages_that_act_in_a_persons_name_need_a_login(scene):
    for path in ("/account/", "/contests/demo/submit/", "/contests/demo/team/"):
        assert scene.visit("anonymous", path).headers["Location"].startswith("/login/")


def test_submit_page_is_for_teams_and_sends_others_to_make_one(scene):
    assert scene.visit("owner", "/contests/demo/submit/").status_code == 200
    response = scene.visit("stranger", "/contests/demo/submit/")
    assert response.headers["Location"] == "/contests/demo/team/"


def test_cancel_is_for_the_team_by_post_while_queued(scene):
    path = f"/submissions/{scene.queued.submission_id}/cancel/"
    assert scene.visit("owner", path).status_code == 405
    refused = {p: scene.visit(p, path, "post").status_code for p in ("stranger", "staff")}
    assert refused == {"stranger": 404, "staff": 403}
    assert scene.visit("anonymous", path, "post").headers["Location"].startswith("/login/")
    assert scene.visit("teammate", path, "post").status_code == 302
    scene.queued.refresh_from_db()
    assert scene.queued.status == "cancelled"


def test_token_is_shown_once_and_revoked_only_by_its_owner(scene, client):
    client.force_login(scene.team.memberships.first().user)
    shown = client.post(
        "/account/", {"name": "laptop", "scopes": ["read"], "days": "0"}
    ).content.decode()
    assert "pbt_" in shown
    assert "pbt_" not in client.get("/account/").content.decode()
    pk = scene.team.memberships.first().user.api_tokens.get().pk
    assert scene.visit("stranger", f"/account/tokens/{pk}/revoke/", "post").status_code == 404
    assert scene.visit("owner", f"/account/tokens/{pk}/revoke/", "post").status_code == 302


def test_admin_is_for_staff(scene):
    assert scene.visit("owner", "/admin/").status_code == 302
    for page in ("", "leaderboard/evaluation/", "leaderboard/submission/", "leaderboard/worker/",
                 "leaderboard/team/", "leaderboard/contest/", "leaderboard/score/"):  # fmt: skip
        assert scene.visit("staff", f"/admin/{page}").status_code == 200
    assert (
        scene.visit("staff", f"/admin/leaderboard/evaluation/{scene.scored.pk}/change/").status_code
        == 200
    )


@pytest.mark.parametrize("path", ["/contests/demo/", "/admin/leaderboard/evaluation/"])
def test_queries_do_not_grow_with_rows(scene, path):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            assert scene.visit("staff", path).status_code == 200
        return len(captured)

    cost()  # the first visit caches content types and the like
    factories.scored(contest=scene.contest)  # a result makes the board stale
    before = cost()
    for _ in range(3):
        factories.scored(contest=scene.contest)
    assert cost() == before


def test_every_page_carries_the_security_headers(scene):
    response = scene.visit("anonymous", "/contests/demo/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Frame-Options"] == "DENY"


def test_page_language_follows_the_browser(scene, client):
    korean = client.get("/contests/demo/", headers={"Accept-Language": "ko"}).content.decode()
    english = client.get("/contests/demo/", headers={"Accept-Language": "en"}).content.decode()
    assert 'lang="ko"' in korean
    assert 'lang="en"' in english


def test_log_and_cost_are_told_to_the_team_and_staff_alone(scene):
    scene.rejected.attempts.create(number=1, log="ValueError: no kernel for W4A8")
    path = f"/submissions/{scene.rejected.submission_id}/"
    shown = {p: scene.visit(p, path).content.decode() for p in ("owner", "teammate", "staff")}
    assert all("no kernel for W4A8" in html for html in shown.values())
    assert 'class="cost"' in shown["owner"]
    assert 'class="cost"' not in shown["staff"]


def test_the_page_asks_less_often_far_back_in_the_queue(scene):
    def asks(evaluation):
        html = scene.visit("owner", f"/submissions/{evaluation.submission_id}/").content.decode()
        found = re.search(r'hx-trigger="every (\d+)s"', html)
        return int(found[1]) if found else None

    waiting = [factories.submission(contest=scene.contest, team=scene.team) for _ in range(8)]
    for evaluation in waiting:
        factories.checked(evaluation=evaluation)
    assert asks(waiting[0]) < asks(waiting[7]) <= 30
    factories.running(evaluation=waiting[7])
    assert asks(waiting[7]) == 3
    assert asks(scene.scored) is None  # nothing changes any more


def test_a_result_stands_beside_the_base_model_with_intervals(scene):
    html = scene.visit("owner", f"/submissions/{scene.scored.submission_id}/").content.decode()
    assert html.count('<table class="terms"') == 1
    table = html.split('<table class="terms"')[1].split("</table>")[0]
    base = f'<a href="/submissions/{scene.base.submission_id}/">'
    assert base in table
    for evaluation in (scene.scored, scene.base):
        score = evaluation.score
        assert f"{score.value:.4f}" in table and f"± {score.half_width:.4f}" in table
        for term in score.terms:
            assert f"{term['value']:.3f}" in table


def test_a_capped_accuracy_is_marked_and_the_measured_one_stays(scene):
    def pages(accuracy):
        entry = factories.scored(contest=scene.contest, accuracy=accuracy, base_accuracy=0.5)
        path = f"/submissions/{entry.submission_id}/"
        page = scene.visit("staff", path, language="en").content.decode()
        table = page.split('<table class="terms"')[1].split("</table>")[0]
        return table, documents.submission_json(entry.submission)["terms"][0]

    table, term = pages(0.9)
    assert ">capped</span>" in table
    assert f"{term['measured']:.1%}".replace("%", " %") in table.replace("\xa0", " ")
    assert term["capped"] is True
    assert term["value"] < 1.3 < term["measured"] / term["base"]
    table, term = pages(0.5)
    assert ">capped</span>" not in table
    assert not term.get("capped")


def test_a_checkpoint_is_described_in_the_readers_language(scene):
    path = f"/submissions/{scene.scored.submission_id}/"
    words = scene.scored.facts["words"]
    for language in ("en", "ko"):
        html = scene.visit("owner", path, language=language).content.decode()
        assert words[language] in html


@pytest.mark.parametrize(
    ("stage", "note", "english", "korean"),
    [
        (Stage.QUALITY, "gsm8k", "Word problems", "문장제 문제"),
        (Stage.QUALITY, "choice (base)", "Choose the solution (base model)", "풀이 고르기 (원본 모델)"),
        (Stage.SPEED, "latency: warm-up 2", "One at a time: warm-up 2", "단일 요청: 예열 2"),
        (Stage.SPEED, "throughput: ±0.012", "Many at once: ±0.012", "동시 요청: ±0.012"),
        (Stage.FETCH, "MB", "MB", "MB"),
    ],
)  # fmt: skip
def test_a_running_grade_names_benchmarks_by_their_titles(scene, stage, note, english, korean):
    factories.running(evaluation=scene.queued, progress=Progress(stage, 3, 160, note))
    for language, words in (("en", english), ("ko", korean)):
        page = scene.visit(
            "owner", f"/submissions/{scene.queued.submission_id}/", language=language
        )
        assert f'<span class="step-note">{words}</span>' in page.content.decode()


def test_a_history_of_breakdowns_is_told_in_korean(scene):
    evaluation = factories.running(evaluation=scene.queued)
    lifecycle.fail(evaluation.pk, evaluation.attempt, [Problem("SYS_NOISY")])
    path = scene.queued.submission.get_absolute_url()
    html = scene.visit("owner", path, language="ko").content.decode()
    history = html.partition('<ol class="history">')[2].partition("</ol>")[0]
    assert "1번째 시도 실패: SYS_NOISY" in history
    assert set(re.findall(r"[A-Za-z_]{2,}", re.sub(r"<[^>]*>", "", history))) == {"SYS_NOISY"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/contests/demo/checks/%00/"),
        ("post", "/contests/demo/submit/%00/enter/"),
        ("post", "/contests/demo/submit/%00/discard/"),
        ("get", "/join/%00/"),
        ("get", "/api/contests/%00/board"),
        ("get", "/api/checks/a%00b"),
        ("get", "/api/uploads/%00"),
        ("get", "/admin/leaderboard/contest/%00/change/"),
    ],
)
def test_no_address_holds_a_nul(scene, path, method):
    assert scene.statuses(path, method) == everyone(404)
