"""A submission's page: its progress and its result."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django.views.decorators.vary import vary_on_headers

from grader.contest import Contest as Rules
from grader.problems.catalogue import Stage
from leaderboard import lifecycle
from leaderboard.board import cached, ranking
from leaderboard.contests import phases
from leaderboard.core.errors import Refused
from leaderboard.models import Evaluation, Submission, Transition, are_exact
from leaderboard.organisers import rulings
from leaderboard.submissions import duplicates, entering, queries, quota
from leaderboard.submissions.documents import problems_of

STEPS: list[Stage] = list(Stage)


@vary_on_headers("HX-Request")
def submission(request: HttpRequest, pk: int) -> HttpResponse:
    """The whole page, or only its live part for htmx."""
    row = get_object_or_404(queries.visible_submissions(request.user), pk=pk)
    whole, part = "leaderboard/submission.html", "leaderboard/_submission_result.html"
    template = part if request.htmx else whole  # type: ignore[attr-defined]
    return render(request, template, _context(request, row))


@require_POST
@login_required
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(queries.visible_submissions(request.user), pk=pk)
    member = row.team and row.team.memberships.filter(user=request.user).exists()  # type: ignore[misc]
    if not member:
        raise PermissionDenied
    evaluation = queries.current_evaluation(row)
    if lifecycle.cancel(evaluation.pk, by=str(request.user)):
        messages.success(request, _("Cancelled."))
    else:
        messages.warning(request, _("Too late to cancel: it is already being graded."))
    return redirect(row)


@require_POST
@login_required
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Grade an entry that was held as a duplicate of an earlier one."""
    row = get_object_or_404(queries.visible_submissions(request.user), pk=pk)
    if row.team is None or not row.team.memberships.filter(user=request.user).exists():  # type: ignore[misc]
        raise PermissionDenied
    try:
        return redirect(entering.measure_again(row, request.user).submission)  # type: ignore[arg-type]
    except Refused as error:
        messages.error(request, error.line)
        return redirect(row)


def _context(request: HttpRequest, row: Submission) -> dict[str, Any]:
    evaluation = queries.current_evaluation(row)
    exact = request.user.is_staff or are_exact(row.contest)
    report = queries.report_summary(evaluation, exact=exact)
    transitions = list(evaluation.transitions.all())
    is_scored = evaluation.status == Evaluation.Status.SCORED
    mine = queries.team_of(request.user, row.contest)
    waiting = evaluation.status == Evaluation.Status.QUEUED and evaluation.is_checked
    position = queries.queue_position(evaluation) if waiting else None
    is_own = bool(mine and mine.pk == row.team_id)
    rules = row.contest.rules
    return {
        "submission": row,
        "contest": row.contest,
        "rules": rules,
        "benchmarks": {benchmark.id: benchmark for benchmark in rules.benchmarks},
        "shapes": {shape.id: shape for shape in rules.speed.shapes},
        "evaluation": evaluation,
        "score": queries.figures_of(evaluation, row.contest, exact=exact) if is_scored else None,
        "exact": exact,
        "report": report,
        "checks": queries.compliance_of(evaluation) if is_scored and request.user.is_staff else [],
        "problems": problems_of(evaluation),
        "steps": _steps(evaluation, transitions, report, rules),
        "is_over": evaluation.is_finished,
        "poll_s": _poll_s(evaluation, position),
        "position": position,
        "wait_s": cached.queue(row.contest).wait_s(position) if position else None,
        "quota": quota.of(row.team) if is_own and row.team else None,
        "log": _log(evaluation) if is_own or request.user.is_staff else "",
        "transitions": transitions,
        "same": duplicates.named_in(evaluation) if is_own else None,
        "is_held": bool(evaluation.held_until and evaluation.held_until > timezone.now()),
        "in_force": rulings.of_entry(row) if is_own or request.user.is_staff else [],
        "can_cancel": bool(is_own and not evaluation.is_finished
                           and evaluation.status == Evaluation.Status.QUEUED),
        **_repeats(row, evaluation),
        **(_standing(request, row) if is_scored else {}),
        **(_parts(evaluation, report) if is_scored and report else {}),
    }  # fmt: skip


