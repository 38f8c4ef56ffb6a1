"""Forms for an entry: an archive, or a repository on the Hub."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class SubmitForm(forms.Form):
    """An archive and a private note."""

    archive = forms.FileField(
        label=_("Archive"),
        help_text=_("The model folder as .zip, .tar, .tar.gz or .tar.zst."),
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".zip,.tar,.gz,.tgz,.zst"}),
    )
    note = forms.CharField(
        label=_("Note"),
        help_text=_("For your own reference; only your team can see it."),
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
            "owner/name on the Hugging Face Hub; it must stay public until the contest is over."
        ),
        max_length=400,
        widget=forms.TextInput(attrs={"placeholder": "team/model", **LITERAL}),
    )
    revision = forms.CharField(
        label=_("Revision"),
        help_text=_(
            "Branch, tag or commit; main by default. The commit it points to now is graded."
        ),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "main", **LITERAL}),
    )
    note = SubmitForm.base_fields["note"]
    again = SubmitForm.base_fields["again"]
