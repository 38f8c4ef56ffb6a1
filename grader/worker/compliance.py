"""Does the checkpoint behave under measurement as it does otherwise? Findings for organisers; no score changes.

After MLPerf Inference's compliance tests: TEST01 (answers in performance mode), TEST04 (no caching), TEST09
(length of answers); and the likeness of weights. The gap between public and private questions needs no engine
and is computed where it is shown (:mod:`grader.compliance`).
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from pathlib import Path

from grader.contest import Contest
from grader.report import Check, QualityResult
from grader.stats import trimmed_interval
from grader.worker import harness, likeness, prompts
from grader.worker.engine import Engine
from grader.worker.harness import Heard
from grader.worker.load import Line

SPEED_MODE_TOKENS = 48
REPEAT_PAIRS = 8
MAX_REPEAT_TOKENS = 512


def check(
    base: Engine, candidate: Engine, results: Sequence[QualityResult], heard: Sequence[Heard]
) -> tuple[Check, ...]:
    """Every check that can be made here. ``heard``: some of the candidate's answers of the accuracy run.

    Raises:
        Failed: SYS_ENGINE_DIED, SYS_DATASET.
    """
    contest = candidate.contest
    found = [*lengths(results, contest)]
    with base.frozen():
        if heard:
            found.append(answers(candidate, heard))
        found.append(repeats(candidate))
    return (*found, weights(candidate.model.folder, base.model.folder, contest))


def lengths(results: Sequence[QualityResult], contest: Contest) -> list[Check]:
    """C04: the mean length of the answers, relative to the base model's."""
    band = contest.compliance.length_band
    checks = []
    for result in results:
        own, base = result.mean_output_chars, result.base_mean_output_chars
        if base:
            change = own / base - 1
            detail = f"{own:.0f} characters on average, base model {base:.0f}"
            flagged = abs(change) > band
            checks.append(Check("FLAG_LENGTH", result.benchmark, change, band, flagged, detail))
    return checks


def answers(candidate: Engine, heard: Sequence[Heard]) -> Check:
    """C01: questions of the accuracy run asked again as in the speed test; texts must begin alike.

    Fixed length and no end-of-text there, so one of the two texts is the beginning of the other.
    """
    least = candidate.contest.compliance.speed_agreement
    length = min(SPEED_MODE_TOKENS, *(one.max_tokens for one in heard))
    bodies = [
        {"prompt": list(one.prompt), "max_tokens": length, "min_tokens": length, "ignore_eos": True}
        for one in heard
    ]
    alike = 0
    for timed, one in zip(harness.ask(candidate, bodies), heard, strict=True):
        # A character cut in two leaves a replacement character.
        text, known = timed.rstrip("\ufffd").strip(), one.text.strip()
        alike += text.startswith(known) or known.startswith(text)
    share = alike / len(heard)
    detail = f"{alike} of {len(heard)} alike"
    return Check("FLAG_SPEED_ANSWERS", "", share, least, share < least, detail)


def repeats(candidate: Engine) -> Check:
    """C02: the same prompt twice in a row; the second time must not be faster than a new one."""
    most = candidate.contest.compliance.repeat_speedup
    mean, half_width = trimmed_interval(asyncio.run(_repeat_ratios(candidate)))
    detail = f"×{math.exp(mean):.2f}, at least ×{math.exp(mean - half_width):.2f} (95 %)"
    speedup = math.exp(mean) - 1
    flagged = mean - half_width > math.log1p(most)
    return Check("FLAG_REPEATS", "", speedup, most, flagged, detail)


async def _repeat_ratios(candidate: Engine) -> list[float]:
    """ln(time of a new prompt / time of the same again), one token each: all of it is reading the prompt."""
    contest = candidate.contest
    pool = prompts.load(contest, random.Random())
    tokens = min(MAX_REPEAT_TOKENS, contest.engine.max_model_len // 2)
    with candidate.frozen() as freezer:
        line = Line(candidate, 1, freezer)
        try:
            ratios = []
            for number in range(REPEAT_PAIRS + 1):
                work = pool.draw(1, tokens)
                new = await line.block(work, 1)
                again = await line.block(work, 1)
                if number:  # the first one warms up
                    ratios.append(math.log(new.duration_s / again.duration_s))
            return ratios
        finally:
            await line.close()


def weights(own: Path, base: Path, contest: Contest) -> Check:
    """The likeness of sampled weights to the base model's; 'not comparable' is no finding against a team."""
    least = contest.compliance.weight_cosine
    found = likeness.cosine(own, base, least)
    if found is None:
        return Check("FLAG_WEIGHTS", "", None, least, False, "not comparable")
    value, number = found
    detail = f"median of {number} tensors"
    return Check("FLAG_WEIGHTS", "", value, least, value < least, detail)