def _repeats(row: Submission, evaluation: Evaluation) -> dict[str, Any]:
    """The other measurements of the same checkpoint, where the contest pools them."""
    pool = evaluation.pool
    if pool is None:
        return {}
    return {
        "repeat_of": pool.first if evaluation.is_repeat else None,
        "confirmation": ranking.confirmations(row.contest).get(row.pk),
        "pooled": len(pool.counted),
    }


def _parts(evaluation: Evaluation, report: dict[str, Any]) -> dict[str, Any]:
    """Accuracy on the public questions; once the private board is revealed, on the others too."""
    parts, score = [("public", report["quality"])], evaluation.score
    if score is None or score.private is None or not phases.is_revealed(evaluation.version.contest):
        return {"accuracy_parts": parts}
    private = queries.report_summary(evaluation, "private")
    parts.append(("private", private["quality"] if private else []))
    return {"accuracy_parts": parts, "private_score": score.of("private")}


def _poll_s(evaluation: Evaluation, position: int | None) -> int:
    """How soon the page polls again: often while something changes, rarely far back in the queue."""
    return 3 if evaluation.status == Evaluation.Status.RUNNING else min(30, 3 + 2 * (position or 0))


def _log(evaluation: Evaluation) -> str:
    """The redacted end of the engine's log, if the last attempt failed."""
    if evaluation.status not in (Evaluation.Status.REJECTED, Evaluation.Status.FAILED):
        return ""
    last = evaluation.attempts.order_by("-number").first()
    return last.log if last else ""


def _steps(
    evaluation: Evaluation,
    transitions: list[Transition],
    report: dict[str, Any] | None,
    rules: Rules,
) -> list[dict[str, Any]]:
    """A submission's stages: how long each took, and which one is current."""
    is_scored = evaluation.status == Evaluation.Status.SCORED
    reached = len(STEPS) if is_scored else STEPS.index(Stage(evaluation.stage))
    durations: dict[str, float] = {}
    checked = next((t for t in transitions if t.code == Transition.Code.CHECKED), None)
    claimed = next((t for t in reversed(transitions) if t.new == Evaluation.Status.RUNNING), None)
    if checked:
        durations[Stage.CHECK] = (checked.created - transitions[0].created).total_seconds()
        if claimed:
            durations[Stage.WAIT] = (claimed.created - checked.created).total_seconds()
    for time in report["stages"] if report else ():
        durations[time["stage"]] = time["duration_s"]
    steps = []
    for i, stage in enumerate(STEPS):
        here = "stopped" if evaluation.is_finished else "current"
        state = "done" if i < reached else here if i == reached else "ahead"
        step = {"stage": stage, "state": state, "duration_s": durations.get(stage)}
        if state == "current" and evaluation.progress.get("stage") == stage:
            step |= {key: evaluation.progress.get(key) for key in ("done", "total")}
            step["note"] = _note(evaluation.progress.get("note") or "", rules)
        steps.append(step)
    return steps


def _note(note: str, rules: Rules) -> str:
    """A worker's note (``latency: warm-up 2``) in the reader's language, with titles for ids."""
    language = get_language() or "en"
    titles = {benchmark.id: benchmark.title(language) for benchmark in rules.benchmarks}
    titles |= {shape.id: shape.title(language) for shape in rules.speed.shapes}
    name, colon, rest = note.partition(": ")
    part = name.removesuffix(" (base)")
    if part not in titles:  # megabytes fetched
        return note
    base, warm_up = _("base model"), _("warm-up")  # makemessages reads no f-strings
    who = f" ({base})" if part != name else ""
    return f"{titles[part]}{who}{colon}{rest.replace('warm-up', warm_up)}"


def _standing(request: HttpRequest, row: Submission) -> dict[str, Any]:
    """The entrant's rank on the board, and the organizers' entries to compare with."""
    board = cached.seen_by(request.user, row.contest)
    ranked = board.ranked
    return {
        "place": next((e for e in ranked if row.team_id and e.team_id == row.team_id), None),
        "teams": len(ranked),
        "yardsticks": [e for e in (board.base, board.reference) if e and e.submission_id != row.pk],
    }
