"""Bringing a contest's file into the site."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import transaction

from grader import contest as rules
from leaderboard import lifecycle
from leaderboard.models import Contest, ContestVersion


def load(name_or_path: str) -> tuple[Contest, bool]:
    """Make the contest's file (a path, or the id of a bundled one) the version in force.

    Returns the contest and whether anything changed.

    Raises:
        grader.contest.ContestError: the file cannot be used; nothing was changed.
    """
    path = Path(name_or_path)
    if not path.is_file():
        path = rules.find(name_or_path, *settings.CONTEST_ROOTS)
    loaded = rules.load(path)
    with transaction.atomic():
        contest, _ = Contest.objects.get_or_create(slug=loaded.id)
        version, is_new = ContestVersion.objects.get_or_create(
            contest=contest,
            sha256=loaded.sha256,
            defaults={"source": loaded.source, "folder": str(loaded.folder)},
        )
        changed = is_new or contest.version_id != version.pk
        # the folder is where the file lies on this machine, not a rule: follow it when it moves
        ContestVersion.objects.filter(pk=version.pk).update(folder=str(loaded.folder))
        if changed:
            lifecycle.board_moves(contest.pk)
        Contest.objects.filter(pk=contest.pk).update(version=version)
    return Contest.objects.select_related("version").get(pk=contest.pk), changed
