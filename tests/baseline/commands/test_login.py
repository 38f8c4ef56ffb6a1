from __future__ import annotations

import io
import json
import stat
import sys
import types

import pytest

from baseline.remote import credentials
from baseline.remote.client import Site
from baseline.terminal.errors import CliError

ME = ("GET", "/api/me")


@pytest.fixture
def token_file(tmp_path):
    return tmp_path / "config" / "paretoboard" / "credentials.json"


@pytest.fixture
def login(run, site, monkeypatch):
    def call(token="secret-token"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(token + "\n"))
        return run("login", "--site", site.url, "--token-stdin")

    return call


def test_the_token_is_tried_then_kept_where_only_the_owner_reads(login, site, token_file, run):
    site.answers[ME] = (200, {"user": "mina", "teams": ["us"]})
    code, out, err = login()
    assert (code, "mina" in out) == (0, True)
    assert "secret-token" not in out + err
    assert site.requests[0]["headers"]["authorization"] == "Bearer secret-token"
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(token_file.parent.stat().st_mode) == 0o700
    site.answers["GET", "/api/submissions/7"] = (200, {"id": 7, "status": "queued"})
    assert run("status", "7")[0] == 0  # site and token are remembered
    assert site.requests[-1]["headers"]["authorization"] == "Bearer secret-token"


def test_a_refused_token_is_not_kept(login, site, token_file):
    site.answers[ME] = (
        401,
        {"code": "TOKEN_INVALID", "message": "Unknown token.", "hint": "New one?"},
    )
    code, _, err = login()
    assert (code, "TOKEN_INVALID Unknown token." in err) == (3, True)
    assert not token_file.exists()


@pytest.mark.parametrize("token", ["", "two words", "bell\x07", "비밀", "se\rkret"])
def test_what_cannot_be_a_token_is_neither_sent_nor_shown(login, site, token, run, monkeypatch):
    code, out, err = login(token)
    assert (code, "TOKEN_" in err) == (2, True)
    assert site.requests == [] and (not token or token not in out + err)
    if token:
        monkeypatch.setenv("BASELINE_TOKEN", token)
        code, out, err = run("board", "-c", "demo", "--site", site.url)
        assert (code, "TOKEN_MALFORMED" in err, token in out + err) == (2, True, False)
        assert site.requests == []


@pytest.mark.parametrize("token", ["sekret\r", " sekret\n"])
def test_a_line_end_is_no_part_of_a_token(run, site, monkeypatch, token):
    site.answers["GET", "/api/submissions/7"] = (200, {"id": 7, "status": "queued"})
    monkeypatch.setenv("BASELINE_TOKEN", token)
    assert run("status", "7", "--site", site.url)[0] == 0
    assert site.requests[-1]["headers"]["authorization"] == "Bearer sekret"


def test_a_header_that_cannot_be_sent_is_not_quoted(site):
    with Site(site.url, "sekret\r") as client, pytest.raises(CliError) as caught:
        client.me()
    assert caught.value.code == "SITE_UNREACHABLE" and "sekret" not in caught.value.message


def test_logout_forgets(login, site, run):
    site.answers[ME] = (200, {"user": "mina", "teams": []})
    login()
    assert credentials.token_for(site.url) == "secret-token"
    code, out, _ = run("logout", "--site", site.url, "--json")
    assert (code, json.loads(out)["forgotten"]) == (0, True)
    assert credentials.token_for(site.url) == ""


def test_option_beats_environment_beats_file(monkeypatch, run, site):
    credentials.save(site.url, "from-file")
    site.answers["GET", "/api/submissions/7"] = (200, {"id": 7, "status": "queued"})
    seen = []
    for environment, option in (
        ("", []),
        ("from-env", []),
        ("from-env", ["--token", "from-option"]),
    ):
        if environment:
            monkeypatch.setenv("BASELINE_TOKEN", environment)
        run("status", "7", *option)
        seen.append(site.requests[-1]["headers"]["authorization"])
    assert seen == ["Bearer from-file", "Bearer from-env", "Bearer from-option"]


def test_a_keyring_is_preferred_and_a_locked_one_is_not_the_end(monkeypatch, token_file):
    kept: dict[tuple[str, str], str] = {}
    ring = types.SimpleNamespace(
        set_password=lambda s, u, t: kept.__setitem__((s, u), t),
        get_password=lambda s, u: kept.get((s, u)),
    )
    monkeypatch.setattr(credentials, "_keyring", lambda: ring)
    assert credentials.save("https://a.example", "t1") == "the system keyring"
    assert "t1" not in token_file.read_text()
    assert credentials.token_for("https://a.example") == "t1"

    def locked(*_):
        raise RuntimeError("locked")

    ring.set_password = locked
    assert credentials.save("https://b.example", "t2") == str(token_file)
    assert credentials.token_for("https://b.example") == "t2"


def test_a_damaged_file_is_no_traceback(run, token_file):
    token_file.parent.mkdir(parents=True)
    token_file.write_text("{half")
    code, _, err = run("status", "7")
    assert (code, "SITE_UNKNOWN" in err) == (2, True)


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1",
        "http://a:b",
        "http://a b",
        "http://a\n",
        "https://",
        "http://xn--zz.\udcff",
        "ftp://a",
    ],
)
def test_what_is_no_address_is_one_line(run, address):
    code, _, err = run("login", "--site", address, "--token", "t")
    assert (code, "SITE_ADDRESS" in err, "→" in err) == (2, True, True)


@pytest.mark.parametrize("contest", ["demo\n", "de mo", "a/../b", "\udcff", "x?y#z"])
def test_a_contest_is_one_part_of_the_address(run, site, contest):
    code, _, err = run("board", "-c", contest, "--site", site.url)
    assert (code, "NOT_FOUND" in err) == (3, True)
    assert site.requests[-1]["path"].count("/") == 4
