"""The desk, the staff's start page: whether work is moving, the workers, what needs a person."""

from __future__ import annotations

import shutil

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django.views.decorators.vary import vary_on_headers

from leaderboard import lifecycle, workers
from leaderboard.board import cached
from leaderboard.board.ranking import Entry, View
from leaderboard.contests.schedule import schedule
from leaderboard.core import doorbell
from leaderboard.models import Contest, Worker
from leaderboard.operations import backlog, doctor
from leaderboard.views.staff.access import acting_user, needs, staff_only, words


@staff_only
@vary_on_headers("HX-Request")
def desk(request: HttpRequest) -> HttpResponse:
    """The whole page, or only its live part for htmx."""
    contests = list(Contest.objects.listed())
    context = {
        "lines": backlog.lines(),
        "failures": backlog.failures(),
        "put_back_count": lifecycle.failed_for_our_sake().count(),
        "may_put_back": request.user.has_perm("leaderboard.change_evaluation"),
        "held": [(c, entry) for c in contests for entry in _held(c)],
        "may_rule": request.user.has_perm("leaderboard.add_ruling"),
        "last_score": backlog.last_score(),
        "views": workers.overview(charted=20),
        "schedule": schedule(contests),
        "disk": shutil.disk_usage(settings.HOME),
        "reserve_bytes": settings.DISK_RESERVE_BYTES,
        "now": timezone.now(),
    }
    template = "_dashboard.html" if request.htmx else "dashboard.html"  # type: ignore[attr-defined]
    return render(request, f"leaderboard/staff/{template}", context)


def _held(contest: Contest) -> list[Entry]:
    """What the board marks as under review, from the cached board."""
    return [entry for entry in cached.shown(contest, View(with_hidden=True)).entries if entry.held]


@staff_only
@vary_on_headers("HX-Request")
def examination(request: HttpRequest) -> HttpResponse:
    """The doctor's findings: a verdict on the desk, or a page. Loaded separately, because it takes a second."""
    findings = list(doctor.examine())
    context = {
        "findings": findings,
        "errors": [f for f in findings if f.level == "error"],
        "warnings": [f for f in findings if f.level == "warning"],
    }
    template = "_doctor_verdict.html" if request.htmx else "doctor.html"  # type: ignore[attr-defined]
    return render(request, f"leaderboard/staff/{template}", context)


@require_POST
@staff_only
def put_back(request: HttpRequest) -> HttpResponse:
    """Queue everything again that failed for our sake."""
    needs(request, "change_evaluation")
    by = acting_user(request).get_username()
    count = lifecycle.put_back(lifecycle.failed_for_our_sake(), by=by)
    messages.success(request, _("Entries put back into the queue: %(n)d") % {"n": count})
    return redirect("desk")


@staff_only
def worker(request: HttpRequest, pk: int) -> HttpResponse:
    """One worker: its hardware, A/A tests over time, latest attempts, and the actions staff can take."""
    row = get_object_or_404(Worker, pk=pk)
    view = next(v for v in workers.overview(retired=True) if v.worker.pk == row.pk)
    ended = [t for t in view.tests if t.outcomes]
    context = {
        "view": view,
        "worker": row,
        "points": [
            {
                **outcome,
                "at": test.finished,
                "shape": f"{test.contest_id} {outcome['shape']}",
                "passed": test.passed,
            }
            for test in reversed(ended)
            for outcome in test.outcomes
        ],
        "attempts": row.attempts.select_related("evaluation").order_by("-pk")[:20],
        "contests": list(Contest.objects.listed()),
        "may_act": request.user.has_perm("leaderboard.change_worker"),
    }
    return render(request, "leaderboard/staff/worker.html", context)


@require_POST
@staff_only
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Drain, resume, retire or test a worker."""
    needs(request, "change_worker")
    row = get_object_or_404(Worker, pk=pk)
    by, why = acting_user(request), words(request, "why")
    if verb == "test":
        _test(request, row, by)
    elif verb in ("drain", "resume", "retire"):
        done = {
            "drain": lambda: workers.drain(row, why or f"by {by}", by=by),
            "resume": lambda: workers.resume(row, by=by, reason=why),
            "retire": lambda: workers.retire(row, by=by, reason=why),
        }[verb]()
        if done:
            messages.success(request, _("Done."))
        else:
            messages.warning(request, _("Nothing changed: it was already in that state."))
    else:
        raise Http404
    return redirect("desk_worker", pk)


def _test(request: HttpRequest, row: Worker, by: User) -> None:
    contest = next(
        (c for c in Contest.objects.in_force() if c.slug == request.POST.get("contest")), None
    )
    if contest is None:
        raise Http404
    try:
        workers.aa.ask(row, contest, by=by)
    except workers.AlreadyAsked:
        messages.warning(request, _("That test is already waiting or running."))
    except workers.NotPossible as error:
        messages.error(request, _("Cannot be tested: %(why)s") % {"why": error})
    else:
        doorbell.ring_workers()
        messages.success(request, _("The test runs when the worker next asks for a job."))
