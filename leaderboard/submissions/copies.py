"""The same checkpoint in entries of several teams, for staff. Nothing follows from it by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, QuerySet, TextChoices
from django.db.models.fields.json import KeyTextTransform
from django.utils.translation import gettext_lazy as _

from leaderboard.models import Contest, Evaluation, Submission


class Kind(TextChoices):
    """What the entries have in common, from the strongest reason on."""

    CONTENT = "content", _("the same weights and config")
    UPLOAD = "upload", _("the same uploaded bytes")
    REPOSITORY = "repository", _("the same repository on the Hub")


@dataclass(frozen=True, slots=True)
class Copies:
    """Entries of several teams with one thing in common, in the order they came."""

    kind: Kind
    common: str
    entries: list[Submission]


def of_contest(contest: Contest) -> list[Copies]:
    """Everything that entries of two or more teams have in common."""
    return [found for kind in Kind for found in _of_kind(contest, kind)]


def _of_kind(contest: Contest, kind: Kind) -> Iterator[Copies]:
    entries = _entries(contest, kind)
    shared = entries.values("common").annotate(teams=Count("team", distinct=True))
    shared = shared.filter(teams__gt=1).order_by("common").values_list("common", flat=True)
    groups: dict[str, list[Submission]] = {common: [] for common in shared}
    for entry in entries.filter(common__in=list(groups)).select_related("team").order_by("pk"):
        groups[entry.common].append(entry)
    for common, found in groups.items():
        yield Copies(kind, common, found)


def _entries(contest: Contest, kind: Kind) -> QuerySet[Any]:
    teams = Submission.objects.filter(contest=contest, kind=Submission.Kind.TEAM)
    if kind == Kind.CONTENT:
        read = KeyTextTransform("content_sha256", "evaluations__facts")
        checked = Evaluation.objects.current().exclude(facts={})
        return teams.filter(evaluations__in=checked).annotate(common=read).exclude(common="")
    if kind == Kind.UPLOAD:
        return teams.annotate(common=F("archive_sha256")).exclude(common="")
    return teams.exclude(hub={}).annotate(common=KeyTextTransform("repo", "hub"))
