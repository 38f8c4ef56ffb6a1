"""The team's page, and every action of its members: each is a form that works without scripts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leaderboard import notifications, teams
from leaderboard.board import ranking
from leaderboard.contests import phases
from leaderboard.core.errors import Refused
from leaderboard.core.rate_limits import creating
from leaderboard.models import Delivery, Merger, Team, Webhook
from leaderboard.notifications import webhook
from leaderboard.notifications.forms import MailForm, WebhookForm
from leaderboard.organisers import rulings
from leaderboard.submissions import queries, quota
from leaderboard.teams.forms import TeamForm
from leaderboard.views.contest import find

LOGGED = 12  # messages of the outbox listed on the page


@login_required
@creating("team", 20)
def create(request: HttpRequest, slug: str) -> HttpResponse:
    contest = find(slug)
    if existing := queries.team_of(request.user, contest):
        return redirect(existing)
    form, refusal, status = TeamForm(request.POST or None, contest=contest), None, 200
    if request.method == "POST" and form.is_valid():
        try:
            teams.create(contest, form.cleaned_data["name"], _person(request))
            return redirect("submit", slug)
        except Refused as error:
            refusal, status = error, error.status
    context = {
        "contest": contest,
        "form": form,
        "refusal": refusal,
        "is_closed": teams.is_closed(contest),
    }
    return render(request, "leaderboard/team_create.html", context, status=status)


def team(request: HttpRequest, pk: int) -> HttpResponse:
    """A team's members are public; its submissions and settings are for its members and staff."""
    row = get_object_or_404(Team.objects.select_related("contest__version"), pk=pk)
    if row.merged_into_id:
        return redirect("team", row.merged_into_id)
    return _page(request, row)


def join(request: HttpRequest, token: str) -> HttpResponse:
    """The page of an invitation link, for anyone; joining is a POST by a logged-in person."""
    refusal, invitation, status = None, None, 200
    try:
        if request.method == "POST" and request.user.is_authenticated:
            joined = teams.accept(token, _person(request))
            messages.success(request, _("You joined the team."))
            return redirect(joined)
        invitation = teams.opened(token)
    except Refused as error:
        refusal, status = error, error.status
    row = invitation.team if invitation else None
    context = {
        "team": row,
        "contest": row.contest if row else None,
        "members": row.memberships.select_related("user").order_by("pk") if row else [],
        "refusal": refusal,
    }
    return render(request, "leaderboard/join.html", context, status=status)


