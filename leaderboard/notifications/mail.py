"""The email for an event, in the recipient's language."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation

from grader.problems.catalogue import CATALOGUE
from leaderboard.models import Delivery, Profile

TEMPLATE = "leaderboard/mail/event"


def send(row: Delivery) -> str:
    """Send one message of the outbox; returns a short result for the log.

    Raises:
        SMTPException, OSError: the mail server refused or cannot be reached.
    """
    with translation.override(_language(row)):
        compose(row).send()
    return ""


def compose(row: Delivery) -> EmailMessage:
    """Subject and body in the active language."""
    data, language = row.event["data"], translation.get_language() or settings.LANGUAGE_CODE
    context = {
        "kind": row.kind,
        "data": data,
        "problems": [
            {
                **problem,
                "sentence": CATALOGUE[problem["code"]].sentence(language),
                "hint": CATALOGUE[problem["code"]].hint(language),
            }
            for problem in data.get("problems", [])
            if problem["code"] in CATALOGUE
        ],
        "team": row.team,
        "team_url": settings.SITE_URL + row.team.get_absolute_url(),
        "rules": row.team.contest.rules,
    }
    subject = " ".join(render_to_string(f"{TEMPLATE}_subject.txt", context).split())
    return EmailMessage(
        subject=subject,
        body=render_to_string(f"{TEMPLATE}.txt", context).strip() + "\n",
        to=[row.target],
        headers={
            "Auto-Submitted": "auto-generated",
            "Message-ID": f"<{row.uid}@{urlsplit(settings.SITE_URL).hostname}>",
        },
    )


def _language(row: Delivery) -> str:
    profile = Profile.objects.filter(user=row.user).first() if row.user else None
    return profile.language if profile else settings.LANGUAGE_CODE
