"""The checker, ``baseline check`` and the site agree on every case: code by code, stage by stage.

This compares problems of a refused checkpoint and notices of an accepted one, with place and detail. So a
verdict at home is also the site's verdict, and an operator's selftest means what the tests mean.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.files import File

from baseline import cli
from grader.contest import Contest as Rules
from grader.gallery import CASES, Bench, Case, find_fault, tiny_contest, verdict
from grader.problems.catalogue import CATALOGUE, Problem
from leaderboard import uploads
from leaderboard.core import errors
from leaderboard.models import Contest, ContestVersion, Submission
from leaderboard.submissions import documents, preflight
from tests import factories

Finding = tuple[str, str, str, str]  # stage, code, where, detail


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    contest = tiny_contest(tmp_path_factory.mktemp("contest"))
    (contest.folder / "tiny.toml").write_text(contest.source, "utf-8")
    return contest


@pytest.fixture
def contest(db: None, rules: Rules) -> Contest:
    """The same rules on the site."""
    row = Contest.objects.create(slug=rules.id)
    row.version = ContestVersion.objects.create(
        contest=row, sha256=rules.sha256, source=rules.source, folder=str(rules.folder)
    )
    row.save()
    return row


def as_found(problem: Problem) -> Finding:
    stage = CATALOGUE[problem.code].stage
    return stage.value, problem.code, problem.where, problem.detail


def at_home(archive: Path, rules: Rules, capsys: pytest.CaptureFixture[str]) -> list[Finding]:
    """The command's output and its exit code."""
    arguments = ["check", str(archive), "--contest", str(rules.folder / "tiny.toml"), "--json"]
    capsys.readouterr()
    code = cli.run(arguments)
    told = json.loads(capsys.readouterr().out)
    assert (code == 0) is told["ok"]
    found = told["problems"] or told["notices"]
    return [(p["stage"], p["code"], p["where"], p["detail"]) for p in found]


def at_the_site(archive: Path, contest: Contest, accepted: bool) -> list[Finding]:
    """What the site refuses on upload, or shows of the evaluation once its queue has checked it."""
    staff = factories.user(is_staff=True)
    with archive.open("rb") as file:
        try:
            submission = uploads.enter_whole(
                contest, staff, File(file), kind=Submission.Kind.SELFTEST
            )
        except errors.Refused as refused:
            return [as_found(Problem(refused.code, detail=refused.detail))]
    preflight.check(submission.evaluations.get().pk)
    shown = documents.submission_json(submission)
    assert shown["status"] == ("queued" if accepted else "rejected")
    return [(p["stage"], p["code"], p["where"], p["detail"]) for p in shown["problems"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_three_ways_agree(
    case: Case, rules: Rules, contest: Contest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = case.build(Bench(rules, tmp_path))
    findings = verdict(archive, rules, tmp_path / "unpacked")
    assert find_fault(case, findings) == ""
    expected = [as_found(problem) for problem in findings.problems or findings.notices]
    if case.stage:
        assert {stage for stage, *_ in expected} == {case.stage.value}
    assert at_the_site(archive, contest, findings.acceptable) == expected
    assert at_home(archive, rules, capsys) == expected
    assert not (tmp_path / "executed").exists()
