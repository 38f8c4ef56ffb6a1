"""Errors that Django answers itself, as a client of a real server reads them."""

from __future__ import annotations

import httpx
import pytest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nowhere", 404),
        ("GET", "/api/contests/none", 404),
        ("DELETE", "/api/contests", 405),
        ("POST", "/api/worker/attempts/1/1/progress", 401),
    ],
)
def test_an_error_is_whole_and_the_connection_goes_on(live_server, encoding, method, path, status):
    """With the length of the page that was replaced, a client waits for bytes that never come."""
    headers = {"Accept-Encoding": encoding, "Accept-Language": "en"}
    with httpx.Client(base_url=live_server.url, headers=headers, timeout=20) as client:
        for _ in range(2):
            answer = client.request(method, path)
            assert answer.status_code == status
            assert set(answer.json()) == {"code", "message", "hint"}


def test_a_crash_is_whole_too(live_server, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("leaderboard.models.contest.ContestQuerySet.listed", broken)
    with httpx.Client(base_url=live_server.url, timeout=20) as browser:
        answer = browser.get("/api/contests")
    assert answer.status_code == 500
    assert answer.json()["code"] == "HTTP_500"
