"""The reading API: documents match OpenAPI, and each part is visible only to those it is for."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leaderboard.accounts import tokens
from leaderboard.api import schemas
from leaderboard.board.documents import HistoryOut
from leaderboard.models import Check, Contest, Submission
from leaderboard.submissions import documents
from tests import factories

pytestmark = pytest.mark.django_db
BOARD = "/api/contests/demo/board"


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def captain(contest):
    person = factories.user(name="captain")
    factories.team(contest=contest, name="Hangang", captain=person)
    return person


def bearer(user):
    return {"Authorization": f"Bearer {tokens.issue_token(user, 'test')}"}


def strict(schema, document):
    """The document has the schema's fields and no others."""
    assert set(document) == set(schema.model_fields)
    return schema.model_validate(document)


def test_documents_are_as_openapi_says(client, contest, captain):
    team = captain.memberships.get().team
    factories.scored(contest=contest, kind=Submission.Kind.BASE, title="base", speedup=1)
    entry = factories.scored(contest=contest, team=team)
    headers = bearer(captain)
    board = client.get(BOARD).json()
    strict(schemas.BoardOut, board)
    assert [strict(schemas.EntryOut, e).team for e in board["entries"]] == ["Hangang", "base"]
    strict(HistoryOut, client.get("/api/contests/demo/history").json())
    strict(documents.QuotaOut, client.get("/api/contests/demo/quota", headers=headers).json())
    path = f"/api/submissions/{entry.submission_id}"
    strict(documents.SubmissionOut, client.get(path, headers=headers).json())
    document = documents.submission_json(entry.submission)  # and nothing of it is lost on the way
    assert {*document, "position", "wait_s"} == set(documents.SubmissionOut.model_fields)
    report = strict(documents.ReportOut, client.get(f"{path}/report", headers=headers).json())
    assert all(type(row["items"]) is int for row in report.report["quality"])  # counted, not listed
    logs = strict(documents.LogsOut, client.get(f"{path}/logs", headers=headers).json())
    assert [attempt.outcome for attempt in logs.attempts] == ["scored"]


def test_openapi_lists_statuses_and_fields(client):
    document = client.get("/api/openapi.json").json()
    board = document["paths"]["/api/contests/{slug}/board"]["get"]
    # 4XX: whatever else is refused, in the one shape
    assert set(board["responses"]) == {"200", "304", "403", "404", "4XX", "507"}
    assert {} in board["security"]  # a token is accepted but not required
    assert {"Anyone", "UserToken"} <= set(document["components"]["securitySchemes"])
    assert "description" in document["paths"]["/api/submissions"]["get"]


