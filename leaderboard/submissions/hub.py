"""Entries from the Hugging Face Hub: pinned to a commit when entered, checked remotely, downloaded by a worker.

No weights are downloaded to the site. The site shows a team only what anyone can read: a private repository is
refused even if the organizers' token could open it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from grader import checkpoint
from grader.assets import hub
from grader.contest import Contest as Rules
from grader.problems.catalogue import Problem
from grader.protocol.documents import HubSource
from grader.schema import encode
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Evaluation, Submission, Team
from leaderboard.storage import scratch
from leaderboard.submissions import admission, entering

# At the pinned commit, these mean that the repository has changed since it was entered.
GONE = {"HUB_NOT_FOUND", "HUB_GATED", "HUB_REVISION", "HUB_GONE"}


class HubAway(Exception):
    """The Hub does not answer now: try again."""


def enter(
    contest: Contest,
    text: str,
    revision: str = "",
    *,
    user: User,
    team: Team | None,
    kind: str = Submission.Kind.TEAM,
    again: bool = False,
    **words: Any,
) -> Evaluation:
    """Pin ``owner/name[@revision]`` to its commit and queue its evaluation; ``words``: title and note.

    Raises:
        Refused: a gate of ``admission`` is closed, no such repository, too large, the Hub is down.
    """
    request = admission.EntryRequest(contest=contest, user=user, team=team, kind=kind, again=again)
    admission.admit(request)  # before the Hub is asked
    source = pin(contest.rules, text, revision)
    return entering.register(
        contest,
        user=user,
        team=team,
        kind=kind,
        again=again,
        hub=encode(source),
        archive_name=f"{source.repo}@{source.commit[:12]}",
        archive_bytes=sum(file.size_bytes for file in source.files),
        **words,
    )


def pin(rules: Rules, text: str, revision: str = "") -> HubSource:
    """What the text refers to on the Hub now, if an archive with these files would be accepted.

    Raises:
        Refused.
    """
    if not settings.HUB_ENTRIES:
        raise _refused(hub.HubError("HUB_OFF"))
    try:
        repo, revision = hub.parse(text, revision, settings.HF_ENDPOINT)
        source = hub.pin(repo, revision, endpoint=settings.HF_ENDPOINT, token=_token())
    except hub.HubError as error:
        raise _refused(error) from error
    if problems := checkpoint.find_listing_problems(source.files, rules.limits):
        raise _listing_refused(problems)
    return replace(source, files=tuple(f for f in source.files if checkpoint.is_read(f.name)))


def inspect(source: HubSource, rules: Rules) -> checkpoint.Findings:
    """The checks that need no weights, on a folder of headers that is deleted afterward.

    Raises:
        HubAway.
    """
    read = partial(hub.read, source, endpoint=settings.HF_ENDPOINT, token=_token())
    with scratch.folder("hub-") as folder:
        try:
            checkpoint.lay_out(source.files, folder, read)
            known = {file.name: file.digest for file in source.files if len(file.digest) == 64}
            return checkpoint.check(folder, folder, rules, known_sha256=known)
        except hub.HubError as error:
            if error.code not in GONE:
                raise HubAway(str(error)) from error
            return checkpoint.Findings((Problem("HUB_GONE", source.repo, error.code),))


def _token() -> str | bool:
    return settings.HF_TOKEN or False  # never the token of the account that the site runs under


def _listing_refused(problems: tuple[Problem, ...]) -> Refused:
    """All findings of the first kind, in one refusal."""
    first = problems[0]
    found = [p.where or p.detail for p in problems if p.code == first.code]
    status = 413 if first.code == "UPLOAD_TOO_LARGE" else 400
    return Refused(first.code, ", ".join(filter(None, found))[:300], status=status)


def _refused(error: hub.HubError) -> Refused:
    detail = "" if error.code in ("HUB_AWAY", "HUB_OFF") else checkpoint.display(error.detail)
    return Refused(error.code, detail)
