"""Everything a participant does, in a browser, on a real deployment: from the first visit to the export.

gunicorn, Celery and the GPU worker are separate processes, the engine is vLLM; the site is killed in the
middle of the upload. Only the contest is shortened: fewer questions, fewer rounds.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import time
from datetime import timedelta

import pytest
from django.db import connection
from playwright.sync_api import expect

from grader import contest as rules
from leaderboard.contests import loading
from leaderboard.local.processes import Processes
from leaderboard.local.stack import start_gpu_worker, start_site_workers
from leaderboard.models import Submission, Upload, public_figures
from tests import factories, quantised_base
from tests.browser.conftest import grave_findings, shoot
from tests.site_process import SiteProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.vllm,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(600),
]

SHORT = {
    "limit = 160": "limit = 24",
    "limit = 80": "limit = 12",
    "min_rounds = 20": "min_rounds = 6",
    "max_rounds = 80": "max_rounds = 8",
    "max_half_width = 0.4": "max_half_width = 9.0",
    "requests = 16": "requests = 8",
    "concurrency = 16": "concurrency = 8",
}
TEAM, BYTES_PER_S, PADDING = "한강 압축단", 4 << 20, 20 << 20
GRADED_MS = 300_000


@pytest.fixture
def contest(tmp_path, monkeypatch):
    """A shortened demo contest, in force here and in the worker's folder, with the organizers' entries."""
    folder = tmp_path / "contests" / "demo"
    shutil.copytree(rules.find("demo").parent, folder)
    file = folder / "contest.toml"
    text = file.read_text("utf-8")
    for old, new in SHORT.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")
    monkeypatch.setenv("GRADER_CONTESTS", str(folder.parent))
    contest, _ = loading.load(str(file))
    days = timedelta(days=2)
    factories.scored(
        contest=contest, kind="base", title="Base model (bf16)", scheme="bf16", speedup=1, ago=days
    )
    factories.scored(
        contest=contest, kind="reference", title="Reference W8A8", speedup=1.3, ago=days
    )
    other = factories.team(contest=contest, name="Team Nabi")
    factories.scored(
        contest=contest, team=other, scheme="W4A16 g128", accuracy=0.3, speedup=1.1, ago=days
    )
    return contest


@pytest.fixture
def site(contest, tmp_path):
    url = os.environ["DATABASE_URL"]
    old = url.rpartition("/")[2].partition("?")[0]
    url = url.replace(f"/{old}", f"/{connection.settings_dict['NAME']}")
    with SiteProcess(tmp_path, url) as site, Processes(tmp_path / "log") as processes:
        start_site_workers(processes, dict(site.environment))
        start_gpu_worker(processes, site.url)
        yield site


@pytest.fixture
def archive(contest, tmp_path):
    """A real W8A8 of the base model, next to a file that the site ignores and that makes the upload slow."""
    files = quantised_base.w8a8(contest.rules.base_folder)
    return quantised_base.archive(
        tmp_path / "w8a8.zip", {**files, "notes.txt": os.urandom(PADDING)}
    )


@pytest.fixture
def page(visit, request):
    page = visit("about:blank")
    yield page
    # the killed site causes console errors in the browser, which would fail the test
    complaints = request.node.complaints
    complaints[:] = [c for c in complaints if "ERR_" not in c]


def test_from_the_first_visit_to_the_export(site, page, archive, contest):
    become_a_team(page, site.url)
    drag_in(page, archive)
    page.get_by_role("button", name="Upload and submit").click()
    wait_for_a_part()
    site.kill()
    expect(page.locator("#upload-text")).to_contain_text("resumes automatically")
    shoot(page, "path-2-site-away")
    site.start()
    expect(page.locator("h1")).to_contain_text("Submission #", timeout=60_000)
    assert Upload.objects.count() == 1
    watch_it_graded(page)
    row = Submission.objects.get(team__name=TEAM)
    score = public_figures(row.evaluations.get().score, row.contest)
    find_it_on_the_board(page, row, score)
    assert exported(page)[TEAM] == pytest.approx(score.value)


def become_a_team(page, url):
    page.goto(url)
    page.get_by_role("link", name="Take part").click()
    page.get_by_label("User name").fill("minji")
    page.get_by_label("Email").fill("minji@example.org")
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("Team name").fill(TEAM)
    page.get_by_role("button", name="Create team").click()
    expect(page.locator("h1")).to_have_text("Submit")


def drag_in(page, path):
    """Drop the file on the form, over a connection of a few megabytes per second."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
    network.send("Network.emulateNetworkConditions", conditions | {"uploadThroughput": BYTES_PER_S})
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<input type=file id=hand hidden>')"
    )
    page.locator("#hand").set_input_files(path)
    page.evaluate(
        "() => { const files = new DataTransfer(), hand = document.getElementById('hand');"
        " files.items.add(hand.files[0]); hand.remove();"
        " for (const kind of ['dragenter', 'dragover', 'drop']) document.getElementById('drop')"
        ".dispatchEvent(new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true})); }"
    )
    expect(page.locator("#file-facts")).to_contain_text("w8a8.zip")
    shoot(page, "path-1-dropped")


def wait_for_a_part(patience_s=60):
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        row = Upload.objects.first()
        if row is not None and 0 < row.offset_bytes < PADDING:
            return
        time.sleep(0.05)
    raise AssertionError("no part of the upload arrived")


def watch_it_graded(page):
    page.evaluate("globalThis.here = true")  # gone after any reload
    status = page.locator(".status")
    expect(status).to_contain_text("Being graded", timeout=60_000)
    progress = page.locator(".step.current .step-note").first  # questions answered, rounds done
    expect(progress).to_have_text(re.compile(r"\d+/\d+"), timeout=GRADED_MS)
    shoot(page, "path-3-being-graded")
    expect(status).to_contain_text("Scored", timeout=GRADED_MS)
    assert page.evaluate("globalThis.here")
    expect(page.locator("main")).to_contain_text("W8A8 in 28 of 28 linear layers")
    expect(page.locator(".rounds")).to_have_count(2)
    assert grave_findings(page) == []
    shoot(page, "path-4-scored")


def find_it_on_the_board(page, row, score):
    page.get_by_role("link", name="Board", exact=True).click()
    mine = page.locator(".entry.mine")
    expect(mine).to_contain_text(TEAM)
    expect(mine).to_contain_text(f"{score.value:.4f}")
    page.locator("#pareto canvas").wait_for()
    page.locator("#pareto canvas").scroll_into_view_if_needed()  # it stands below the table
    at = page.evaluate(
        "(name) => { const chart = Chart.getChart(document.querySelector('#pareto canvas'));"
        " const i = chart.data.datasets[1].data.findIndex((p) => p.point.name === name);"
        " const { x, y } = chart.getDatasetMeta(1).data[i]; return [x, y]; }",
        TEAM,
    )
    box = page.locator("#pareto canvas").bounding_box()
    page.mouse.click(box["x"] + at[0], box["y"] + at[1])
    expect(
        mine.locator(f"a[href='{row.get_absolute_url()}']")
    ).to_be_visible()  # the point opened its row
    assert grave_findings(page) == []
    shoot(page, "path-5-on-the-board")


def exported(page):
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        return {line["team"]: float(line["score"]) for line in csv.DictReader(file)}
