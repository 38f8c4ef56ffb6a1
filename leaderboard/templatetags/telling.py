"""Sentences of the site that were stored in English, told in the reader's language.

What others wrote stays as it is: a mail server's answer, an organiser's reason, codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

register = template.Library()

REASONS = (  # of a Transition
    gettext_noop("submitted"),
    gettext_noop("checked"),
    gettext_noop("attempt %(n)s"),
    gettext_noop("attempt %(n)s failed: %(codes)s"),
    gettext_noop("attempt %(n)s lost: %(codes)s"),
    gettext_noop("measured under old rules; now %(version)s"),
    gettext_noop("rules %(version)s"),
    gettext_noop("batch %(n)s: %(why)s"),
    gettext_noop("not measured in batch %(n)s"),
    gettext_noop("pool of evaluations %(numbers)s"),
)
ANSWERS = (  # of a Delivery
    gettext_noop("no answer within %(n)s s"),
    gettext_noop("the webhook was removed"),
    gettext_noop("not an https address"),
    gettext_noop("no address of a webhook"),
    gettext_noop("the address is inside a private network"),
    gettext_noop("the site could not send it"),
)
_VALUE = re.compile(r"%\\\((\w+)\\\)s")  # as re.escape writes %(name)s


def _pattern(sentence: str) -> re.Pattern[str]:
    """What reads the values out of a sentence again; ``n`` is a number."""
    kinds = {"n": r"\d+"}
    values = _VALUE.sub(lambda at: f"(?P<{at[1]}>{kinds.get(at[1], '.+')})", re.escape(sentence))
    return re.compile(values, re.DOTALL)


_PATTERNS = {sentence: _pattern(sentence) for sentence in (*REASONS, *ANSWERS)}


def _told(text: str, sentences: Iterable[str]) -> str:
    for sentence in sentences:
        if found := _PATTERNS[sentence].fullmatch(text):
            return _(sentence) % found.groupdict()
    return text


@register.filter
def reason(text: str) -> str:
    """Why an evaluation went from one state to another."""
    return _told(text, REASONS)


@register.filter
def answer(text: str) -> str:
    """How the last try to deliver a message ended."""
    return _told(text, ANSWERS)
