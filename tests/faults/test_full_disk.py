"""Disks that are really full: a small file system in a mount namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db.models.functions import Now

from grader.gallery import CASES, Bench, tiny_contest
from grader.problems.catalogue import Problem
from leaderboard.models import Evaluation, Transition
from leaderboard.operations import sweeper
from leaderboard.submissions import preflight

ROOT = Path(__file__).resolve().parents[2]
SMALL = """
mount -t tmpfs -o size={size} none {folder} && exec "$@"
"""
needs_mounts = pytest.mark.skipif(
    subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], check=False
    ).returncode
    != 0,
    reason="this machine allows no mount namespace",
)


def on_a_small_disk(folder: Path, size: str, code: str) -> str:
    """Standard output of Python code that sees ``folder`` as a file system of ``size``."""
    shell = SMALL.format(size=size, folder=folder)
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", shell, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


UNPACK = """
import json, sys
from pathlib import Path
from grader import checkpoint
from grader.gallery import tiny_contest
contest = tiny_contest(Path({contest!r}))
problems = checkpoint.unpack(Path({archive!r}), Path({folder!r}) / "model", contest.limits)
print(json.dumps([[p.code for p in problems], [p.name for p in Path({folder!r}).glob("model/*")]]))
"""


@needs_mounts
# The second cannot be measured beforehand.
@pytest.mark.parametrize("name", ["good-zip", "good-tar-gz"])
def test_a_disk_that_fills_while_unpacking_is_ours(name, tmp_path):
    contest = tiny_contest(tmp_path / "contest")
    case = next(case for case in CASES if case.id == name)
    archive = case.build(Bench(contest, tmp_path))
    small = tmp_path / "small"
    small.mkdir()
    values = {"contest": str(tmp_path / "contest"), "archive": str(archive), "folder": str(small)}
    assert json.loads(on_a_small_disk(small, "100k", UNPACK.format(**values))) == [
        ["SYS_DISK_FULL"],
        [],
    ]
    (codes, files) = json.loads(on_a_small_disk(small, "100m", UNPACK.format(**values)))
    assert (codes, "config.json" in files) == ([], True)  # the same archive fits elsewhere


@pytest.mark.django_db
def test_a_check_that_finds_no_room_is_tried_again_and_costs_the_team_nothing(
    enter_unchecked, monkeypatch, settings
):
    evaluation = enter_unchecked()
    real = preflight.inspect
    full = preflight.checkpoint.Findings((Problem("SYS_DISK_FULL"),))
    monkeypatch.setattr(preflight, "inspect", lambda *_: full)
    with pytest.raises(preflight.CheckError, match="SYS_DISK_FULL"):
        preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.is_checked, evaluation.problems) == ("queued", False, [])
    monkeypatch.setattr(preflight, "inspect", real)
    Evaluation.objects.update(not_before=Now())  # a minute later
    sweeper.sweep()
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.is_checked
    assert not Transition.objects.filter(evaluation=evaluation, new="rejected").exists()
