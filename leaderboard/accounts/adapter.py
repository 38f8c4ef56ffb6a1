"""How the site's accounts differ from django-allauth's defaults."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from leaderboard.core import names

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.SIGN_UP_OPEN)

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """A name that nobody can take for another person's. ``shallow``: without asking the database."""
        try:
            username = names.clean(username)
        except names.BadName as error:
            raise ValidationError(_("Use printable characters only.")) from error
        username = str(super().clean_username(username, shallow=shallow))
        others = User.objects.values_list("username", flat=True)
        if not shallow and names.alike(username, others.iterator()) is not None:
            raise self.validation_error("username_taken")
        return username

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that is down must not turn a successful sign-up into an error page."""
        try:
            super().send_mail(template_prefix, email, context)
        except (SMTPException, OSError) as error:
            log.error("no mail %s to %s: %s", template_prefix, email, error)
            messages.error(
                self.request,
                _("The email could not be sent just now. Please try again in a few minutes."),
            )
