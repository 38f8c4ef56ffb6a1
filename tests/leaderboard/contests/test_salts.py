"""A contest's salt on the site: refused, generated, kept; and it leaves the site nowhere."""

from __future__ import annotations

import hashlib
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from grader import contest as rules
from grader.protocol.worker import decode_job, encode_job
from grader.worker.run import contest_of
from grader.worker.settings import Settings
from leaderboard import lifecycle
from leaderboard.accounts.tokens import issue_token
from leaderboard.contests import loading
from leaderboard.models import Contest, ContestVersion
from leaderboard.operations import doctor
from tests import factories
from tests.leaderboard.batches import town

pytestmark = pytest.mark.django_db
DRAWS_SALTS = True  # see tests/conftest.py
NEW = "0b7e2fd9a1c84e6f93d5582c7a16e0f4"


def demo_with(folder: Path, line: str) -> Path:
    path = town.file_of(folder, town.SALTED)
    path.write_text(path.read_text("utf-8").replace(f'split_salt = "{town.SALT}"', line), "utf-8")
    return path


def used() -> str:
    return Contest.objects.get().rules.split_salt


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("our-secret", "SPLIT_SALT_SHORT"),
        ("demo-2026", "SPLIT_SALT_SHIPPED"),
        (hashlib.md5(b"demo").hexdigest(), "SPLIT_SALT_GUESSABLE"),
    ],
)
def test_a_weak_salt_is_refused_with_its_line(tmp_path, value, code):
    path = demo_with(tmp_path, f'split_salt = "{value}"')
    with pytest.raises(CommandError) as caught:
        call_command("loadcontest", str(path), "--skip-prompts")
    line = path.read_text("utf-8").splitlines().index(f'split_salt = "{value}"') + 1
    assert str(caught.value).startswith(f"{path}:{line}: split_salt: {code}: ")
    assert value not in str(caught.value).replace(str(path), "")
    assert not Contest.objects.exists()


def test_a_contest_without_a_private_question_needs_no_salt(tmp_path):
    path = demo_with(tmp_path, 'split_salt = "short"')
    text = path.read_text("utf-8")
    text = text.replace('public_share = 0.0\ntwin_of = "gsm8k"\n', "")
    text = text.replace("[[benchmarks]]", "[[benchmarks]]\npublic_share = 1.0")
    path.write_text(text, "utf-8")
    loading.load(str(path))


def test_a_file_without_one_gets_one_that_stays(tmp_path):
    path = demo_with(tmp_path, "")
    contest, _ = loading.load(str(path))
    generated = used()
    assert len(generated) == 32 and generated not in path.read_text("utf-8")
    loading.load(str(path))
    assert used() == generated
    path.write_text(
        path.read_text("utf-8").replace("submissions_per_day = 20", "submissions_per_day = 9")
    )
    _, changed = loading.load(str(path))
    assert changed and used() == generated
    factories.scored(contest=contest)
    assert loading.plan(str(path)).changes == []
    other, _ = loading.load(str(demo_with(tmp_path, f'split_salt = "{NEW}"')))
    assert other.pending.rules.split_salt == NEW, "another split waits for its rescore"
    assert used() == generated


def test_two_sites_split_differently(tmp_path):
    loading.load("demo")
    first = used()
    ContestVersion.objects.all()
    Contest.objects.update(version=None)
    ContestVersion.objects.all().delete()
    loading.load("demo")
    assert used() != first


def test_an_event_that_runs_keeps_its_old_salt_and_doctor_says_so(tmp_path):
    old = factories.contest()  # with a salt that was shipped once
    factories.scored(contest=old)
    with translation.override("en"):
        said = [f for f in doctor.contests() if f.subject == "split of demo"]
    assert [f.level for f in said] == ["warning"]
    assert "everybody knows it" in said[0].text
    assert "openssl rand -hex 16" in said[0].hint
    contest, _ = loading.load(str(demo_with(tmp_path, "")))
    assert contest.pending is None
    assert used() == factories.SPLIT_SALT
    contest, _ = loading.load(str(demo_with(tmp_path, f'split_salt = "{factories.SPLIT_SALT}"')))
    assert contest.pending is None, "the same salt in the file changes nothing"


def test_doctor_is_content_with_a_generated_salt(tmp_path):
    loading.load(str(demo_with(tmp_path, "")))
    assert [f for f in doctor.contests() if f.subject == "split of demo"] == []


def test_before_the_first_score_a_weak_salt_makes_way_for_a_new_one(tmp_path):
    factories.contest()
    loading.load(str(demo_with(tmp_path, "")))
    assert used() != factories.SPLIT_SALT
    assert len(used()) == 32


def test_a_worker_learns_a_generated_salt_with_the_job(tmp_path):
    contest, _ = loading.load(str(demo_with(tmp_path, "")))
    factories.checked(evaluation=factories.submission(contest=contest))
    worker = factories.worker()
    job = lifecycle.claim(worker, {"demo": contest.rules.sha256})
    settings = Settings(site_url="http://x", token="t", contests=(tmp_path,))
    document = json.loads(json.dumps(encode_job(job)))
    assert contest_of(decode_job(document), settings).split_salt == used()


