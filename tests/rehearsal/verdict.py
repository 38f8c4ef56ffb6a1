"""What must hold at the end, read from the database and the disk, and the board computed anew."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from grader.protocol.documents import Report
from grader.schema import decode


class BrokenError(Exception):
    """Something was lost, done twice, or left behind."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenError(what)


def one_outcome_each(good: Collection[int], bad: Collection[int]) -> None:
    """Every accepted entry has exactly one final outcome, the right one, and a result if it is scored."""
    from leaderboard.models import Evaluation, Result, Submission, Transition

    entries = set(Submission.objects.values_list("pk", flat=True))
    require(entries == {*good, *bad}, "entries and answers of the site differ")
    Status = Evaluation.Status
    for one in Evaluation.objects.select_related("score"):
        about = f"entry {one.submission_id}"
        wanted = Status.SCORED if one.submission_id in good else Status.REJECTED
        require(one.status == wanted, f"{about} is {one.status}: {one.problems}")
        ends = Transition.objects.filter(evaluation=one, new=one.status).count()
        require(ends == 1, f"{about} ended {ends} times")
        numbers = list(one.attempts.order_by("number").values_list("number", flat=True))
        require(numbers == list(range(1, one.attempt + 1)), f"{about} has attempts {numbers}")
        results, scores = Result.objects.filter(evaluation=one).count(), one.scores.count()
        scored = one.status == Status.SCORED
        require(results == scores == scored, f"{about}: {results} results, {scores} scores")
    for count in Submission.objects.values_list("pk", flat=True):
        require(
            Evaluation.objects.filter(submission=count).count() == 1, f"entry {count} was doubled"
        )


def board_follows_from_reports(slug: str) -> int:
    """Every score is the formula's, applied to the report as it comes back; returns the teams on the board."""
    from leaderboard import lifecycle
    from leaderboard.board import ranking
    from leaderboard.models import Contest, Evaluation, Result

    contest = Contest.objects.select_related("version").get(pk=slug)
    best: dict[int, float] = {}
    for one in (
        Evaluation.objects.scored().of_contest(contest).select_related("score", "submission")
    ):
        report = decode(Report, lifecycle.whole_report(Result.objects.get(pk=one.pk)))
        fields = lifecycle.score_fields(report, contest.version)
        require(
            lifecycle.is_same(one.score, fields, contest.version),
            f"the score of entry {one.submission_id} is not that of its report",
        )
        team = one.submission.team_id
        best[team] = max(best.get(team, -1.0), one.score.value)
    rows = [entry for entry in ranking.board(contest).entries if entry.team_id is not None]
    require(
        {row.team_id: row.score.value for row in rows} == best, f"the board of {slug} is another"
    )
    values = [row.score.value for row in rows]
    require(values == sorted(values, reverse=True), f"the board of {slug} is out of order")
    return len(best)


def nothing_left(home: Path, scratches: Collection[Path]) -> None:
    """No upload and no folder of a check or a grade stays on a disk."""
    for folder in (home / "incoming", home / "scratch", *scratches):
        found = [file for file in folder.rglob("*") if file.is_file()] if folder.exists() else []
        require(not found, f"left behind: {found[:3]}")
