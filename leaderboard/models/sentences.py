"""Sentences stored as a code and parameters, and rendered in the reader's language.

A code is a member of a ``TextChoices`` whose label is the sentence, so that it is declared once. Text written
by
people or other machines has no translation: it is the parameter of a code whose sentence is only that
parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models


def say(codes: type[models.TextChoices], code: str, parameters: Mapping[str, Any]) -> str:
    """The sentence in the current language; empty for no code. Lists are joined by commas."""
    if not code:
        return ""
    words = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in parameters.items()
    }
    return str(codes(code).label) % words
