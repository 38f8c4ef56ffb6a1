"""The submit page, in plain forms that work without scripts, and the unfinished uploads on it."""

from __future__ import annotations

import json
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django.views.decorators.vary import vary_on_headers

from grader.checkpoint.layout import PACKING
from leaderboard import uploads
from leaderboard.core.errors import Refused
from leaderboard.core.rate_limits import creating
from leaderboard.models import Check, Contest, Team, Upload
from leaderboard.submissions import dry_run, hub, queries, quota
from leaderboard.submissions.documents import check_json
from leaderboard.submissions.forms import HubForm, SubmitForm
from leaderboard.views.contest import find


@login_required
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    contest = find(slug)
    team = queries.team_of(request.user, contest)
    if team is None:
        messages.info(request, _("Create a team first: submissions belong to teams."))
        return redirect("team_create", slug)
    form = SubmitForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            archive, user = form.cleaned_data["archive"], cast(User, request.user)
            if request.POST.get("only_check"):
                return redirect(uploads.check_whole(contest, user, archive))
            about = {name: form.cleaned_data[name] for name in ("note", "again")}
            return redirect(uploads.enter_whole(contest, user, archive, **about))
        except Refused as error:
            return _page(request, contest, team, error, form=form)
    status = 400 if request.method == "POST" else 200
    return _page(request, contest, team, form=form, status=status)


@require_POST
@login_required
@creating("hub", 60)
def from_hub(request: HttpRequest, slug: str) -> HttpResponse:
    """Enter a repository on the Hub, which is queried within the request."""
    contest = find(slug)
    team = queries.team_of(request.user, contest)
    if team is None:
        return redirect("team_create", slug)
    form = HubForm(request.POST, auto_id="id_hub_%s")
    if not form.is_valid():
        return _page(request, contest, team, hub_form=form, status=400)
    words = form.cleaned_data
    try:
        if request.POST.get("only_check"):
            user: Any = request.user
            return redirect(dry_run.enter(contest, words["repo"], words["revision"], user=user))
        evaluation = hub.enter(
            contest,
            words["repo"],
            words["revision"],
            user=request.user,  # type: ignore[arg-type]
            team=team,
            note=words["note"],
            again=words["again"],
        )
    except Refused as error:
        return _page(request, contest, team, error, hub_form=form)
    return redirect(evaluation.submission)


@login_required
@vary_on_headers("HX-Request")
def check(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """A check's result: the whole page for its owner, or only the live part for htmx."""
    row = get_object_or_404(Check, pk=key, contest=slug, user=request.user)
    template = "leaderboard/_check_result.html" if request.htmx else "leaderboard/check.html"  # type: ignore[attr-defined]
    found = find(slug)
    return render(request, template, {
        "check": check_json(row), "contest": found, "rules": found.rules,
    })  # fmt: skip


@require_POST
@login_required
def enter(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Submit a complete upload that was refused earlier, or never submitted."""
    row = _own(request, slug, key)
    try:
        if row.only_check:
            return redirect(uploads.check(row))
        return redirect(uploads.finish(row, again=request.POST.get("again") == "1"))
    except uploads.Conflict:
        return redirect("submit", slug)
    except Refused as error:
        team = queries.team_of(request.user, row.contest)
        if team is None:
            return redirect("team_create", slug)
        return _page(request, row.contest, team, error, upload=row)


@require_POST
@login_required
def discard(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    try:
        uploads.discard(_own(request, slug, key))
    except uploads.Locked:
        messages.warning(request, _("It is being uploaded right now: pause it first."))
    return redirect("submit", slug)


def _own(request: HttpRequest, slug: str, key: str) -> Upload:
    row = uploads.find(key, request.user)  # type: ignore[arg-type]
    if row is None or row.contest_id != slug:
        raise Http404
    return row


def _page(
    request: HttpRequest,
    contest: Contest,
    team: Team,
    error: Refused | None = None,
    *,
    form: SubmitForm | None = None,
    hub_form: HubForm | None = None,
    upload: Upload | None = None,
    status: int = 200,
) -> HttpResponse:
    """``upload``: the one that was refused, and is kept."""
    context = {
        "contest": contest,
        "rules": contest.rules,
        "team": team,
        "quota": quota.of(team),
        "form": form or SubmitForm(),
        "hub_form": hub_form or HubForm(auto_id="id_hub_%s"),
        "hub_entries": settings.HUB_ENTRIES,
        "packing": json.dumps(PACKING),
        "refusal": error and error.body,
        "refused_form": "file" if form else "hub" if hub_form else "",
        "refused_upload": upload,
        "unfinished": uploads.unfinished(request.user).filter(contest=contest),  # type: ignore[arg-type]
    }
    status = error.status if error else status
    return render(request, "leaderboard/submit.html", context, status=status)
