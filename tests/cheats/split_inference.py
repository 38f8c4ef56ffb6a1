"""Infers which questions are public from what participants see of many entries: ridge regression.

The cheat knows the data set and makes entries that answer chosen questions right. Each figure of an entry is
then a sum over the public ones among them, as far as it is exact. The figures come from the site's own
functions: stored columns of a score, then what those show to participants.

It gains what the public score of an entry that fits exactly the questions believed to be public has over one
that fits as many at random; nothing if it can tell less than 60 % of the questions apart.
"""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from tests.cheats import Outcome

QUESTIONS, ENTRIES = 512, 256
INFERABLE = 0.60
BASE_ACCURACY = 0.6
RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)


def play() -> Outcome:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    os.environ.setdefault("DATABASE_URL", "postgresql://localhost/none")  # nothing is read from it

    import django

    django.setup()
    before = max(told(strategy, exact=True) for strategy in STRATEGIES)
    after = max(told(strategy, exact=False) for strategy in STRATEGIES)
    gain = (after - 0.5) / BASE_ACCURACY if after > INFERABLE else 0.0
    return Outcome(
        gain=gain,
        caught_by="public figures are rounded and moved within their interval",
        figures={
            "questions": QUESTIONS,
            "entries": ENTRIES,
            "told_of_exact_figures": round(before, 3),
            "told_of_shown_figures": round(after, 3),
        },
    )


def told(strategy: str, *, exact: bool, entries: int = ENTRIES, seeds: int = 3) -> float:
    """The share of memberships that the best figure and the best ridge give away, over several contests."""
    import numpy as np

    found = [_of_one_contest(strategy, exact, entries, seed) for seed in range(seeds)]
    return float(np.mean(found, axis=0).max())


def _halves(chance: Any, base: Any, entries: int) -> Any:
    return chance.random((entries, QUESTIONS)) < 0.5


def _on_the_edge(chance: Any, base: Any, entries: int) -> Any:
    """As many right answers as lie between two round figures."""
    rows = _zeros(entries)
    for row in rows:
        row[chance.permutation(QUESTIONS)[: round(0.55 * QUESTIONS)]] = True
    return rows


def _few_flips(chance: Any, base: Any, entries: int) -> Any:
    """Like the base model but for a tenth of the questions, so that the interval is narrow."""
    return base ^ (chance.random((entries, QUESTIONS)) < 0.1)


def _few_losses(chance: Any, base: Any, entries: int) -> Any:
    """Never better than the base model, so that no cap is near."""
    return base & (chance.random((entries, QUESTIONS)) < 0.5)


def _gains(chance: Any, base: Any, entries: int) -> Any:
    """Far above the base model, where the cap narrows the interval."""
    return base | (chance.random((entries, QUESTIONS)) < 0.5)


STRATEGIES = {
    "halves": _halves,
    "edge": _on_the_edge,
    "flips": _few_flips,
    "losses": _few_losses,
    "gains": _gains,
}


def _zeros(entries: int) -> Any:
    import numpy as np

    return np.zeros((entries, QUESTIONS), bool)


def _of_one_contest(strategy: str, exact: bool, entries: int, seed: int) -> list[float]:
    """Shares of memberships told right, for each figure and ridge."""
    import numpy as np

    from grader.scoring.parts import is_public

    chance = np.random.default_rng(seed)
    contest = _contest(f"{seed:x}5c1f0a9be7d24c3388f61d7a90b2e645")
    hashes = [f"question {seed} {i}" for i in range(QUESTIONS)]
    base = chance.random(QUESTIONS) < BASE_ACCURACY
    answers = STRATEGIES[strategy](chance, base, entries)
    member = np.array([is_public(contest, contest.benchmarks[0], one) for one in hashes])
    chosen = answers - answers.mean(axis=0)
    products = chosen @ chosen.T
    shares = []
    for figure in np.array(_figures(contest, hashes, base, answers, exact=exact)).T:
        spread = figure.std()
        wanted = (figure - figure.mean()) / spread if spread else figure * 0.0
        for ridge in RIDGES:
            weights = chosen.T @ np.linalg.solve(products + ridge * np.eye(entries), wanted)
            right = float(((weights > np.median(weights)) == member).mean())
            shares.append(right)
    return shares


def _contest(salt: str) -> Any:
    from grader import contest as rules

    path = rules.find("demo")
    contest = rules.parse(path.read_text("utf-8"), path.parent, salt)
    whole = replace(contest.benchmarks[0], weight=1.0, public_share=0.5)
    object.__setattr__(contest, "benchmarks", (whole,))
    return contest


def _figures(
    contest: Any, hashes: list[str], base: Any, answers: Any, *, exact: bool
) -> list[list[float]]:
    """Every number that an entry's page or document shows, entry by entry."""
    from grader.scoring.inputs import Answers, Measurements
    from leaderboard.lifecycle.scoring import score_fields_of_many
    from leaderboard.models import Score, public_figures

    base_values, ids = base.astype(float).tolist(), list(range(QUESTIONS))
    ratios = {shape.id: [0.1, 0.11, 0.09, 0.1, 0.12, 0.1] for shape in contest.speed.shapes}
    found = {
        i: Measurements(
            {
                contest.benchmarks[0].id: Answers(
                    ids, hashes, row.astype(float).tolist(), base_values
                )
            },
            checkpoint_bytes=2_000_000,
            base_bytes=5_000_000,
            log_ratios=ratios,
        )
        for i, row in enumerate(answers)
    }
    site: Any = SimpleNamespace(
        rules=contest, exact_figures=False, revealed_at=None, finalised_at=None
    )
    rows = []
    for fields in score_fields_of_many(found, site).values():
        shown = public_figures(Score(**fields), site, exact=exact)
        terms = [
            term[key]
            for term in shown.terms
            for key in ("value", "half_width", "measured", "points")
        ]
        rows.append([shown.value, shown.half_width, shown.accuracy, *terms])
    return rows
