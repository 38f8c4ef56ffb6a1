"""From a folder with a model to a graded entry: newcontest, loadcontest, a worker with a stub and with vLLM."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.core.management import call_command

from grader.contest import CONTESTS
from leaderboard import lifecycle
from leaderboard.models import Contest, Evaluation, Result
from leaderboard.submissions import preflight
from tests import factories, quantised_base
from tests.faults.conftest import Box, wait_until
from tests.live_requests import all_answered

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

# What an organizer changes for a first look: fewer questions and rounds, no noise too much.
SHORT = {
    "limit = 160": "limit = 16",
    "limit = 80": "limit = 8",
    "min_rounds = 20": "min_rounds = 4",
    "max_rounds = 80": "max_rounds = 4",
    "max_half_width = 0.4": "max_half_width = 9.0",
}


def shorten(file):
    text = file.read_text("utf-8")
    for old, new in SHORT.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


@pytest.mark.parametrize("engine", ["stub", pytest.param("vllm", marks=pytest.mark.vllm)])
def test_a_drafted_contest_grades_an_entry(engine, live_server, tmp_path):
    base, out = CONTESTS / "demo" / "base_model", tmp_path / "contests" / "of-spring"
    call_command(
        "newcontest", "--base", str(base), "--gpu", "cpu", "--out", str(out), "--id", "drafted"
    )
    variables = {"GRADER_CONTESTS": str(out.parent)}
    if engine == "vllm":
        shorten(out / "contest.toml")
        variables["GRADER_ENGINE"] = ""
    call_command("loadcontest", str(out / "contest.toml"))
    contest = Contest.objects.select_related("version").get(pk="drafted")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in quantised_base.w8a8(base).items():
            archive.writestr(name, data)
    captain = factories.team(contest=contest).memberships.get().user
    entry = factories.entered(contest=contest, user=captain, content=packed.getvalue())
    preflight.check(entry.pk)
    with all_answered():
        worker = Box("drafted", live_server.url, tmp_path, {}, **variables)
        try:
            ended = wait_until(
                lambda: (
                    Evaluation.objects.exclude(status__in=Evaluation.UNFINISHED)
                    .filter(pk=entry.pk)
                    .first()
                ),
                patience_s=480.0,
            )
        finally:
            worker.kill()
    assert ended.status == Evaluation.Status.SCORED, worker.log.read_text("utf-8")[-3000:]
    report = lifecycle.whole_report(Result.objects.get(evaluation=ended))
    assert [part["benchmark"] for part in report["quality"]] == ["word-problems", "choose-solution"]
    questions = [160, 80] if engine == "stub" else [16, 8]
    assert [len(part["items"]) for part in report["quality"]] == questions
    base_bytes = contest.rules.base_model.safetensors_bytes
    assert ended.scores.get().safetensors_bytes < 0.7 * base_bytes  # W8A8
