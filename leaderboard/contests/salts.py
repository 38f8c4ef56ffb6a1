"""The salt of a contest on this site: its file's, or one that is generated when the contest is first loaded."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from grader import contest as rules
from grader.checkpoint.contest_faults import ContestFault
from grader.contest import salt
from grader.scoring.parts import has_private
from leaderboard.models import Contest


def faults(loaded: rules.Contest, contest: Contest | None) -> Iterator[ContestFault]:
    """What is wrong with the salt in a file. A contest that uses it already keeps it: no score moves."""
    in_file = _in_file(loaded)
    is_in_use = contest and contest.version and contest.version.rules.split_salt == in_file
    if in_file and not is_in_use:
        yield from weaknesses(in_file, loaded)


def weaknesses(used: str, loaded: rules.Contest) -> Iterator[ContestFault]:
    """What makes a salt guessable, if the contest has anything to hide."""
    words = (loaded.id, loaded.title.en, loaded.title.ko, loaded.base_model.id)
    if has_private(loaded) and (code := salt.weakness(used, *words)):
        yield ContestFault(code, "split_salt", {"contest": loaded.id, "digits": salt.HEX_DIGITS})


def with_salt(loaded: rules.Contest, contest: Contest, *, has_scores: bool) -> rules.Contest:
    """The rules with the salt that they have on this site.

    A file without one keeps the salt of the rules in force, also if they had it from an older file. Before the
    first score, a new one takes the place of none and of a weak one.
    """
    if loaded.split_salt:
        return loaded
    used = contest.version.rules.split_salt if contest.version else ""
    if not has_scores and any(weaknesses(used, loaded)):
        used = salt.generate()
    return rules.parse(loaded.source, loaded.folder, used)


def kept_by_the_site(loaded: rules.Contest) -> str:
    """The salt to store beside the file: none if the file has it."""
    return "" if _in_file(loaded) else loaded.split_salt


def _in_file(loaded: rules.Contest) -> str:
    return str(tomllib.loads(loaded.source).get("split_salt", ""))
