"""The demo: a whole contest on this machine, from an empty folder to a ranked board.

1. Load the contest, its accounts and their tokens; fetch the base model if the contest's folder has no weights.
2. Start the site, its worker and a GPU worker (vLLM on the CPU).
3. Enter the uncompressed base model; while it is graded, compress a reference and a team's entry.
4. Enter both over HTTP, as participants do, wait for the grades, print the board.

Grades from an earlier run are kept; each run adds one entry by the team.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from django.contrib.auth.models import User

from grader.assets import copies, prefetch
from grader.checkpoint.base import base_headers
from grader.checkpoint.describe import largest_group
from grader.contest import Contest as Rules
from leaderboard import teams
from leaderboard.accounts.tokens import issue_token
from leaderboard.contests import loading
from leaderboard.local import stack
from leaderboard.local.processes import Processes
from leaderboard.local.progress import Say
from leaderboard.models import ApiToken, Contest, Evaluation, Submission
from leaderboard.operations import references
from leaderboard.operations.references import Entry
from leaderboard.submissions import queries

PASSWORD = "demo-only-password"  # noqa: S105 - printed by the demo, for this machine only
ORGANISER, CAPTAIN, TEAM = "organiser", "mina", "Hangang"
TEAM_RECIPE = "w4a16-rtn"
POLL_S = 2.0  # three entries stay well under the limits of one account
SECONDS_PER_ENTRY = 1800


class DemoError(Exception):
    """A step of the demo failed; the message names it and what to look at."""


def prepare(name: str, say: Say) -> tuple[Contest, dict[str, str]]:
    """Contest, accounts, and a new token for each account."""
    contest, _ = loading.load(name)
    # Nobody on this machine plays against anybody, and a newcomer adds up the terms.
    Contest.objects.filter(pk=contest.pk).update(exact_figures=True)
    organiser = _account(ORGANISER, is_staff=True, is_superuser=True)
    captain = _account(CAPTAIN)
    if queries.team_of(captain, contest) is None:
        teams.create(contest, TEAM, captain)
    ApiToken.objects.filter(user__in=[organiser, captain], name="demo").delete()
    say(f"contest {contest.slug!r} loaded; accounts {ORGANISER} and {CAPTAIN}, password {PASSWORD}")
    return contest, {user.username: issue_token(user, "demo") for user in (organiser, captain)}


def roots(contest: str) -> list[Path]:
    """Where a worker finds the contest if it is named by the path of its file."""
    path = Path(contest).resolve()
    if not path.is_file():
        return []
    return [path.parent.parent if path.name == "contest.toml" else path.parent]


def base_model(rules: Rules, say: Say) -> Path:
    """The folder with the base model's weights, where the GPU worker looks too; fetched if there is none yet.

    Raises:
        DemoError: they cannot be fetched.
    """
    fetched = copies.base_model(rules, stack.worker_cache() / "base_models").folder
    for folder in (rules.base_folder, fetched):
        if any(folder.glob("*.safetensors")):
            return folder
    try:
        prefetch.prefetch(rules, stack.worker_cache(), fetched.parent, say)
    except prefetch.PrefetchError as error:
        raise DemoError(str(error)) from error
    return fetched


def team_entry(rules: Rules) -> Entry:
    """What the team enters, in the largest groups that divide the rows of every layer."""
    size = largest_group(base_headers(rules.base_folder).tensors)
    options = (("group_size", str(size)),) if size else ()
    return Entry(TEAM, Submission.Kind.TEAM, TEAM_RECIPE, options)


def run(
    processes: Processes, contest: Contest, base: Path, tokens: dict[str, str], url: str, say: Say
) -> bool:
    """Enter what is missing and wait; True when every entry is on the board. ``base`` holds the base model."""
    entries = [*references.entries(contest), team_entry(contest.rules)]
    entered: dict[str, int] = {}
    for entry in entries:
        if entry.kind != Submission.Kind.TEAM and _is_ranked(contest, entry):
            say(f"{entry.title}: graded in an earlier run")
            continue
        folder = references.checkpoint(contest, entry, base, say)
        token = tokens[CAPTAIN if entry.kind == Submission.Kind.TEAM else ORGANISER]
        entered[entry.title] = _enter(contest, entry, folder, url, token, say)
    return _watch(entered, url, tokens[ORGANISER], processes, say)


def _enter(contest: Contest, entry: Entry, folder: Path, url: str, token: str, say: Say) -> int:
    """Package and submit with the CLI, as a participant does."""
    arguments = ["submit", str(folder), "--site", url, "--contest", contest.slug, "--json"]
    if entry.kind != Submission.Kind.TEAM:
        arguments += ["--kind", entry.kind, "--title", entry.title]
    else:
        arguments.append("--again")  # an earlier run has entered it
    answer = references.baseline(Path(sys.executable), *arguments, env={"BASELINE_TOKEN": token})
    number = int(json.loads(answer)["id"])
    say(f"{entry.title}: submitted as #{number}")
    return number


def _watch(entered: dict[str, int], url: str, token: str, processes: Processes, say: Say) -> bool:
    """Follow every entry until it ends, with a line for each change of stage."""
    deadline = time.monotonic() + SECONDS_PER_ENTRY * max(1, len(entered))
    ends: dict[str, str] = {}
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        while len(ends) < len(entered):
            processes.check()
            if time.monotonic() > deadline:
                raise DemoError("the grades are not in; see the logs in " + str(processes.logs))
            for name, number in entered.items():
                if name in ends:
                    continue
                try:
                    answer = client.get(f"/api/submissions/{number}")
                except httpx.TransportError:
                    continue  # retried; if the site is gone for good, processes.check() raises
                state = answer.raise_for_status().json()
                say.state(name, state)
                if state["status"] not in Evaluation.UNFINISHED:
                    ends[name] = state["status"]
            time.sleep(POLL_S)
    return all(status == "scored" for status in ends.values())


def _is_ranked(contest: Contest, entry: Entry) -> bool:
    """Graded under the rules in force, so no need to measure again."""
    found = Evaluation.objects.scored().of_contest(contest)
    return found.filter(submission__kind=entry.kind, version=contest.version).exists()


def _account(username: str, **flags: Any) -> User:
    user, _ = User.objects.get_or_create(
        username=username, defaults={"email": f"{username}@example.org", **flags}
    )
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    return user
