"""Gaps in HTML that is remembered for everybody: what differs between readers goes in as it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from django.utils.crypto import salted_hmac
from django.utils.safestring import SafeString, mark_safe


def gap(name: str) -> SafeString:
    """Stands in a template for a value that :func:`filled` puts there; ``name`` of letters, digits, hyphens.

    Every process of the site writes it alike, and nothing a person types can look like it.
    """
    return mark_safe(f"[{_secret()}:{name}]")  # noqa: S308 - ours alone


def cut(html: str) -> tuple[bytes, ...]:
    """HTML and names of gaps in turn, ready to be filled many times."""
    return tuple(_pattern().split(html.encode()))


def filled(pieces: tuple[bytes, ...], values: Mapping[str, str]) -> bytes:
    """The HTML with every gap filled by its value, which is HTML too; without one it stays empty."""
    found = {name.encode(): value.encode() for name, value in values.items()}
    return b"".join([found.get(piece, b"") if i % 2 else piece for i, piece in enumerate(pieces)])


@cache
def _secret() -> str:
    return salted_hmac("leaderboard.board.gaps", "").hexdigest()[:24]


@cache
def _pattern() -> re.Pattern[bytes]:
    return re.compile(rb"\[" + _secret().encode() + rb":([\w-]+)\]")
