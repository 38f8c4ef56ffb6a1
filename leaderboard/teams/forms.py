"""The form for a team's name."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from leaderboard.core import names
from leaderboard.models import Contest, Team
from leaderboard.teams.rules import like_another

MOST_CHARS = 40


class TeamForm(forms.Form):
    """A team's name, unique within the contest."""

    name = forms.CharField(label=_("Team name"), max_length=MOST_CHARS)

    def __init__(
        self, *args: Any, contest: Contest, team: Team | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.contest, self.team = contest, team

    def clean_name(self) -> str:
        return free_name(self.cleaned_data["name"], self.contest, self.team)


def free_name(wanted: object, contest: Contest, team: Team | None = None) -> str:
    """The validated name. Raises ValidationError: invisible characters, too long, or like another team's."""
    try:
        name = names.clean(str(wanted))
    except names.BadName as error:
        raise forms.ValidationError(_("Use printable characters only.")) from error
    if len(name) > MOST_CHARS:  # NFKC turns one character into up to 18
        raise forms.ValidationError(_("Use at most %(n)d characters.") % {"n": MOST_CHARS})
    if other := like_another(name, contest, team):
        raise forms.ValidationError(
            _("This team name is taken.")
            if other.casefold() == name.casefold()
            else _("This name looks like that of the team “%(name)s”.") % {"name": other}
        )
    return name
