"""From a folder with a model to a graded entry: newcontest, loadcontest, a worker with a stub engine."""

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


def test_a_drafted_contest_grades_an_entry(live_server, tmp_path):
    base, out = CONTESTS / "demo" / "base_model", tmp_path / "contests" / "drafted"
    call_command(
        "newcontest", "--base", str(base), "--gpu", "cpu", "--out", str(out), "--id", "drafted"
    )
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
        variables = {"GRADER_CONTESTS": str(out.parent)}
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
    assert [len(part["items"]) for part in report["quality"]] == [160, 80]
    base_bytes = contest.rules.base_model.safetensors_bytes
    assert ended.scores.get().safetensors_bytes < 0.7 * base_bytes  # W8A8
