"""Entries from the Hugging Face Hub: pinned, refused with a message, checked remotely, handed to a worker."""

from __future__ import annotations

import json
import shutil

import pytest

from grader.checkpoint import find_problems
from grader.protocol.documents import HubSource
from grader.protocol.worker import decode_job
from grader.schema import decode
from grader.worker.fetch import fetch
from grader.worker.settings import Settings
from leaderboard import lifecycle
from leaderboard.accounts import tokens
from leaderboard.models import Evaluation, Submission
from leaderboard.submissions import preflight
from tests import factories, hub_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def hub(tmp_path, contest, settings, monkeypatch):
    """``team/model`` is the demo's base model; an earlier grade may have put the client offline."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    folder = tmp_path / "published"
    shutil.copytree(contest.rules.base_folder, folder)
    with hub_server.serve() as server:
        settings.HF_ENDPOINT = server.url
        server.add("team/model", folder, "a" * 40).branches |= {"v2"}
        yield server


@pytest.fixture
def captain(contest):
    user = factories.user()
    factories.team(contest=contest, captain=user, name="Hangang")
    return user


def call(client, user, scopes=("submit",), **body):
    body = {"repo": "team/model", **body}
    headers = {"Authorization": f"Bearer {tokens.issue_token(user, 'cli', scopes=scopes)}"}
    return client.post(
        "/api/contests/demo/submissions/hub", json.dumps(body), "application/json", headers=headers
    )


def form(client, user, **fields):
    client.force_login(user)
    return client.post("/contests/demo/submit/hub/", {"repo": "team/model", **fields})


def sent_bytes(hub):
    return sum(request.sent_bytes for request in hub.requests)


def test_the_page_enters_a_repository_at_its_commit(client, hub, captain):
    page = client.get("/contests/demo/submit/")
    client.force_login(captain)
    page = client.get("/contests/demo/submit/")
    assert 'name="repo"' in page.content.decode()
    response = form(client, captain, revision="v2", note="from the Hub")
    row = Submission.objects.get()
    assert response.url == row.get_absolute_url()
    assert (row.hub["repo"], row.hub["revision"], row.hub["commit"]) == (
        "team/model",
        "v2",
        "a" * 40,
    )
    assert (row.archive, row.archive_name, row.note) == (
        "",
        "team/model@aaaaaaaaaaaa",
        "from the Hub",
    )
    assert "team/model@aaaaaaaaaaaa" in client.get(response.url).content.decode()


def test_the_api_says_what_was_pinned_and_the_history_may_go_on(client, hub, captain):
    answer = call(client, captain, repo="team/model@v2")
    assert answer.status_code == 201
    body = answer.json()
    assert body["hub"] == {"repo": "team/model", "revision": "v2", "commit": "a" * 40}
    hub.repos["team/model"].commit = "b" * 40
    assert Submission.objects.get().hub["commit"] == "a" * 40


def test_a_token_without_the_scope_enters_nothing(client, hub, captain):
    answer = call(client, captain, scopes=("read",))
    assert (answer.status_code, answer.json()["code"]) == (403, "TOKEN_SCOPE")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("broken id", 400, "HUB_REPO_ID"),
        ("unknown", 404, "HUB_NOT_FOUND"),
        ("private", 404, "HUB_NOT_FOUND"),
        ("gated", 403, "HUB_GATED"),
        ("no revision", 404, "HUB_REVISION"),
        ("too large", 413, "UPLOAD_TOO_LARGE"),
        ("pickle beside", 400, "LAYOUT_FORBIDDEN_FILE"),
        ("no weights", 400, "LAYOUT_NO_WEIGHTS"),
        ("away", 503, "HUB_AWAY"),
        ("switched off", 403, "HUB_OFF"),
        ("closed", 403, "UPLOAD_CLOSED"),
        ("no team", 403, "UPLOAD_NO_TEAM"),
        ("quota", 429, "UPLOAD_QUOTA"),
        ("disqualified", 403, "UPLOAD_DISQUALIFIED"),
    ],
)
def test_refused_with_a_code_and_nothing_is_stored(
    client, hub, contest, captain, settings, case, status, code
):
    repo, text, person = hub.repos["team/model"], "team/model", captain
    if case == "broken id":
        text = "http://169.254.169.254/latest"
    elif case == "unknown":
        text = "team/other"
    elif case == "private":  # although the organizers' token can see it
        settings.HF_TOKEN, repo.private = "hf_organisers", True
    elif case == "gated":
        repo.gated = True
    elif case == "no revision":
        text = "team/model@v9"
    elif case == "too large":
        with (repo.folder / "model.safetensors").open("r+b") as file:
            file.truncate(contest.rules.limits.archive_bytes + 1)
    elif case == "pickle beside":
        (repo.folder / "pytorch_model.bin").write_bytes(b"x")
    elif case == "no weights":
        (repo.folder / "model.safetensors").unlink()
    elif case == "away":
        settings.HF_ENDPOINT = "http://127.0.0.1:9"
    elif case == "switched off":
        settings.HUB_ENTRIES = False
    elif case == "closed":
        contest.is_open = False
        contest.save(update_fields=["is_open"])
    elif case == "no team":
        person = factories.user()
    elif case == "disqualified":
        factories.ruling("disqualified", team=captain.memberships.get().team)
    elif case == "quota":
        team = captain.memberships.get().team
        for _ in range(contest.rules.limits.submissions_per_day):
            factories.submission(contest=contest, team=team)
    before = Submission.objects.count()
    answer = call(client, person, repo=text)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["hint"]
    assert Submission.objects.count() == before
    if case in ("broken id", "switched off", "closed", "no team", "quota", "disqualified"):
        assert hub.requests == []  # no request was made
    if case != "no team":
        page = form(client, person, repo=text)
        if case != "closed":
            assert f'#{code}"' in page.content.decode()
        assert page.status_code == status and Submission.objects.count() == before


def test_the_organisers_token_goes_to_the_endpoint_only(client, hub, captain, settings):
    settings.HF_TOKEN = "hf_organisers"
    with hub_server.serve() as storage:
        storage.repos, hub.storage = hub.repos, storage.url
        evaluation_id = call(client, captain).json()["id"]
        preflight.check(Evaluation.objects.get(submission=evaluation_id).pk)
        assert {r.token for r in hub.requests} == {"Bearer hf_organisers"}
        assert {r.token for r in storage.requests} == {""}


def test_preflight_reads_headers_and_knows_the_content_without_the_weights(
    client, hub, contest, captain, settings
):
    call(client, captain)
    size = (hub.repos["team/model"].folder / "model.safetensors").stat().st_size
    evaluation = Evaluation.objects.get()
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.is_checked) == ("queued", True)
    weights = [r for r in hub.requests if r.path.endswith(".safetensors")]
    assert sum(r.sent_bytes for r in weights) < size / 10
    whole = find_problems(contest.rules.base_folder, contest.rules, scan=True).facts
    assert whole is not None
    assert evaluation.facts["content_sha256"] == whole.content_sha256
    assert evaluation.facts["safetensors_bytes"] == size
    assert list((settings.HOME / "scratch").iterdir()) == []


def test_preflight_refuses_with_the_codes_of_an_archive(client, hub, captain):
    folder = hub.repos["team/model"].folder
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["Nemotron"]}))
    call(client, captain)
    evaluation = Evaluation.objects.get()
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.status == "rejected"
    assert evaluation.problems[0]["code"] == "CONFIG_ARCHITECTURE"


def test_preflight_waits_for_a_hub_that_is_away_and_blames_who_took_it_away(
    client, hub, captain, settings
):
    call(client, captain)
    evaluation = Evaluation.objects.get()
    real = hub.repos.pop("team/model")
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.problems[0]["code"]) == ("rejected", "HUB_GONE")

    hub.repos["team/model"] = real
    call(client, captain)
    second = Evaluation.objects.latest("pk")
    settings.HF_ENDPOINT = "http://127.0.0.1:9"  # a port where nothing listens
    with pytest.raises(preflight.CheckError):
        preflight.check(second.pk)
    second.refresh_from_db()
    assert second.status == "queued"


def test_the_worker_gets_the_list_and_fetches_what_was_pinned(
    client, hub, contest, captain, tmp_path
):
    call(client, captain)
    evaluation = Evaluation.objects.get()
    preflight.check(evaluation.pk)
    _, token = factories.Worker.issue("pbw", name="gpu-9", device="cpu", sandbox="process")
    headers = {"Authorization": f"Bearer {token}"}
    claim = {"worker": "gpu-9", "device": "cpu", "sandbox": "namespace"}
    claim["contests"] = {"demo": contest.rules.sha256}
    answer = client.post(
        "/api/worker/claim", json.dumps(claim), "application/json", headers=headers
    )
    job = decode_job(answer.json())
    assert job.hub == decode(HubSource, Submission.objects.get().hub)
    assert client.get(job.archive_url, headers=headers).status_code == 404
    hub.breaks_after = {"model.safetensors": 1 << 20}
    fetch(
        job.hub, tmp_path / "fetched", contest.rules.limits, Settings(hub_endpoint=hub.url),
        pause=lambda _: None,
    )  # fmt: skip
    facts = find_problems(tmp_path / "fetched", contest.rules, scan=True).facts
    assert facts is not None
    evaluation.refresh_from_db()
    assert facts.content_sha256 == evaluation.facts["content_sha256"]


def test_an_entry_without_an_archive_can_be_withdrawn(client, hub, captain):
    call(client, captain)
    assert lifecycle.cancel(Evaluation.objects.get().pk, by="captain")
