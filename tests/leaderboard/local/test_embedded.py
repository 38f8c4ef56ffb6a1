"""Commands that run next to a demo find its broker."""

from __future__ import annotations

import os

import pytest
import redis

from leaderboard.local import embedded


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A separate home, on a machine whose operator set no broker."""
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setattr(embedded, "_SERVERS", [])
    yield tmp_path
    embedded.stop()


def test_a_running_broker_is_found_and_a_stopped_one_is_not(home, monkeypatch):
    assert embedded.find_broker(home) == ""
    url = embedded.ensure_broker(home)
    monkeypatch.delenv("REDIS_URL")
    assert embedded.find_broker(home) == os.environ["REDIS_URL"] == url
    with redis.from_url(url) as client:
        assert client.ping()
    embedded.stop()
    monkeypatch.delenv("REDIS_URL")
    assert embedded.find_broker(home) == ""
    assert "REDIS_URL" not in os.environ


@pytest.mark.parametrize("left", ["redis://127.0.0.1:1/0", "not an address", ""])
def test_what_a_dead_one_left_is_passed_over(home, left):
    (home / "valkey").mkdir()
    (home / "valkey" / embedded.ADDRESS).write_text(left)
    assert embedded.find_broker(home) == ""


def test_a_broker_that_the_operator_named_is_taken_unasked(home, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379/0")
    assert embedded.find_broker(home) == "redis://elsewhere:6379/0"
