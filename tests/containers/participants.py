"""A participant of the demo contest who enters over the API."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.containers.stack import Stack, wait

PATIENCE_S = 1800
TEAM = """
from django.contrib.auth.models import User
from leaderboard import teams
from leaderboard.accounts.tokens import issue_token
from leaderboard.models import Contest
user = User.objects.create_user("{name}", "{name}@example.org")
teams.create(Contest.objects.get(pk="demo"), "Team {name}", user)
print(issue_token(user, "test"))
"""


def team(stack: Stack, name: str) -> str:
    """A participant with a team; returns the token."""
    return stack.shell(TEAM.format(name=name).strip()).splitlines()[-1]


def submit(client: httpx.Client, archive: Path) -> int:
    with archive.open("rb") as file:
        answer = client.post(
            "/api/contests/demo/submissions", files={"archive": (archive.name, file)}
        )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def status(client: httpx.Client, pk: int) -> str:
    return client.get(f"/api/submissions/{pk}").json()["status"]


def wait_for(client: httpx.Client, pk: int, *wanted: str) -> None:
    wait(lambda: status(client, pk) in wanted, f"#{pk} is not {wanted}", PATIENCE_S)
