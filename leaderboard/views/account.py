"""Logging in, account with its tokens, team pages."""

from __future__ import annotations

from allauth.account.views import LoginView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views import i18n
from django.views.decorators.http import require_POST

from leaderboard import accounts, queries
from leaderboard.forms import TeamForm, TokenForm
from leaderboard.models import Team
from leaderboard.views.contest import find


class LogIn(LoginView):  # type: ignore[misc]
    """allauth's, with the status that scripts understand when an account is locked for a while."""

    def form_invalid(self, form: Form) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        codes = {error.code for error in form.non_field_errors().as_data()}
        if "too_many_login_attempts" in codes:
            response.status_code = 429
            response.headers["Retry-After"] = "300"
        return response


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Django's, remembered for the account: mails are written in the language last chosen."""
    response = i18n.set_language(request)
    language = request.POST.get("language", "")
    if request.user.is_authenticated and language in dict(settings.LANGUAGES):
        accounts.remember_language(request.user, language)
    return response


@login_required
def account(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    form, token = TokenForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        token = accounts.issue_token(user, form.cleaned_data["name"])
        form = TokenForm()
    context = {
        "form": form,
        "token": token,  # shown once, on this response only
        "tokens": user.api_tokens.order_by("-created"),
        "social_login": settings.SOCIAL_LOGIN,
        "memberships": user.memberships.select_related("team", "contest__version"),
    }
    return render(request, "leaderboard/account.html", context)


@require_POST
@login_required
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    if not accounts.revoke_token(request.user, pk):  # type: ignore[arg-type]
        raise Http404
    messages.success(request, _("Token revoked."))
    return redirect("account")


@login_required
def team_create(request: HttpRequest, slug: str) -> HttpResponse:
    contest = find(slug)
    if existing := queries.team_of(request.user, contest):
        return redirect(existing)
    form = TeamForm(request.POST or None, contest=contest)
    if request.method == "POST" and form.is_valid():
        try:
            accounts.create_team(contest, form.cleaned_data["name"], request.user)  # type: ignore[arg-type]
        except accounts.AlreadyInTeam:
            form.add_error(None, _("You are in a team of this contest already."))
        else:
            return redirect("submit", slug)
    return render(request, "leaderboard/team_create.html", {"contest": contest, "form": form})


def team(request: HttpRequest, pk: int) -> HttpResponse:
    """A team's members are public, its submissions are for its members and staff."""
    row = get_object_or_404(Team.objects.select_related("contest__version"), pk=pk)
    members = list(row.memberships.select_related("user").order_by("-is_captain", "created"))
    is_member = any(m.user_id == request.user.pk for m in members)
    may_see = is_member or getattr(request.user, "is_staff", False)
    context = {
        "team": row,
        "contest": row.contest,
        "members": members,
        "is_member": is_member,
        "may_see": may_see,
        "submissions": queries.team_history(row) if may_see else [],
    }
    return render(request, "leaderboard/team.html", context)
