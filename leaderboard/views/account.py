"""Login, and the account page with its tokens."""

from __future__ import annotations

from allauth.account.views import LoginView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views import i18n
from django.views.decorators.http import require_POST

from leaderboard.accounts import tokens
from leaderboard.accounts.forms import TokenForm
from leaderboard.core.rate_limits import creating


class LogIn(LoginView):  # type: ignore[misc]
    """allauth's login, with a proper status code when an account is temporarily locked."""

    def form_invalid(self, form: Form) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        codes = {error.code for error in form.non_field_errors().as_data()}
        if "too_many_login_attempts" in codes:
            response.status_code = 429
            response.headers["Retry-After"] = "300"
        return response


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Django's language view, which also stores the choice for the person's emails."""
    response = i18n.set_language(request)
    language = request.POST.get("language", "")
    if request.user.is_authenticated and language in dict(settings.LANGUAGES):
        tokens.remember_language(request.user, language)
    return response


@login_required
@creating("token", 20)
def account(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    form, token = TokenForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        token = tokens.issue_token(user, **form.cleaned_data)
        form = TokenForm()
    context = {
        "form": form,
        "token": token,  # shown once, on this response only
        "tokens": user.api_tokens.order_by("-created"),
        "now": timezone.now(),
        "social_login": settings.SOCIAL_LOGIN,
        "memberships": user.memberships.select_related("team", "contest__version"),
    }
    return render(request, "leaderboard/account.html", context)


@require_POST
@login_required
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    if not tokens.revoke_token(request.user, pk):  # type: ignore[arg-type]
        raise Http404
    messages.success(request, _("Token revoked."))
    return redirect("account")
