"""A trial of the demo contest as ``baseline trycontest --report`` writes it, without an engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from grader.contest import Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import Report, StageTime
from grader.protocol.trial import FirstPrompt, OtherTemplate, Prompts, Trial
from grader.schema import encode
from tests.factories_pure import demo, report

CONTEST = demo()
FIRST = FirstPrompt(10, "Hi", (1, 2), (3, 4), ("<s>", "H"), ("i", "!"))
N = 100
STEADY = [(1.0 + i / 500, 1.0 + ((i * 7) % 10) / 500) for i in range(10)]


def prompts(benchmark: str, **facts) -> Prompts:
    generated = {"answer_limit_tokens": 160} if benchmark != "choice" else {"chance": 0.25}
    plain = Prompts(benchmark, N, N, 0.0, FIRST, 1, True, 1, 1, 50, 863, 0, without_result=0)
    return replace(plain, **generated | facts)


def graded(pairs, **facts) -> Report:
    """A grade of four minutes."""
    stages = StageTime(Stage.LOAD, 90.0), StageTime(Stage.QUALITY, 150.0)
    return replace(report(pairs=pairs, rounds=STEADY, **facts), stages=stages)


def right(n: int, of: int = N) -> list[float]:
    return [1.0] * n + [0.0] * (of - n)


def trial(contest: Contest = CONTEST, **facts) -> Trial:
    """A contest in order: a base model that is right in 80 of 100, a reference that loses 20 of them."""
    base = list(zip(right(80), right(80), strict=True))
    worse = list(zip(right(60), right(80), strict=True))
    turned = [OtherTemplate(b.id, False, tuple(right(40))) for b in contest.benchmarks]
    sound = Trial(
        contest=contest.id,
        contest_sha256=contest.sha256,
        grading_sha256=contest.grading_sha256,
        base=graded(base, checkpoint_bytes=1000),
        prompts=tuple(prompts(b.id) for b in contest.benchmarks),
        reference=graded(worse, checkpoint_bytes=1000),
        reference_name="w4a16-rtn",
        other_template=tuple(turned),
    )
    return replace(sound, **facts)


def written(path: Path, **facts) -> Path:
    path.write_text(json.dumps(encode(trial(**facts))), "utf-8")
    return path
