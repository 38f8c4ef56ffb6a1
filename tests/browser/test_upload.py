"""The official tus-js-client in a real browser against gunicorn: killed, paused, reloaded, one submission."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tarfile
import time

import pytest
from django.db import connection
from django.db.models.functions import Now
from playwright.sync_api import expect

from baseline.checkpoint.packaging import members
from grader.problems.catalogue import Problem
from grader.schema import encode
from leaderboard import lifecycle, uploads
from leaderboard.models import Check, Submission, Upload
from leaderboard.storage import archives
from leaderboard.submissions import dry_run, duplicates, preflight
from tests import factories
from tests.browser.conftest import grave_findings, overflow, session_cookie, shoot
from tests.site_process import SiteProcess

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SIZE = 40 << 20
BYTES_PER_S = 10 << 20


@pytest.fixture
def site(tmp_path):
    url = os.environ["DATABASE_URL"]
    old = url.rpartition("/")[2].partition("?")[0]
    url = url.replace(f"/{old}", f"/{connection.settings_dict['NAME']}")
    with SiteProcess(tmp_path, url) as site:
        yield site


@pytest.fixture
def captain():
    captain = factories.user()
    factories.team(contest=factories.contest(), captain=captain)
    return captain


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(b"PK\x05\x06" + random.Random(7).randbytes(SIZE - 4))
    return path


@pytest.fixture
def page(visit, site, captain, archive):
    """The submit page of the real process, at ten megabytes per second, with the archive chosen."""
    page = visit("about:blank")
    page.context.add_cookies([session_cookie(captain, site.url)])
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
    network.send("Network.emulateNetworkConditions", conditions | {"uploadThroughput": BYTES_PER_S})
    page.goto(f"{site.url}/contests/demo/submit/")
    page.get_by_label("Archive").set_input_files(archive)
    return page


def wait_for_offset(least, patience_s=60):
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        row = Upload.objects.first()
        if row is not None and row.offset_bytes >= least:
            return row.offset_bytes
        time.sleep(0.05)
    raise AssertionError(f"never came to {least} bytes")


def assert_entered_once(page, archive):
    expect(page.locator("h1")).to_contain_text("Submission #", timeout=60_000)
    row = Submission.objects.get()
    assert page.url.endswith(row.get_absolute_url())
    assert row.archive_sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert Upload.objects.count() == 1


@pytest.fixture
def forgive(request):
    """Removes the browser's console errors about the killed site, which would fail the test."""
    yield
    complaints = request.node.complaints
    complaints[:] = [c for c in complaints if "ERR_" not in c]


def test_the_site_is_killed_in_the_middle_and_the_upload_goes_on(site, page, archive, forgive):
    page.get_by_role("button", name="Upload and submit").click()
    before = wait_for_offset(8 << 20)
    site.kill()
    expect(page.locator("#upload-text")).to_contain_text("resumes automatically")
    assert before <= Upload.objects.get().offset_bytes < SIZE
    site.start()
    assert_entered_once(page, archive)


def test_pause_reload_and_the_same_file_again(site, page, archive):
    page.get_by_role("button", name="Upload and submit").click()
    wait_for_offset(8 << 20)
    expect(page.locator("#upload-text")).to_contain_text("MB/s")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#upload-text")).to_contain_text("Paused")
    shoot(page, "upload-paused")
    assert grave_findings(page) == []
    page.reload()
    expect(page.locator(".unfinished")).to_contain_text("model.zip")
    assert grave_findings(page) == []
    assert Upload.objects.get().offset_bytes < SIZE
    shoot(page, "upload-unfinished")
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_role("button", name="Upload and submit").click()
    assert_entered_once(page, archive)


@pytest.fixture
def model(tmp_path):
    """The demo's base model as people have it: with other files and folders next to it."""
    folder = tmp_path / "w4a16 모델"
    shutil.copytree(factories.contest().rules.base_folder, folder)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "config.json").write_text("{}")
    (folder / "README.md").write_text("mine")
    return folder


def assert_the_folder_was_entered(page, folder):
    expect(page.locator("h1")).to_contain_text("Submission #", timeout=60_000)
    row = Submission.objects.get()
    assert row.archive_name == f"{folder.name}.tar"
    with archives.on_disk(row.archive) as path, tarfile.open(path) as tar:
        assert tar.getnames() == ["config.json", "model.safetensors"]
        for name in tar.getnames():
            assert tar.extractfile(name).read() == (folder / name).read_bytes()
    evaluation = row.evaluations.get()
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.is_checked, evaluation.problems


