"""Bad input through the site's API: rejected with a reason, without a worker, leaving nothing behind."""

from __future__ import annotations

import html
import io
import json
import random
import zipfile

import pytest

from grader.problems.catalogue import CATALOGUE
from leaderboard.models import Attempt
from leaderboard.submissions import preflight, queries
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def files(contest):
    """The demo base model as a team would send it: name → bytes."""
    base = contest.rules.base_folder
    return {name: (base / name).read_bytes() for name in ("config.json", "model.safetensors")}


def zipped(files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def enter(contest, content):
    team = factories.team(contest=contest)
    return factories.entered(contest=contest, user=team.memberships.get().user, content=content)


def left_on_disk(settings):
    folders = ("uploads", "scratch")
    return [
        path for name in folders for path in (settings.HOME / name).rglob("*") if path.is_file()
    ]


def broken(case, files):
    if case == "not an archive":
        return b"<html>sign in to download</html>"
    if case == "no config":
        del files["config.json"]
    elif case == "no weights":
        del files["model.safetensors"]
    elif case == "pickle":
        files["pytorch_model.bin"] = b"\x80\x04cos\nsystem\n"
    elif case == "architecture":
        config = json.loads(files["config.json"])
        files["config.json"] = json.dumps({**config, "architectures": ["NemotronVL"]}).encode()
    elif case == "truncated":
        files["model.safetensors"] = files["model.safetensors"][:-1000]
    elif case == "traversal":
        files["../../evil.json"] = b"{}"
    return zipped(files)


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("not an archive", "ARCHIVE_FORMAT"),
        ("no config", "LAYOUT_MISSING_CONFIG"),
        ("no weights", "LAYOUT_NO_WEIGHTS"),
        ("pickle", "LAYOUT_FORBIDDEN_FILE"),
        ("architecture", "CONFIG_ARCHITECTURE"),
        ("truncated", "ST_OFFSETS"),
        ("traversal", "ARCHIVE_PATH"),
    ],
)
def test_bad_input_is_rejected_with_a_reason_and_leaves_nothing(
    client, contest, files, settings, case, code, django_capture_on_commit_callbacks
):
    evaluation = enter(contest, broken(case, files))
    with django_capture_on_commit_callbacks(execute=True):
        preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.status == "rejected"
    assert [problem["code"] for problem in evaluation.problems] == [code]
    assert not Attempt.objects.exists()
    assert left_on_disk(settings) == []
    client.force_login(evaluation.submission.user)
    page = client.get(
        evaluation.submission.get_absolute_url(), headers={"Accept-Language": "en"}
    ).content.decode()
    kind = CATALOGUE[code]
    assert code in page
    assert kind.sentence.en in html.unescape(page)
    assert kind.hint.en in html.unescape(page)


def test_good_checkpoint_passes_and_waits_for_a_worker(contest, files, settings):
    evaluation = enter(contest, zipped(files))
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.stage, evaluation.is_checked) == ("queued", "wait", True)
    assert evaluation.facts["safetensors_bytes"] == len(files["model.safetensors"])
    words = evaluation.facts["words"]
    assert "layers" in words["en"] and "레이어" in words["ko"]
    assert evaluation.facts["content_sha256"]
    assert queries.queue_position(evaluation) == 1
    assert len(left_on_disk(settings)) == 1  # the archive, for the worker


@pytest.mark.parametrize("seed", range(16))
def test_a_damaged_upload_is_checked_or_refused_and_breaks_nothing(
    contest, files, settings, seed, django_capture_on_commit_callbacks
):
    """One changed byte anywhere in a good archive, through the site's API and queue."""
    archive, lots = bytearray(zipped(files)), random.Random(seed)
    last = 400 if seed % 2 else len(archive)  # in the table of contents, or anywhere
    archive[-lots.randrange(1, last)] ^= 1 << lots.randrange(8)
    evaluation = enter(contest, bytes(archive))
    with django_capture_on_commit_callbacks(execute=True):
        preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.is_checked or evaluation.status == "rejected"
    assert {problem["code"] for problem in evaluation.problems} <= CATALOGUE.keys()
    assert len(left_on_disk(settings)) == evaluation.is_checked


def test_what_another_contest_refuses_is_a_notice_here(client, contest, files):
    files["tokenizer.json"] = b'{"model": {}}'
    evaluation = enter(contest, zipped(files))
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.is_checked) == ("queued", True)
    client.force_login(evaluation.submission.user)
    page = client.get(evaluation.submission.get_absolute_url()).content.decode()
    assert "TOKENIZER_DIFFERS" in page
    assert "fault-notice" in page
    assert "fault-team" not in page


def test_check_repeated_or_late_changes_nothing(contest, files):
    evaluation = enter(contest, zipped(files))
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    factories.running(evaluation=evaluation)
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.status == "running"
