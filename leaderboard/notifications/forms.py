"""Notification settings: each member's emails, and the team's webhook."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from leaderboard.core.errors import Refused
from leaderboard.models import Delivery
from leaderboard.notifications import webhook

# Everybody is notified of rulings, regardless of settings.
UNASKED = (Delivery.Kind.TEST, Delivery.Kind.RULING, Delivery.Kind.MERGE, Delivery.Kind.REVIEW)
TOLD = [kind for kind in Delivery.Kind.choices if kind[0] not in UNASKED]


class MailForm(forms.Form):
    """The events a member wants emails about."""

    kinds = forms.MultipleChoiceField(
        label=_("Email me when a submission is"),
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
