"""The form for a team's name."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from leaderboard.models import Contest, Team


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
    """The validated name. Raises ValidationError: not printable, or another team's."""
    name = " ".join(str(wanted).split())
    if not name.isprintable():
        raise forms.ValidationError(_("Use printable characters only."))
    others = Team.objects.exclude(pk=team.pk) if team else Team.objects
    if others.filter(contest=contest, name__iexact=name).exists():
        raise forms.ValidationError(_("This team name is taken."))
    return name
