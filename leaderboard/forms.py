"""Forms of the site's pages."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as allauth
from django import forms
from django.utils.translation import gettext_lazy as _

from grader.problems.catalogue import Problem
from leaderboard.documents import problem_body
from leaderboard.models import ApiToken, Contest, Delivery, Team
from leaderboard.notifications import webhook


class LoginForm(allauth.LoginForm):  # type: ignore[misc]
    """User name or e-mail, and password; our words, no placeholders."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login, password = self.fields["login"], self.fields["password"]
        login.label = _("User name or e-mail")
        login.widget.attrs |= {"autocomplete": "username"}
        password.label, password.help_text = _("Password"), ""
        for field in (login, password):
            field.widget.attrs.pop("placeholder", None)


class SignUpForm(allauth.SignupForm):  # type: ignore[misc]
    """A new account: name, e-mail, password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("User name")
        self.fields["username"].help_text = _("Letters, digits and @/./+/-/_; other people see it.")
        self.fields["email"].label = _("E-mail")
        self.fields["password1"].label = _("Password")
        self.fields["password1"].help_text = _(
            "At least 8 characters, not only digits, not a common word."
        )
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class TeamForm(forms.Form):
    """A team's name, unique within the contest."""

    name = forms.CharField(label=_("Team name"), max_length=40)

    def __init__(
        self, *args: Any, contest: Contest, team: Team | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.contest, self.team = contest, team

    def clean_name(self) -> str:
        return free_name(self.cleaned_data["name"], self.contest, self.team)


def free_name(wanted: object, contest: Contest, team: Team | None = None) -> str:
    """The name as a team may bear it. Raises ValidationError: not printable, or another team's."""
    name = " ".join(str(wanted).split())
    if not name.isprintable():
        raise forms.ValidationError(_("Use printable characters only."))
    others = Team.objects.exclude(pk=team.pk) if team else Team.objects
    if others.filter(contest=contest, name__iexact=name).exists():
        raise forms.ValidationError(_("This team name is taken."))
    return name


# Rulings are told to everybody, asked for or not.
UNASKED = (Delivery.Kind.TEST, Delivery.Kind.RULING, Delivery.Kind.MERGE)
TOLD = [kind for kind in Delivery.Kind.choices if kind[0] not in UNASKED]


class MailForm(forms.Form):
    """Of which events a member wants an e-mail."""

    kinds = forms.MultipleChoiceField(
        label=_("E-mail me when a submission is"),
        choices=TOLD,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


class WebhookForm(forms.Form):
    """Where a team's events are posted, and which."""

    url = forms.CharField(
        label=_("Webhook address"),
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
    )
    kinds = forms.MultipleChoiceField(
        label=_("Events"), choices=TOLD, widget=forms.CheckboxSelectMultiple
    )

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"]).strip()
        if fault := webhook.find_fault(url):
            body = problem_body(Problem(fault))
            raise forms.ValidationError(f"{body['message']} {body['hint']}", code=fault)
        return url


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
    again = forms.BooleanField(label=_("Measure it again"), required=False)


LITERAL = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class HubForm(forms.Form):
    """A repository on the Hugging Face Hub instead of an archive."""

    repo = forms.CharField(
        label=_("Repository"),
        help_text=_(
            "owner/name on the Hugging Face Hub; it must be public until the contest is over."
        ),
        max_length=400,
        widget=forms.TextInput(attrs={"placeholder": "team/model", **LITERAL}),
    )
    revision = forms.CharField(
        label=_("Revision"),
        help_text=_(
            "Branch, tag or commit; main if you leave it out. The commit of this moment is graded."
        ),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "main", **LITERAL}),
    )
    note = SubmitForm.base_fields["note"]
    again = SubmitForm.base_fields["again"]


class TokenForm(forms.Form):
    """A new API token: where it is used, what it may do, for how long."""

    name = forms.CharField(
        label=_("Token name"),
        help_text=_("Where you will use it: laptop, lab server, …"),
        max_length=60,
    )
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=ApiToken.Scope.choices,
        initial=ApiToken.Scope.values,
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.TypedChoiceField(
        label=_("It expires"),
        coerce=int,
        choices=[
            (30, _("in 30 days")),
            (90, _("in 90 days")),
            (365, _("in a year")),
            (0, _("never")),
        ],
        initial=90,
    )