def test_unchanged_board_is_not_sent_again(client, contest):
    etag = client.get(BOARD).headers["ETag"]
    assert client.get(BOARD, headers={"If-None-Match": etag}).status_code == 304
    factories.scored(contest=contest)
    assert client.get(BOARD, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("path", [BOARD, "/api/contests/demo/history"])
def test_the_private_part_is_staffs_until_it_is_revealed(client, contest, captain, path):
    factories.scored(contest=contest)
    staff = bearer(factories.user(is_staff=True))
    for headers in ({}, bearer(captain)):
        refused = client.get(f"{path}?part=private", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "NOT_REVEALED")
    assert client.get(f"{path}?part=private", headers=staff).json()["part"] == "private"
    Contest.objects.update(revealed_at=timezone.now())
    assert client.get(f"{path}?part=private").status_code == 200
    assert client.get(f"{path}?part=secret").status_code == 422


def test_a_report_tells_private_values_only_once_revealed(client, contest, captain):
    entry = factories.scored(contest=contest, team=captain.memberships.get().team)
    path, headers = f"/api/submissions/{entry.submission_id}/report", bearer(captain)
    public = client.get(path, headers=headers).json()
    assert client.get(f"{path}?part=private", headers=headers).json()["code"] == "NOT_REVEALED"
    Contest.objects.update(revealed_at=timezone.now())
    private = client.get(f"{path}?part=private", headers=headers).json()
    counts = [sum(q["items"] for q in one["report"]["quality"]) for one in (public, private)]
    assert all(counts) and counts[0] != counts[1]
    assert public["score"]["value"] == entry.score.value


def test_a_token_that_is_given_must_be_good(client, contest):
    refused = client.get(BOARD, headers={"Authorization": "Bearer nonsense"})
    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")


def test_pages_of_submissions_by_cursor(client, contest, captain):
    team, headers = captain.memberships.get().team, bearer(captain)
    own = [factories.submission(contest=contest, team=team).submission_id for _ in range(5)]
    factories.submission(contest=contest)  # somebody else's
    seen, path = [], "/api/submissions?limit=2"
    for _ in range(3):
        page = client.get(path, headers=headers).json()
        seen += [item["id"] for item in page["items"]]
        factories.submission(contest=contest, team=team)  # a new one does not shift the pages
        path = f"/api/submissions?limit=2&cursor={page['next']}"
    assert seen == own[::-1]
    assert page["next"] is None
    wrong = client.get("/api/submissions?cursor=drop", headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "HTTP_422")
    assert client.get("/api/submissions?limit=1000", headers=headers).status_code == 422


def test_submissions_by_contest_and_status(client, contest, captain):
    team, headers = captain.memberships.get().team, bearer(captain)
    waiting = factories.submission(contest=contest, team=team)
    scored = factories.scored(contest=contest, team=team)
    base = factories.scored(contest=contest, kind=Submission.Kind.BASE, title="base")

    def ids(query):
        answer = client.get(f"/api/submissions?{query}", headers=headers).json()
        return [item["id"] for item in answer["items"]]

    assert ids("status=scored") == [scored.submission_id]
    assert ids("contest=demo") == [scored.submission_id, waiting.submission_id]
    assert ids("contest=other") == []
    assert ids("status=scored&everything=true") == [base.submission_id, scored.submission_id]
    assert client.get("/api/submissions?status=x", headers=headers).status_code == 422


def test_queries_do_not_grow_with_submissions(client, contest, captain):
    team, headers = captain.memberships.get().team, bearer(captain)
    client.get("/api/submissions", headers=headers)
    counts = []
    for _ in range(2):
        factories.scored(contest=contest, team=team)
        factories.submission(contest=contest, team=team)
        with CaptureQueriesContext(connection) as captured:
            client.get("/api/submissions", headers=headers)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_waiting_submission_says_where_it_stands(client, contest, captain):
    ahead = factories.submission(contest=contest)
    own = factories.submission(contest=contest, team=captain.memberships.get().team)
    type(own).objects.filter(pk__in=[ahead.pk, own.pk]).update(is_checked=True)
    body = client.get(f"/api/submissions/{own.submission_id}", headers=bearer(captain)).json()
    assert body["position"] == 2


def test_logs_of_organisers_entries_are_staffs(client, contest, captain):
    entry = factories.scored(contest=contest, kind=Submission.Kind.BASE, title="base")
    path = f"/api/submissions/{entry.submission_id}/logs"
    refused = client.get(path, headers=bearer(captain))
    assert (refused.status_code, refused.json()["code"]) == (403, "LOGS_CLOSED")
    assert client.get(path, headers=bearer(factories.user(is_staff=True))).status_code == 200


def test_history_has_every_entry_that_was_better(client, contest, captain):
    team = captain.memberships.get().team
    kept = []
    for speedup, is_better in ((1.2, True), (1.1, False), (1.5, True)):
        entry = factories.scored(contest=contest, team=team, speedup=speedup)
        if is_better:
            kept.append(entry.submission_id)
    line = client.get("/api/contests/demo/history").json()["lines"][0]
    assert [step["submission"] for step in line["steps"]] == kept
    board = client.get(BOARD).json()["entries"][0]
    assert (line["team"], line["rank"]) == ("Hangang", 1)
    assert line["steps"][-1]["score"] == board["score"]


def test_history_stands_still_with_a_frozen_board(client, contest, captain):
    team = captain.memberships.get().team
    factories.scored(contest=contest, team=team, speedup=1.2)
    Contest.objects.update(frozen_at=timezone.now())
    factories.scored(contest=contest, team=team, speedup=2)
    lines = client.get("/api/contests/demo/history").json()["lines"]
    assert len(lines[0]["steps"]) == 1


def test_ones_own_line_is_among_those_of_the_first(client, contest, captain, monkeypatch):
    monkeypatch.setattr("leaderboard.board.cached.LINES", 1)
    factories.scored(contest=contest, team=captain.memberships.get().team, speedup=1.1)
    factories.scored(contest=contest, team=factories.team(contest=contest, name="A"), speedup=2)
    path = "/api/contests/demo/history"
    names = [
        [line["team"] for line in client.get(path, headers=headers).json()["lines"]]
        for headers in ({}, bearer(captain))
    ]
    assert names == [["A"], ["A", "Hangang"]]


def test_quota_is_the_teams(client, contest, captain):
    factories.submission(contest=contest, team=captain.memberships.get().team)
    body = client.get("/api/contests/demo/quota", headers=bearer(captain)).json()
    assert body["used"] == 1 and body["left"] == body["limit"] - 1
    nobody = client.get("/api/contests/demo/quota", headers=bearer(factories.user()))
    assert (nobody.status_code, nobody.json()["code"]) == (404, "NO_TEAM")


def test_documents_keep_their_fields_and_their_order(client, contest, captain):
    """What version 0.1 sends; a field may be added at the end of its document."""
    entry = factories.scored(contest=contest, team=captain.memberships.get().team)
    me = client.get("/api/me", headers=bearer(captain)).json()
    assert me == {
        "user": "captain",
        "teams": [{"id": entry.submission.team_id, "name": "Hangang", "contest": "demo"}],
    }
    (listed,) = client.get("/api/contests").json()
    assert listed == client.get("/api/contests/demo").json()
    assert list(listed) == [
        "id", "title", "summary", "base_model", "sha256", "is_open", "limits", "formula", "weights",
        "timezone", "phases", "is_revealed", "url",
    ]  # fmt: skip
    assert list(listed["title"]) == ["en", "ko"]
    assert list(listed["limits"]) == ["archive_bytes", "submissions_per_day"]
    assert list(listed["weights"]) == ["accuracy", "memory", "speed"]
    assert list(listed["phases"][0]) == ["id", "title", "start", "end"]
    fields = [
        "id", "url", "contest", "kind", "team", "note", "archive_name", "archive_bytes", "archive_sha256",
        "hub", "created", "status", "stage", "progress", "attempt", "problems", "score", "half_width", "terms",
    ]  # fmt: skip
    document = documents.submission_json(entry.submission)
    assert list(document) == fields, "nothing of the queue, which only the page of one entry asks"
    assert document["status"] == "scored"
    assert document["terms"] == [{**term, "capped": False} for term in entry.score.terms]
    row = Check.objects.create(user=captain, contest=contest, name="m.zip", size_bytes=5)
    check = client.get(f"/api/checks/{row.pk}", headers=bearer(captain)).json()
    assert list(check) == [
        "key", "url", "contest", "name", "size_bytes", "created", "state", "problems", "notices", "scheme",
        "safetensors_bytes", "content_sha256",
    ]  # fmt: skip
    assert (check["state"], check["scheme"], check["safetensors_bytes"]) == ("waiting", "", 0)
