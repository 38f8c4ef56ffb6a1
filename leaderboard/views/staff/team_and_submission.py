"""All records of one team or one submission, for staff, and what staff may decide about them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Model, Q, QuerySet, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leaderboard.board import ranking
from leaderboard.core.errors import Refused
from leaderboard.models import AuditEntry, Evaluation, Result, Ruling, Submission, Team
from leaderboard.organisers import rulings
from leaderboard.submissions import queries, quota
from leaderboard.views.staff.access import acting_user, needs, staff_only, words

ACTS = 50  # audit log entries listed on a page
KINDS = {"disqualify": Ruling.Kind.DISQUALIFIED, "hide": Ruling.Kind.HIDDEN}


@staff_only
def team(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Team.objects.select_related("contest__version"), pk=pk)
    return _team_page(request, row)


@staff_only
def submission(request: HttpRequest, pk: int) -> HttpResponse:
    return _submission_page(request, _submission(pk))


@require_POST
@staff_only
def team_act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Disqualify or hide a team, or grant it more submissions for today."""
    row = get_object_or_404(Team.objects.select_related("contest__version"), pk=pk)
    try:
        if verb == "grant":
            needs(request, "add_quotagrant")
            _grant(request, row)
        elif verb in KINDS:
            _impose(request, Ruling(contest=row.contest, team=row, kind=KINDS[verb]))
        else:
            raise Http404
    except Refused as error:
        messages.error(request, error.line)
        return _team_page(request, row, status=error.status)
    return redirect("desk_team", row.pk)


@require_POST
@staff_only
def submission_act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Disqualify or hide one entry, or find nothing wrong with it."""
    row = _submission(pk)
    if verb not in KINDS and verb != "fine":
        raise Http404
    try:
        if verb == "fine":
            _find_fine(request, row)
            if request.POST.get("from") == "desk":
                return redirect("desk")
            return redirect("desk_submission", row.pk)
        _impose(request, Ruling(contest=row.contest, submission=row, kind=KINDS[verb]))
    except Refused as error:
        messages.error(request, error.line)
        return _submission_page(request, row, status=error.status)
    return redirect("desk_submission", row.pk)


@require_POST
@staff_only
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Lift a ruling, and return to the page of its team or entry."""
    needs(request, "add_ruling")
    ruling = get_object_or_404(
        Ruling.objects.select_related("contest", "team", "submission"), pk=pk
    )
    try:
        if rulings.lift(ruling, by=acting_user(request), reason=words(request, "reason")):
            messages.success(request, _("Lifted. The team has been notified."))
        else:
            messages.warning(request, _("Nothing changed: it was already in that state."))
    except Refused as error:
        messages.error(request, error.line)
    if ruling.team_id:
        return redirect("desk_team", ruling.team_id)
    return redirect("desk_submission", ruling.submission_id)


def _impose(request: HttpRequest, ruling: Ruling) -> None:
    needs(request, "add_ruling")
    ruling.reason = words(request, "reason")
    ruling.evidence = words(request, "evidence")
    rulings.impose(ruling, by=acting_user(request))
    messages.success(request, _("Done, and recorded in the audit log. The team has been notified."))


def _find_fine(request: HttpRequest, row: Submission) -> None:
    needs(request, "add_ruling")
    if rulings.find_fine(row, by=acting_user(request), reason=words(request, "reason")):
        messages.success(request, _("Done, and recorded in the audit log."))
    else:
        messages.warning(request, _("Nothing changed: it was already in that state."))


def _grant(request: HttpRequest, row: Team) -> None:
    text = words(request, "extra")
    extra = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    try:
        quota.grant(row, extra, by=acting_user(request), reason=words(request, "reason"))
    except ValueError:
        messages.error(request, _("A grant needs a number from 1 to 999 and a reason."))
    else:
        messages.success(request, _("Granted for today."))


def _team_page(request: HttpRequest, row: Team, status: int = 200) -> HttpResponse:
    history = queries.team_history(row, exact=True)
    prefetch_related_objects(history, "user")
    flags = _flags([s.evaluation for s in history if s.evaluation])  # type: ignore[attr-defined]
    mine = Ruling.objects.filter(Q(team=row) | Q(submission__team=row)).select_related("submission")
    context = {
        "team": row,
        "contest": row.contest,
        "members": row.memberships.select_related("user").order_by("-is_captain", "created"),
        "quota": quota.of(row),
        "grants": row.quota_grants.order_by("-pk")[:ACTS],
        "entries": [(entry, flags.get(entry.pk, [])) for entry in history],
        "going": ranking.final_entries(row.contest, row).get(row.pk, []),
        "rulings": mine.order_by("-pk"),
        "subject": "team",
        "history": list(row.events.all())[::-1],
        "acts": _acts(row, *history, *mine),
        **_permissions(request, row.contest.finalised_at is not None),
    }
    return render(request, "leaderboard/staff/team.html", context, status=status)


def _submission_page(request: HttpRequest, row: Submission, status: int = 200) -> HttpResponse:
    evaluations = list(
        row.evaluations.select_related("score__version", "worker", "version", "batch")
        .prefetch_related("attempts__worker", "transitions", "scores__version")
        .order_by("-is_current", "-pk")
    )
    current = evaluations[0]
    result = Result.objects.filter(evaluation=current).first()
    about = Q(submission=row) | Q(team=row.team_id, team__isnull=False)
    mine = Ruling.objects.filter(about).select_related("submission", "team").order_by("-pk")
    context = {
        "submission": row,
        "contest": row.contest,
        "evaluation": current,
        "evaluations": evaluations,
        "checks": queries.compliance_of(current),
        "system": result.report.get("system", {}) if result else {},
        "rulings": mine,
        "subject": "submission",
        "acts": _acts(row, *mine),
        **_permissions(request, row.contest.finalised_at is not None),
    }
    return render(request, "leaderboard/staff/submission.html", context, status=status)


def _permissions(request: HttpRequest, is_final: bool) -> dict[str, Any]:
    user = request.user
    return {
        "is_final": is_final,
        "may_rule": user.has_perm("leaderboard.add_ruling") and not is_final,
        "may_grant": user.has_perm("leaderboard.add_quotagrant") and not is_final,
    }


def _flags(evaluations: list[Evaluation]) -> dict[int, list[str]]:
    """Submission → codes of flagged checks, in one query that reads only that part of the reports."""
    stored = Result.objects.filter(evaluation__in=evaluations)
    rows = stored.values_list("evaluation__submission", "report__checks")
    return {
        submission: [check["code"] for check in checks or () if check["flagged"]]
        for submission, checks in rows
    }


def _acts(*things: Model) -> QuerySet[AuditEntry]:
    """Staff actions on any of these, latest first."""
    about = Q(pk__in=[])
    for name in {thing._meta.model_name for thing in things}:
        keys = [str(thing.pk) for thing in things if thing._meta.model_name == name]
        about |= Q(target=name, target_id__in=keys)
    return AuditEntry.objects.filter(about)[:ACTS]


def _submission(pk: int) -> Submission:
    rows = Submission.objects.select_related("contest__version", "team", "user")
    return get_object_or_404(rows, pk=pk)
