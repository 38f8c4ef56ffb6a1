"""Rescoring and regrading for staff: the list, a new batch, the review page and its buttons."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from grader.contest import changes
from leaderboard import batches
from leaderboard.batches import forms
from leaderboard.batches.forms import BatchForm
from leaderboard.core.errors import Refused
from leaderboard.models import Batch
from leaderboard.views.contest import find
from leaderboard.views.staff.access import needs, staff_only

# What each button does, and the permission it needs.
ACTS = {
    "start": (batches.start, "run_batch"),
    "update": (batches.update, "run_batch"),
    "retry": (batches.retry, "run_batch"),
    "apply": (batches.apply, "apply_batch"),
    "cancel": (batches.cancel, "apply_batch"),
    "undo": (batches.undo, "apply_batch"),
}
INLINE = 2000  # a rescore of this few entries runs within the request


@staff_only
def index(request: HttpRequest, slug: str) -> HttpResponse:
    contest = find(slug)
    context = {
        "contest": contest,
        "batches": contest.batches.all(),
        "pending": contest.pending,
        "changes": changes(contest.rules, contest.pending.rules) if contest.pending else [],
    }
    return render(request, "leaderboard/batches/list.html", context)


@staff_only
def new(request: HttpRequest, slug: str) -> HttpResponse:
    """A draft; the batch's page shows the estimated time before anything is started."""
    contest = find(slug)
    needs(request, "run_batch")
    initial = request.GET.dict()
    if initial.pop("preset", "") == "finals":
        initial = forms.finals(contest) | initial
    form = BatchForm(request.POST or None, contest=contest, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            batch = batches.prepare(contest, by=str(request.user), **form.arguments())
        except Refused as error:
            form.add_error(None, error.line)
        else:
            return redirect(batch)
    status = 400 if form.errors else 200
    context = {"contest": contest, "form": form, "pending": contest.pending}
    return render(request, "leaderboard/batches/new.html", context, status=status)


@staff_only
def show(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, _find(pk))


@require_POST
@staff_only
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    if verb not in ACTS:
        raise Http404
    do, permission = ACTS[verb]
    needs(request, permission)
    batch = _find(pk)
    try:
        do(batch, by=request.user)
    except Refused as error:
        messages.error(request, error.line)
        return _page(request, _find(pk), status=error.status)  # its state now, not as requested
    if verb == "start" and batch.kind == Batch.Kind.RESCORE and batch.items.count() <= INLINE:
        batches.advance(batch)
    return redirect(batch)


def _find(pk: int) -> Batch:
    rows = Batch.objects.select_related("contest__version", "version", "old_version")
    return get_object_or_404(rows, pk=pk)


def _page(request: HttpRequest, batch: Batch, status: int = 200) -> HttpResponse:
    user = request.user
    context: dict[str, Any] = {
        "contest": batch.contest,
        "batch": batch,
        "filter": {name: value for name, value in batch.filter.items() if value},
        "changes": changes(batch.old_version.rules, batch.version.rules),
        "may_run": user.has_perm("leaderboard.run_batch"),
        "may_apply": user.has_perm("leaderboard.apply_batch"),
    }
    if batch.status == Batch.Status.DRAFT:
        context["estimate"] = batches.estimate(
            batch.contest, batch.kind, batches.batch_filter(batch),
            repeats=batch.repeats, workers=batch.workers,
        )  # fmt: skip
    else:
        context["review"] = found = batches.review(batch)
        # a comparison that takes a second is not repeated every four seconds
        context["poll_s"] = 4 if found.total <= INLINE else 20
    template = "leaderboard/batches/batch.html"
    if getattr(request, "htmx", False):
        template = "leaderboard/batches/_batch.html"
    return render(request, template, context, status=status)
