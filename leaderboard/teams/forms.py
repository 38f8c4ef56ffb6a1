"""Forms of a team: its name, its mail, its webhook."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Delivery, Team
from leaderboard.notifications import webhook


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
            raise forms.ValidationError(Refused(fault).line, code=fault)
        return url
