"""Reads about submissions: who may open them, which evaluation is current, where it is in the queue."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.utils.translation import get_language

from grader.contest import Contest as Rules
from grader.problems.catalogue import CATALOGUE
from grader.protocol.documents import Check, Item, Report
from grader.schema import decode, encode
from grader.scoring import compliance
from grader.scoring.parts import Part, questions
from grader.scoring.stats import Z975
from leaderboard import lifecycle
from leaderboard.models import (
    Contest,
    ContestVersion,
    Evaluation,
    PartScore,
    Result,
    Submission,
    Team,
    public_figures,
)


def team_of(user: User | AnonymousUser, contest: Contest) -> Team | None:
    """The user's team in a contest."""
    if not isinstance(user, User):
        return None
    return Team.objects.filter(contest=contest, memberships__user=user).first()


def visible_submissions(user: User | AnonymousUser) -> QuerySet[Submission]:
    """What a person may open: their team's, the organizers' entries, and everything for staff."""
    everything = Submission.objects.select_related("team", "contest__version", "user")
    organisers = everything.filter(kind__in=(Submission.Kind.BASE, Submission.Kind.REFERENCE))
    if not isinstance(user, User):
        return organisers
    if user.is_staff:
        return everything
    return organisers | everything.filter(team__in=user.memberships.values("team"))


def current_evaluation(submission: Submission) -> Evaluation:
    """The current evaluation of a submission."""
    rows = submission.evaluations.select_related(
        "score__version", "worker", "version", "pool__first"
    )
    return rows.current().get()


def current_evaluations(submissions: Iterable[Submission]) -> dict[int, Evaluation]:
    """The current evaluation of each submission, in one query."""
    found = Evaluation.objects.current().filter(submission__in=submissions)
    return {row.submission_id: row for row in found.select_related("score")}


def queue_position(evaluation: Evaluation) -> int:
    """1 for the evaluation that the next free worker gets."""
    ahead = Evaluation.objects.filter(
        status=Evaluation.Status.QUEUED, version__contest=evaluation.version.contest_id
    ).filter(
        Q(priority__gt=evaluation.priority) | Q(priority=evaluation.priority, pk__lt=evaluation.pk)
    )
    return ahead.count() + 1


def figures_of(
    evaluation: Evaluation, contest: Contest, *, exact: bool = False
) -> PartScore | None:
    """The public score that may be shown; ``exact``: to staff."""
    if evaluation.score is None:
        return None
    return public_figures(evaluation.score, contest, exact=exact)


def team_history(team: Team, *, exact: bool = False) -> list[Submission]:
    """A team's submissions, newest first, with ``evaluation``, the current one, and ``shown``, its score."""
    rows = list(team.submissions.order_by("-pk"))
    current = current_evaluations(rows)
    for row in rows:
        evaluation = current.get(row.pk)
        row.evaluation = evaluation  # type: ignore[attr-defined]
        row.shown = (  # type: ignore[attr-defined]
            figures_of(evaluation, team.contest, exact=exact) if evaluation else None
        )
    return rows


def report_summary(
    evaluation: Evaluation, part: Part = "public", *, exact: bool = True
) -> dict[str, Any] | None:
    """The stored report as pages show it; None before it exists.

    Benchmark values are over ``part`` alone, and questions are not listed, so the private questions and their
    results cannot be read from it. A benchmark removed from the contest since the measurement is left out, and
    one without a question in ``part``.

    Args:
        exact: False: without what each benchmark's public questions came out as; only the accuracy over all of
            them is shown (``models.figures``).
    """
    result = Result.objects.filter(evaluation=evaluation).first()
    if result is None:
        return None
    rules, measured = _rules_of(evaluation), lifecycle.whole_report(result)
    benchmarks = {benchmark.id: benchmark for benchmark in rules.benchmarks}
    quality = []
    for row in measured["quality"]:
        if benchmark := benchmarks.get(row["benchmark"]):
            items = [Item(**item) for item in row["items"]]
            asked = questions(rules, benchmark, items, part)
            if not asked:
                continue
            figures = _paired(asked)
            if exact:
                quality.append({**row, **figures})
            else:
                kept = {key: value for key, value in row.items() if key not in figures}
                base = round(figures["base_value"], 2)
                quality.append({**kept, "items": figures["items"], "base_value": base})
    shown = {**measured, "quality": quality, "contest_sha256": _public_name(measured, evaluation)}
    for key in ("checks", "likelihoods"):  # for organizers only, through compliance_of
        shown.pop(key, None)
    return shown


def compliance_of(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Compliance checks of a graded submission, flagged ones first. For organizers only."""
    result = Result.objects.filter(evaluation=evaluation).first()
    if result is None:
        return []
    report = decode(Report, lifecycle.whole_report(result))
    rules = _rules_of(evaluation)
    checks = compliance.checks(report, rules)
    checks += [decode(Check, check) for check in evaluation.site_checks]
    if again := lifecycle.graded_again(evaluation, report):
        checks += compliance.repeatability(report, again, rules)
    language = "ko" if (get_language() or "en").startswith("ko") else "en"
    return [
        {
            **encode(check),
            "figures": check.words.get(language) or check.detail,
            "sentence": CATALOGUE[check.code].sentence(language),
            "hint": CATALOGUE[check.code].hint(language),
        }
        for check in sorted(checks, key=lambda check: not check.flagged)
    ]


def _public_name(measured: dict[str, Any], evaluation: Evaluation) -> str:
    """The version that was measured, by a digest that does not depend on the salt."""
    sha256, version = measured["contest_sha256"], evaluation.version
    if sha256 != version.sha256:
        alike = ContestVersion.objects.filter(contest=version.contest_id, sha256=sha256)
        version = alike.first() or version
    return version.rules.public_sha256


def _rules_of(evaluation: Evaluation) -> Rules:
    """The rules for reading a report: those of the score, which a rescore changes, if there is one.

    They say which questions are private, so a page using other rules would leak some of them.
    """
    return (evaluation.score or evaluation).version.rules


def _paired(items: list[Item]) -> dict[str, float]:
    """Means with their standard errors, and the paired difference from the base model with its half-width."""
    own, base = [item.value for item in items], [item.base_value for item in items]
    differences = [item.value - item.base_value for item in items]
    difference, error = _mean_and_error(differences)
    own_mean, own_error = _mean_and_error(own)
    base_mean, base_error = _mean_and_error(base)
    return {
        "items": len(items),
        "value": own_mean,
        "stderr": own_error,
        "base_value": base_mean,
        "base_stderr": base_error,
        "difference": difference,
        "difference_half_width": Z975 * error,
        "won": sum(d > 0 for d in differences),
        "lost": sum(d < 0 for d in differences),
    }


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return sum(values), 0.0
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
