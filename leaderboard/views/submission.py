"""Submitting, and watching what becomes of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from grader.problems import Stage
from leaderboard import lifecycle, queries, submissions
from leaderboard.api.errors import described, problem_body
from leaderboard.forms import SubmitForm
from leaderboard.models import Evaluation, Submission
from leaderboard.views.contest import find

STEPS: list[Stage] = [stage for stage in Stage if stage != Stage.SCORE]


@login_required
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    contest = find(slug)
    team = queries.team_of(request.user, contest)
    if team is None:
        messages.info(request, _("Create a team first: entries belong to teams."))
        return redirect("team_create", slug)
    form = SubmitForm(request.POST or None, request.FILES or None)
    refusal, status = None, 200
    if request.method == "POST" and form.is_valid():
        try:
            evaluation = submissions.enter(
                contest,
                form.cleaned_data["archive"],
                user=request.user,  # type: ignore[arg-type]
                team=team,
                note=form.cleaned_data["note"],
            )
            return redirect(evaluation.submission)
        except submissions.Refused as error:
            refusal, status = problem_body(error.problem), error.status
    elif request.method == "POST":
        status = 400
    context = {
        "contest": contest,
        "rules": contest.rules,
        "team": team,
        "form": form,
        "refusal": refusal,
    }
    return render(request, "leaderboard/submit.html", context, status=status)


def submission(request: HttpRequest, pk: int) -> HttpResponse:
    """The whole page, or only its live part when htmx asks."""
    row = get_object_or_404(queries.visible_submissions(request.user), pk=pk)
    template = "leaderboard/_live.html" if request.htmx else "leaderboard/submission.html"  # type: ignore[attr-defined]
    return render(request, template, _context(request, row))


@require_POST
@login_required
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(queries.visible_submissions(request.user), pk=pk)
    member = row.team and row.team.memberships.filter(user=request.user).exists()  # type: ignore[misc]
    if not member:
        return HttpResponse(status=403)
    evaluation = queries.latest_evaluation(row)
    if lifecycle.cancel(evaluation.pk, by=str(request.user)):
        messages.success(request, _("Cancelled."))
    else:
        messages.warning(request, _("Too late to cancel: it is being graded."))
    return redirect(row)


def _context(request: HttpRequest, row: Submission) -> dict[str, Any]:
    evaluation = queries.latest_evaluation(row)
    stage = Stage(evaluation.stage)
    is_over = evaluation.status not in (Evaluation.Status.QUEUED, Evaluation.Status.RUNNING)
    reached = len(STEPS) if evaluation.status == Evaluation.Status.SCORED else STEPS.index(stage)
    steps = [
        {
            "stage": step,
            "state": "done" if i < reached else "current" if i == reached else "ahead",
        }
        for i, step in enumerate(STEPS)
    ]
    mine = queries.team_of(request.user, row.contest)
    waiting = evaluation.status == Evaluation.Status.QUEUED and evaluation.is_checked
    return {
        "submission": row,
        "contest": row.contest,
        "rules": row.contest.rules,
        "evaluation": evaluation,
        "score": evaluation.score if evaluation.status == Evaluation.Status.SCORED else None,
        "report": queries.report_summary(evaluation),
        "problems": [described(p) for p in evaluation.problems],
        "steps": steps,
        "is_over": is_over,
        "position": queries.queue_position(evaluation) if waiting else None,
        "transitions": list(evaluation.transitions.all()),
        "can_cancel": bool(mine and mine.pk == row.team_id and not is_over
                           and evaluation.status == Evaluation.Status.QUEUED),
    }  # fmt: skip
