"""The form for a new batch: what, why, which entries."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from leaderboard.batches import Filter
from leaderboard.models import Batch, Contest, Evaluation, Worker
from leaderboard.workers import eligibility

TAKEN = (Evaluation.Status.SCORED, Evaluation.Status.FAILED)
DATES = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


def finals(contest: Contest) -> dict[str, Any]:
    """Initial values for remeasuring the finalists head to head on every eligible worker."""
    assert contest.version is not None
    accepting = Worker.objects.accepting().order_by("name")
    able = eligibility.able(accepting, contest.version)
    return {
        "kind": Batch.Kind.REGRADE,
        "reason": _("Finalists measured again, head to head"),
        "repeats": 3,
        "workers": [worker.name for worker in able],
        "top": 10,
    }


class BatchForm(forms.Form):
    """Empty filter fields do not restrict."""

    kind = forms.ChoiceField(
        label=_("What"),
        choices=[
            (Batch.Kind.RESCORE, _("Rescore: apply the formula again to stored reports")),
            (Batch.Kind.REGRADE, _("Regrade: measure again, after live entries")),
        ],
        initial=Batch.Kind.RESCORE,
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label=_("Reason"),
        help_text=_("Stored with the batch and sent to the teams whose scores change."),
        max_length=500,
    )
    noise = forms.FloatField(
        label=_("Noise threshold"),
        help_text=_("A score change of at most this much counts as unchanged in the review."),
        initial=0.002,
        min_value=0,
    )
    repeats = forms.IntegerField(
        label=_("Measurements per entry"),
        help_text=_("Regrade only. Several measurements are pooled into one."),
        initial=1,
        min_value=1,
        max_value=10,
    )
    workers = forms.MultipleChoiceField(
        label=_("On each of these workers"),
        help_text=_("Regrade only. If none is chosen, any free worker takes it."),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    phase = forms.ChoiceField(label=_("Phase"), required=False)
    team: Any = forms.ModelChoiceField(label=_("Team"), queryset=None, required=False)
    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[("", "–"), *((status.value, status.label) for status in TAKEN)],
    )
    score_min = forms.FloatField(label=_("Score at least"), required=False)
    score_max = forms.FloatField(label=_("Score at most"), required=False)
    worker = forms.ChoiceField(label=_("Measured by"), required=False)
    since = forms.DateTimeField(label=_("Entered since"), required=False, widget=DATES)
    until = forms.DateTimeField(label=_("Entered before"), required=False, widget=DATES)
    problem = forms.CharField(label=_("Problem code"), required=False, max_length=40)
    version = forms.CharField(
        label=_("Scored under version"),
        help_text=_("First characters of its sha256."),
        required=False,
        max_length=64,
    )
    submissions = forms.CharField(
        label=_("Submissions"), help_text=_("Numbers, separated by spaces."), required=False
    )
    best = forms.BooleanField(label=_("Only entries on the board"), required=False)
    final = forms.BooleanField(label=_("Only final entries"), required=False)

    top = forms.IntegerField(
        label=_("Only the top teams' final entries"),
        help_text=_("How many teams, by private rank. A regrade of them takes two workers."),
        required=False,
        min_value=1,
    )

    SETTINGS = ("kind", "reason", "noise", "repeats", "workers")

    def __init__(self, *args: Any, contest: Contest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = Worker.objects.registered().values_list("name", flat=True)
        names = [(name, name) for name in known]
        fields: dict[str, Any] = self.fields
        fields["workers"].choices = names
        fields["worker"].choices = [("", "–"), *names]
        fields["phase"].choices = [("", "–"), *((p.id, p.id) for p in contest.rules.phases)]
        fields["team"].queryset = contest.teams.order_by("name")
        if not names:
            del fields["workers"]

    def clean_submissions(self) -> tuple[int, ...]:
        words = str(self.cleaned_data["submissions"]).replace(",", " ").replace("#", " ").split()
        if not all(word.isdecimal() for word in words):
            raise forms.ValidationError(_("Numbers only, separated by spaces."))
        return tuple(int(word) for word in words)

    @property
    def general(self) -> list[forms.BoundField]:
        return [self[name] for name in self.SETTINGS if name in self.fields]

    @property
    def filters(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in self.SETTINGS]

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for ``batches.prepare``."""
        data = dict(self.cleaned_data)
        general = {name: data.pop(name) for name in self.SETTINGS if name in data}
        team = data.pop("team")
        top = data.pop("top") or 0
        return {**general, "wanted": Filter(team=team and team.pk, top=top, **data)}
