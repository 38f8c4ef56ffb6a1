"""How the site's accounts differ from django-allauth's defaults."""

from __future__ import annotations

import logging
import secrets
from ipaddress import ip_address
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

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whom limits per address count: for someone in ``ONSITE_NETWORKS``, nobody else ever again."""
        address = self._address(request)
        if any(ip_address(address) in network for network in settings.ONSITE_NETWORKS):
            return f"{address}-{secrets.token_hex(8)}"
        return address

    def _address(self, request: HttpRequest) -> str:
        return str(super().get_client_ip(request))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """By name and address, so that nobody can lock another person out from elsewhere."""
        key = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{self._address(request)}"

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        context = {"ip": self._address(self.request), **(context or {})}
        super().send_notification_mail(template_prefix, user, context, email)

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
