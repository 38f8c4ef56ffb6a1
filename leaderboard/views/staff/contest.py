"""A contest for its organizers: clock, freezing, revealing, finalizing, evidence, teams."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leaderboard.contests import phases
from leaderboard.contests.schedule import schedule
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Ruling
from leaderboard.organisers import board_control, closing
from leaderboard.views.contest import find
from leaderboard.views.staff.access import acting_user, needs, staff_only, words

TEAMS = 100  # teams listed on the page; a search finds the others


@staff_only
def contest(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, find(slug))


@require_POST
@staff_only
def act(request: HttpRequest, slug: str, verb: str) -> HttpResponse:
    """Freeze, thaw, reveal or finalize."""
    row = find(slug)
    if verb not in board_control.STAMPS and verb != "finalise":
        raise Http404
    needs(request, "direct_contest")
    reason = words(request, "reason")
    try:
        if verb == "finalise":
            if words(request, "name") != row.slug:
                messages.error(
                    request, _("To finalize it, type the contest's name. Nothing was changed.")
                )
                return _page(request, row, status=400)
            closing.finalise(row, by=acting_user(request), reason=reason)
            messages.success(request, _("The result is final. Its evidence is being sealed."))
        elif board_control.direct(row, verb, by=acting_user(request), reason=reason):
            messages.success(request, _("Done, and recorded in the audit log."))
        else:
            messages.warning(request, _("Nothing changed: it was already in that state."))
    except Refused as error:
        messages.error(request, error.line)
        return _page(request, row, status=error.status)
    return redirect("desk_contest", slug)


@staff_only
def evidence(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The archive, streamed. It holds results of private questions, so not all staff may download it."""
    row = find(slug)
    needs(request, "direct_contest")
    try:
        pieces = closing.export(row)
    except Refused as error:
        messages.error(request, error.line)
        return _page(request, row, status=error.status)
    response = StreamingHttpResponse(pieces, content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{row.slug}-evidence.zip"'
    return response


def _page(request: HttpRequest, row: Contest, status: int = 200) -> HttpResponse:
    row = Contest.objects.select_related("version", "pending").get(pk=row.pk)
    search = request.GET.get("q", "").replace("\0", "").strip()[:80]
    teams = row.teams.unmerged().filter(name__icontains=search)
    ruled = Q(rulings__lifted__isnull=True, rulings__kind=Ruling.Kind.DISQUALIFIED)
    teams = teams.annotate(
        entries=Count("submissions", distinct=True),
        out=Count("rulings", filter=ruled, distinct=True),
    )
    context = {
        "contest": row,
        "rules": row.rules,
        "schedule": schedule([row])[0],
        "is_over": all(phase.end <= timezone.now() for phase in row.rules.phases),
        "frozen_since": phases.frozen_since(row),
        "is_revealed": phases.is_revealed(row),
        "obstacles": closing.obstacles(row),
        "seal": closing.sealed(row),
        "may_direct": request.user.has_perm("leaderboard.direct_contest"),
        "search": search,
        "teams": teams.order_by("name")[:TEAMS],
        "team_count": teams.count(),
    }
    return render(request, "leaderboard/staff/contest.html", context, status=status)
