"""Reads questions, rewrites them, and writes their twins: for ``manage.py twins`` and ``newcontest``."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Sequence
from pathlib import Path

from leaderboard.contests.drafting.twins import Twin, rewrite_all
from leaderboard.contests.drafting.words import refused


def make(file: Path, seed: str = "", count: int = 0) -> tuple[int, list[Twin]]:
    """Return how many questions the file has, and twins of those that have one, in random order.

    Without ``seed`` nobody can make the same ones again.

    Raises:
        Refused: TWINS_UNREADABLE, TWINS_NONE.
    """
    rows = _read(file)
    generator = random.Random(seed or secrets.token_hex(16))
    made = list(rewrite_all(rows, generator))
    if not made:
        raise refused("TWINS_NONE", file=str(file), count=len(rows))
    generator.shuffle(made)
    return len(rows), made[: count or None]


def write(file: Path, made: Sequence[Twin]) -> None:
    """Write twins as JSON lines."""
    lines = (
        json.dumps({"question": t.question, "answer": t.answer}, ensure_ascii=False) for t in made
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    except OSError as error:
        raise refused("FOLDER_UNWRITABLE", folder=str(file), error=str(error)) from error


def _read(file: Path) -> list[dict[str, str]]:
    try:
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
        return [{key: str(row[key]) for key in ("question", "answer")} for row in rows]
    except (OSError, ValueError) as error:
        raise refused("TWINS_UNREADABLE", file=str(file), error=str(error)[:200]) from error
    except (KeyError, TypeError) as error:
        why = f"a line without {error}"
        raise refused("TWINS_UNREADABLE", file=str(file), error=why[:200]) from error
