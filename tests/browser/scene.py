"""A small contest in mid-run, to view in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress
from leaderboard.models import Contest, Evaluation, Team
from tests import factories

ENTRIES = [  # team, scheme, accuracy, speedup
    ("Quantum Quokka", "W4A16 g128", 0.405, 1.62),
    ("압축의 민족", "W4A16 g128", 0.40, 1.60),
    ("Team Nabi", "W8A8", 0.418, 1.42),
    ("tensor-tailors", "W4A16 g128", 0.30, 1.75),
    ("half precision", "bf16", 0.425, 1.01),
    ("느린 시작", "bf16", 0.35, 0.78),
]
FIRST_TRIES = 3


@dataclass
class Scene:
    contest: Contest
    captain: User
    team: Team
    scored: Evaluation
    rejected: Evaluation
    running: Evaluation
    waiting: Evaluation


@transaction.atomic
def build() -> Scene:
    contest = factories.contest()
    factories.scored(
        contest=contest, kind="base", title="Base model (bf16)", scheme="bf16", accuracy=0.42,
        speedup=1.0, seed=3, ago=timedelta(days=9),
    )  # fmt: skip
    factories.scored(
        contest=contest, kind="reference", title="Reference W8A8", accuracy=0.412, speedup=1.31,
        seed=4, ago=timedelta(days=9),
    )  # fmt: skip
    for i, (name, scheme, accuracy, speedup) in enumerate(ENTRIES):
        team = factories.team(contest=contest, name=name)
        if i < FIRST_TRIES:  # an earlier, weaker one
            factories.scored(
                contest=contest, team=team, accuracy=accuracy - 0.03, speedup=1 + (speedup - 1) / 2,
                seed=51 + i, ago=timedelta(days=6 - i),
            )  # fmt: skip
        factories.scored(
            contest=contest, team=team, scheme=scheme,
            accuracy=accuracy, speedup=speedup, seed=11 + i, ago=timedelta(hours=7 * i + 1),
        )  # fmt: skip
    captain = factories.user(name="mina")
    team = factories.team(
        contest=contest, name="작은 거인", captain=captain, members=[factories.user(name="jiho")]
    )
    factories.scored(
        contest=contest, team=team, accuracy=0.39, speedup=1.2, seed=31, ago=timedelta(days=3)
    )
    scored = factories.scored(
        contest=contest, team=team, scheme="W4A16 g128", accuracy=0.403, speedup=1.58, seed=33,
        ago=timedelta(hours=20), note="GPTQ g128",
        notices=[Problem("GENCONF_IGNORED", "generation_config.json")],
    )  # fmt: skip
    rejected = factories.rejected(
        contest=contest,
        team=team,
        problems=[
            Problem("CONFIG_FIXED_KEY", "config.json: hidden_size", "expected 256, found 128"),
            Problem(
                "WEIGHTS_SHAPE",
                "model.layers.3.self_attn.q_proj.weight",
                "expected [256, 256], found [256, 128]",
            ),
        ],
        ago=timedelta(days=2),
    )
    running = factories.submission(contest=contest, team=team, note="1024 samples")
    factories.running(evaluation=running, progress=Progress(Stage.QUALITY, 86, 160, "gsm8k"))
    waiting = factories.checked(evaluation=factories.submission(contest=contest, team=team))
    return Scene(contest, captain, team, scored, rejected, running, waiting)