def test_a_folder_is_packed_while_it_is_sent(site, page, model):
    page.locator("#folder").set_input_files(model)
    expect(page.locator("#file-facts")).to_contain_text("files: 2/")
    page.get_by_role("button", name="Upload and submit").click()
    assert_the_folder_was_entered(page, model)
    first = Submission.objects.get()
    page.goto(
        f"{site.url}/contests/demo/submit/"
    )  # once more: the page asks, and the entry is graded again on request
    page.locator("#folder").set_input_files(model)
    page.get_by_role("button", name="Upload and submit").click()
    link = page.get_by_role("link", name=f"Show submission #{first.pk}")
    expect(link).to_have_attribute("href", first.get_absolute_url())
    page.get_by_role("button", name="Measure it again").click()
    expect(page.locator("h1")).to_contain_text("Submission #")
    assert Submission.objects.filter(again=True).count() == 1


def test_of_a_folders_weights_its_index_decides(site, page, model):
    """The same selection as ``baseline package``: leftovers of an earlier save are not sent."""
    facts = page.locator("#file-facts")

    def chosen(count):
        page.locator("#folder").set_input_files(model)
        held = sum(path.is_file() for path in model.iterdir())
        expect(facts).to_contain_text(f"files: {count}/{held}")
        return facts.text_content().split(" · ")[1]

    for name in ("old.safetensors", "._model.safetensors"):
        shutil.copy(model / "model.safetensors", model / name)
    both = chosen(3)  # config and weights that are not hidden
    index = {"weight_map": {"lm_head.weight": "model.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert chosen(3) != both  # config, index and one of the shards
    assert members(model) == ["config.json", "model.safetensors", "model.safetensors.index.json"]


def test_a_folder_is_only_checked(site, page, model):
    page.locator("#folder").set_input_files(model)
    page.get_by_role("button", name="Check only").first.click()
    expect(page.locator("h1")).to_have_text("Check", timeout=60_000)
    dry_run.run(Check.objects.get().key)
    expect(page.locator(".status")).to_have_text("No problems found")
    assert not Submission.objects.exists() and not Upload.objects.exists()


def test_a_folder_is_dropped_and_one_without_a_model_refused(site, page, model, tmp_path):
    empty = tmp_path / "photos"
    empty.mkdir()
    (empty / "cat.jpg").write_bytes(b"x")
    drop(page, empty)
    expect(page.locator("#file-facts")).to_contain_text("does not contain both config.json")
    expect(page.get_by_role("button", name="Upload and submit")).to_be_disabled()
    drop(page, model)
    expect(page.locator("#file-facts")).to_contain_text(f"{model.name}.tar")
    page.get_by_role("button", name="Upload and submit").click()
    assert_the_folder_was_entered(page, model)


def drop(page, path):
    """Drag in a file or folder from this machine, as from a file manager."""
    box = page.locator("#drop").bounding_box()
    at = {"x": box["x"] + 20, "y": box["y"] + 10}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


@pytest.mark.parametrize("look", ["desktop", "phone", "dark", "korean"])
def test_looks(visit, captain, look):
    contest = captain.memberships.get().contest
    row = uploads.create(
        contest, captain, uploads.UploadRequest(size_bytes=90_000_000, name="w4a16-gptq-g128.tar")
    )
    Upload.objects.filter(pk=row.pk).update(offset_bytes=31_000_000)
    context = {
        "desktop": {}, "phone": {"viewport": {"width": 360, "height": 740}},
        "dark": {"color_scheme": "dark"}, "korean": {"locale": "ko-KR"},
    }[look]  # fmt: skip
    page = visit("/contests/demo/submit/", as_user=captain, **context)
    shoot(page, f"submit-{look}")
    assert overflow(page) == 0
    assert grave_findings(page) == []


@pytest.mark.parametrize("look", ["desktop", "phone", "dark", "korean"])
def test_looks_of_a_check_and_of_what_was_entered_before(visit, captain, look):
    contest = captain.memberships.get().contest
    first = factories.submission(contest=contest, team=captain.memberships.get().team)
    held = factories.submission(contest=contest, team=captain.memberships.get().team)
    lifecycle.hold(held.pk, factories.facts(), duplicates.problem_of(first.submission_id))
    row = dry_run.waiting(user=captain, contest=contest, name="w4a16.tar", size_bytes=90_000_000)
    context = {
        "desktop": {}, "phone": {"viewport": {"width": 360, "height": 740}},
        "dark": {"color_scheme": "dark"}, "korean": {"locale": "ko-KR"},
    }[look]  # fmt: skip
    page = visit(row.get_absolute_url(), as_user=captain, **context)
    found = encode([Problem("ST_HEADER", "model.safetensors", "0 B")])
    Check.objects.update(finished=Now(), problems=found, facts=encode(factories.facts()))
    expect(page.locator(".problem")).to_be_visible()  # submitted automatically
    shoot(page, f"check-{look}")
    assert (overflow(page), grave_findings(page)) == (0, [])
    page.goto(held.submission.get_absolute_url())
    shoot(page, f"same-{look}")
    assert (overflow(page), grave_findings(page)) == (0, [])
