"""Account forms: login, sign-up, API tokens."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as allauth
from django import forms
from django.utils.translation import gettext_lazy as _

from leaderboard.models import ApiToken


class LoginForm(allauth.LoginForm):  # type: ignore[misc]
    """Username or email, and password, with our labels and no placeholders."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login, password = self.fields["login"], self.fields["password"]
        login.label = _("User name or email")
        login.widget.attrs |= {"autocomplete": "username"}
        password.label, password.help_text = _("Password"), ""
        for field in (login, password):
            field.widget.attrs.pop("placeholder", None)


class SignUpForm(allauth.SignupForm):  # type: ignore[misc]
    """A new account: name, email, password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("User name")
        self.fields["username"].help_text = _(
            "Letters, digits and @/./+/-/_; other people can see it."
        )
        self.fields["email"].label = _("Email")
        self.fields["password1"].label = _("Password")
        self.fields["password1"].help_text = _(
            "At least 8 characters, not only digits, and not a common password."
        )
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class TokenForm(forms.Form):
    """A new API token: what it is for, what it may do, when it expires."""

    name = forms.CharField(
        label=_("Token name"),
        help_text=_("Where you will use it: laptop, lab server, …"),
        max_length=60,
    )
    scopes = forms.MultipleChoiceField(
        label=_("Permissions"),
        choices=ApiToken.Scope.choices,
        initial=ApiToken.Scope.values,
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.TypedChoiceField(
        label=_("Expiration"),
        coerce=int,
        choices=[
            (30, _("in 30 days")),
            (90, _("in 90 days")),
            (365, _("in a year")),
            (0, _("never")),
        ],
        initial=90,
    )