@require_POST
@login_required
@creating("team-act", 120)
def act(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Run one of ``VERBS`` as a member; a refusal is shown on the team's page with its status."""
    row = get_object_or_404(Team.objects.select_related("contest__version"), pk=pk)
    if verb not in VERBS:
        raise Http404
    try:
        teams.require_member(row, _person(request))
        answer = VERBS[verb](request, row)
    except Refused as error:
        return _page(request, row, status=error.status, refusal=error)
    return answer or redirect(row)


def _rename(request: HttpRequest, row: Team) -> HttpResponse | None:
    form = TeamForm(request.POST, contest=row.contest, team=row, auto_id="rename_%s")
    if not form.is_valid():
        return _page(request, row, status=400, rename_form=form)
    teams.rename(row, form.cleaned_data["name"], _person(request))
    return None


def _leave(request: HttpRequest, row: Team) -> HttpResponse | None:
    gone = teams.leave(row, _person(request))
    messages.success(
        request, _("You left the team, and it was deleted.") if gone else _("You left the team.")
    )
    return redirect(row.contest)


def _remove(request: HttpRequest, row: Team) -> None:
    teams.remove(row, _number(request, "member"), _person(request))


def _captain(request: HttpRequest, row: Team) -> None:
    teams.hand_over(row, _number(request, "member"), _person(request))


def _invite(request: HttpRequest, row: Team) -> None:
    teams.invite(row, _person(request))


def _revoke(request: HttpRequest, row: Team) -> None:
    teams.revoke(row, _number(request, "invitation"), _person(request))


def _offer(request: HttpRequest, row: Team) -> None:
    name = request.POST.get("name", "").replace("\0", "")  # which no team's name contains
    teams.offer(row, name, _person(request))
    messages.success(request, _("Offer sent. The other captain sees it on their team page."))


def _accept(request: HttpRequest, row: Team) -> HttpResponse | None:
    merged = teams.merge(_merger(request, row), _person(request))
    messages.success(request, _("The teams are merged."))
    return redirect(merged)


def _close(request: HttpRequest, row: Team) -> None:
    teams.close(_merger(request, row), _person(request))


def _final(request: HttpRequest, row: Team) -> None:
    """The checked boxes are the team's entries in the final; values that are not numbers match no entry."""
    asked = [
        text if text.isdecimal() and len(text) < 19 else "0"
        for text in request.POST.getlist("entry")
    ]
    teams.choose(row, [int(text) for text in asked], _person(request))
    messages.success(request, _("Saved. You can change your choice until the deadline."))


def _mails(request: HttpRequest, row: Team) -> None:
    form = MailForm(request.POST)
    if form.is_valid():
        mine = row.memberships.filter(user=_person(request))
        mine.update(mail_kinds=form.cleaned_data["kinds"])
        messages.success(request, _("Saved."))


def _webhook(request: HttpRequest, row: Team) -> HttpResponse | None:
    """Save, remove, or replace the secret; a new secret is shown on this response only."""
    teams.require_captain(row, _person(request))
    if "remove" in request.POST:
        Webhook.objects.filter(team=row).delete()
        return None
    form = WebhookForm(request.POST, auto_id="webhook_%s")
    if not form.is_valid():
        return _page(request, row, status=400, webhook_form=form)
    secret = "" if Webhook.objects.filter(team=row).exists() else webhook.new_secret()
    if "renew" in request.POST:
        secret = webhook.new_secret()
    Webhook.objects.update_or_create(
        team=row, defaults=form.cleaned_data | ({"secret": secret} if secret else {})
    )
    return _page(request, row, secret=secret) if secret else None


def _test(request: HttpRequest, row: Team) -> None:
    """Send a test message to oneself and, as captain, to the webhook."""
    told = notifications.test(row, _person(request), key=f"test/{uuid.uuid4().hex[:12]}")
    if told:
        messages.success(request, _("A test message is on its way; see the list below."))
    else:
        messages.warning(request, _("No one would receive it yet: choose events first."))


VERBS: dict[str, Callable[[HttpRequest, Team], HttpResponse | None]] = {
    "rename": _rename,
    "leave": _leave,
    "remove": _remove,
    "captain": _captain,
    "invite": _invite,
    "revoke": _revoke,
    "offer": _offer,
    "accept": _accept,
    "close": _close,
    "final": _final,
    "mails": _mails,
    "webhook": _webhook,
    "test": _test,
}


def _page(request: HttpRequest, row: Team, *, status: int = 200, **more: Any) -> HttpResponse:
    members = list(row.memberships.select_related("user").order_by("-is_captain", "created"))
    mine = next((m for m in members if m.user_id == request.user.pk), None)
    is_staff = bool(getattr(request.user, "is_staff", False))
    may_see = mine is not None or is_staff
    context: dict[str, Any] = {
        "team": row,
        "contest": row.contest,
        "rules": row.contest.rules,
        "members": members,
        "mine": mine,
        "is_member": mine is not None,
        "may_see": may_see,
        "is_closed": teams.is_closed(row.contest),
        "submissions": queries.team_history(row, exact=is_staff) if may_see else [],
    }
    if may_see:
        context["quota"] = quota.of(row)
        context["deliveries"] = (
            row.deliveries.exclude(kind=Delivery.Kind.REVIEW)
            .select_related("user")
            .order_by("-pk")[:LOGGED]
        )
        context["history"] = list(row.events.all())[::-1]
        context |= _final_entries(row, exact=is_staff)
        context["in_force"] = rulings.in_force(row)
    if mine is not None:
        context |= _settings(row, kinds=mine.mail_kinds)
    return render(request, "leaderboard/team.html", context | more, status=status)


def _final_entries(row: Team, *, exact: bool) -> dict[str, Any]:
    """The current entries in the final, and the other candidates."""
    until = phases.choosing_until(row.contest)
    if until is None:
        return {}
    return {
        "final_until": until,
        "may_choose": phases.may_choose(row.contest),
        "choosable": teams.by_shown_score(row, exact=exact),
        "going": ranking.final_entries(row.contest, row).get(row.pk, []),
        "has_chosen": row.final_choices.exists(),
    }


def _settings(row: Team, kinds: list[str]) -> dict[str, Any]:
    """What a member can view and change."""
    hook = Webhook.objects.filter(team=row).first()
    offers = Merger.objects.filter(status=Merger.Status.OPEN).select_related("team", "other")
    return {
        "invitations": [
            (invitation, settings.SITE_URL + teams.address(invitation))
            for invitation in teams.still_open(row)
        ],
        "is_full": row.memberships.count() >= row.contest.rules.limits.team_size,
        "may_merge": teams.may_merge(row.contest),
        "offered": offers.filter(team=row),
        "received": offers.filter(other=row),
        "rename_form": TeamForm(
            contest=row.contest, initial={"name": row.name}, auto_id="rename_%s"
        ),
        "mail_form": MailForm(initial={"kinds": kinds}, auto_id="mail_%s"),
        "webhook": hook,
        "webhook_form": WebhookForm(
            initial={"url": hook.url, "kinds": hook.kinds} if hook else {"kinds": DEFAULT_KINDS},
            auto_id="webhook_%s",
        ),
    }


DEFAULT_KINDS = [Delivery.Kind.SCORED, Delivery.Kind.REJECTED, Delivery.Kind.FAILED]


def _person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]


def _number(request: HttpRequest, name: str) -> int:
    """A row's number from a form; 0, which matches no row, if it is not a number."""
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _merger(request: HttpRequest, row: Team) -> Merger:
    found = Merger.objects.select_related("team", "other").filter(pk=_number(request, "merger"))
    merger = found.filter(team=row).first() or found.filter(other=row).first()
    if merger is None:
        raise Http404
    return merger