def test_a_job_for_a_file_with_a_salt_is_as_it_was(tmp_path):
    contest, _ = loading.load(str(town.file_of(tmp_path, town.SALTED)))
    factories.checked(evaluation=factories.submission(contest=contest))
    job = lifecycle.claim(factories.worker(), {"demo": contest.rules.sha256})
    assert "split_salt" not in encode_job(job)


def test_no_page_or_document_has_the_salt_or_a_digest_of_it(tmp_path, client):
    contest, _ = loading.load(str(town.file_of(tmp_path, town.SALTED)))
    team = factories.team(contest=contest)
    row = factories.scored(contest=contest, team=team)
    captain = team.memberships.get().user
    client.force_login(captain)
    bearer = {"Authorization": f"Bearer {issue_token(captain, 'test')}"}
    own = f"/submissions/{row.submission_id}/"
    pages = [
        "/", "/contests/demo/", "/contests/demo/rules/", "/contests/demo/board.json", own,
        f"/api{own[:-1]}", f"/api{own}report", f"/api{own}logs", "/api/contests", "/api/contests/demo",
        f"/teams/{team.pk}/",
    ]  # fmt: skip
    secret = [
        contest.rules.sha256[:12],
        town.SALT[:12],
        hashlib.sha256(town.SALT.encode()).hexdigest()[:12],
    ]
    for page in pages:
        answer = client.get(page, headers=bearer if page.startswith("/api") else {})
        assert answer.status_code == 200, page
        text = answer.getvalue().decode()
        assert [one for one in secret if one in text] == [], page
    assert client.get("/api/contests/demo").json()["sha256"] == contest.rules.public_sha256
    assert (
        contest.rules.public_sha256[:12] in client.get("/contests/demo/rules/").getvalue().decode()
    )


PRIVATE = """
[[benchmarks]]
id = "twins"
title = { en = "Twins", ko = "쌍둥이" }
task = "demo_twins"
metric = "exact_match,flexible-extract"
weight = 0.1
public_share = 0.0

[[benchmarks]]"""


def test_the_copy_for_participants_has_all_they_need_and_no_secret(tmp_path):
    folder = tmp_path / "event"
    folder.mkdir()
    path = town.file_of(
        folder, town.SALTED, ("weight = 0.64", "weight = 0.54"), ("[[benchmarks]]", PRIVATE[1:])
    )
    for name in ("tasks", "data"):
        original = (folder / name).resolve()
        (folder / name).unlink()
        (folder / name).mkdir()
        for file in original.iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
    task = (folder / "tasks/demo_gsm8k.yaml").read_text("utf-8").replace("demo_gsm8k", "demo_twins")
    (folder / "tasks/demo_twins.yaml").write_text(
        task.replace("test.jsonl", "twins.jsonl"), "utf-8"
    )
    (folder / "data/twins.jsonl").write_text('{"question": "hidden"}\n', "utf-8")
    (folder / "rules.md").write_text("# Ours\n", "utf-8")
    contest, _ = loading.put(loading.plan(str(path), any_task=True), by="test")
    out, said = tmp_path / "copy", StringIO()
    call_command("contest", "public-copy", "demo", "--out", str(out), stdout=said)
    files = {str(file.relative_to(out)): file for file in out.rglob("*") if file.is_file()}
    assert not any(town.SALT.encode() in file.read_bytes() for file in files.values())
    copied = rules.load(out / "contest.toml")
    assert (copied.split_salt, copied.sha256) == ("", contest.rules.public_sha256)
    assert copied.grading_sha256 == contest.rules.grading_sha256
    assert {"rules.md", "base_model/config.json", "base_model/model.safetensors", "data/train.jsonl",
            "data/test.jsonl", "tasks/demo_gsm8k.yaml", "tasks/demo_choice.yaml"} < set(files)  # fmt: skip
    assert "data/twins.jsonl" not in files and "tasks/demo_twins.yaml" not in files
    prompts = "data/speed_prompts.jsonl"
    assert files[prompts].read_bytes() != (folder / prompts).read_bytes()
    assert "data/twins.jsonl: left out" in said.getvalue()
    assert f"{prompts}: replaced by another" in said.getvalue()
    with pytest.raises(CommandError, match="already exists"):
        call_command("contest", "public-copy", "demo", "--out", str(out))
    with pytest.raises(CommandError, match="loadcontest"):
        call_command("contest", "public-copy", "nothing", "--out", str(tmp_path / "x"))


def test_a_bundled_contest_of_the_hub_is_copied_without_what_is_not_there(tmp_path):
    loading.load("aimers8")
    call_command(
        "contest", "public-copy", "aimers8", "--out", str(tmp_path / "copy"), stdout=StringIO()
    )
    copied = rules.load(tmp_path / "copy/contest.toml")
    assert (copied.folder / "aimers8/tasks/kmmlu_pro.yaml").is_file()
    assert (copied.folder / copied.speed.prompts).is_file()
    assert (copied.folder / "rules.ko.md").is_file()
