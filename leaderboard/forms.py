"""Forms of the site's pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext_lazy as _

from leaderboard.models import Contest, Team


class SignUpForm(forms.Form):
    """A new account: name, e-mail, password."""

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        validators=[User.username_validator],
        help_text=_("Letters, digits and @/./+/-/_; other people see it."),
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )
    email = forms.EmailField(
        label=_("E-mail"), widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        label=_("Password"),
        help_text=_("At least 8 characters, not only digits, not a common word."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=username).exists():
            raise forms.ValidationError(_("This user name is taken."))
        return username

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password)
        return password


class TeamForm(forms.Form):
    """A team's name, unique within the contest."""

    name = forms.CharField(label=_("Team name"), max_length=40)

    def __init__(self, *args: Any, contest: Contest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.contest = contest

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not name.isprintable():
            raise forms.ValidationError(_("Use printable characters only."))
        if Team.objects.filter(contest=self.contest, name__iexact=name).exists():
            raise forms.ValidationError(_("This team name is taken."))
        return name


class SubmitForm(forms.Form):
    """An archive and a note for one's own memory."""

    archive = forms.FileField(
        label=_("Archive"),
        help_text=_("The model folder as .zip, .tar, .tar.gz or .tar.zst."),
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".zip,.tar,.gz,.tgz,.zst"}),
    )
    note = forms.CharField(
        label=_("Note"),
        help_text=_("For your own memory; only your team sees it."),
        max_length=200,
        required=False,
    )


class TokenForm(forms.Form):
    """A name for an API token."""

    name = forms.CharField(
        label=_("Token name"),
        help_text=_("Where you will use it: laptop, lab server, …"),
        max_length=60,
    )
