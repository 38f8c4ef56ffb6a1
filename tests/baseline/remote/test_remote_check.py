"""``baseline check --remote``: the site's verdict on an upload or a repository, without an entry."""

from __future__ import annotations

import json

import pytest

from baseline.remote import remote_check
from tests.baseline.conftest import FakeUploads

GET = ("GET", "/api/checks/k9")
CREATE = ("POST", "/api/contests/demo/checks")
PROBLEM = {"code": "ST_HEADER", "stage": "check", "where": "model.safetensors", "detail": "0 B",
           "sentence": "No header.", "hint": "Save it again."}  # fmt: skip
WAITING = {"key": "k9", "url": "/c/k9", "state": "waiting", "problems": [], "notices": [],
           "scheme": "", "safetensors_bytes": 0, "content_sha256": ""}  # fmt: skip
PASSED = {**WAITING, "state": "passed", "scheme": "W4A16 g128", "safetensors_bytes": 900_000}
REFUSED = {**WAITING, "state": "refused", "problems": [PROBLEM]}


@pytest.fixture
def check(run, site, monkeypatch):
    monkeypatch.setattr(remote_check, "POLL_S", 0.0)

    def call(*arguments):
        return run(
            "check", *arguments, "--remote", "-c", "demo", "--site", site.url, "--token", "t"
        )

    return call


def test_a_folder_is_sent_to_be_checked_only(checkpoint, check, site):
    uploads = FakeUploads(site, (201, WAITING))
    site.answers[GET] = [(200, WAITING), (200, PASSED)]
    code, out, err = check(checkpoint)
    assert (code, uploads.facts["only_check"]) == (0, "1")
    assert "No problems found: W4A16 g128" in out and "/c/k9" in err


def test_a_problem_is_exit_1_in_words_and_in_json(check, site):
    site.answers[CREATE] = (201, WAITING)
    site.answers[GET] = (200, REFUSED)
    code, out, _ = check("--hub", "team/model@v2")
    assert code == 1 and "ST_HEADER model.safetensors: No header." in out
    assert json.loads(site.requests[0]["body"]) == {"repo": "team/model@v2"}
    code, out, _ = check("--hub", "team/model", "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["problems"][0]["code"]) == (1, False, "ST_HEADER")


def test_a_site_that_does_not_come_to_it_is_not_waited_for_for_ever(check, site, monkeypatch):
    monkeypatch.setattr(remote_check, "PATIENCE_S", -1.0)
    site.answers[CREATE] = (201, WAITING)
    code, _, err = check("--hub", "team/model")
    assert code == 3 and "CHECK_WAITS" in err and "/c/k9" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((), "CHECKPOINT_MISSING"), (("nowhere",), "CHECKPOINT_NOT_FOUND")],
)
def test_what_is_to_be_checked_must_be_said(check, site, arguments, expected):
    code, _, err = check(*arguments)
    assert (code, site.requests) == (2, []) and expected in err


def test_a_check_that_broke_off_is_not_taken_for_an_entry(checkpoint, check, run, site):
    """If an upload for a check stops halfway, `submit` must not resume it for the same archive."""
    uploads = FakeUploads(site, (201, WAITING))
    refusal = {"code": "UPLOAD_DISK_FULL", "message": "Full.", "hint": "Later."}
    site.answers["POST", f"{uploads.ADDRESS}/submission"] = (507, refusal)
    assert check(checkpoint)[0] == 3
    site.answers["POST", f"{uploads.ADDRESS}/submission"] = (201, {"id": 7, "url": "/s/7"})
    uploads.received.clear()
    run("submit", checkpoint, "--no-check", "-c", "demo", "--site", site.url, "--token", "t")
    assert uploads.creations == 2 and "only_check" not in uploads.facts
