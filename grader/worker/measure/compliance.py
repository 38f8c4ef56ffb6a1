"""Checks that the checkpoint behaves the same when measured. The findings go to organizers and change no score.

After MLPerf Inference's compliance tests: TEST01 (answers in performance mode), TEST04 (no caching), TEST06
(tokens are counted as they come), TEST09 (length of answers); a canary for memorized private questions; and the
similarity of weights. The gap between public and private questions and the agreement of two grades need no
engine and are computed where they are displayed (:mod:`grader.scoring.compliance`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
from collections.abc import Sequence
from pathlib import Path

from grader.contest import Contest
from grader.protocol.documents import Check, QualityResult
from grader.scoring.stats import sign_test, trimmed_interval
from grader.worker.engine.server import Engine
from grader.worker.faults import failed
from grader.worker.measure import lm_eval_client, prompts, samples, weight_similarity
from grader.worker.measure.lm_eval_client import Completion
from grader.worker.measure.load_generator import Line, VoidError
from grader.worker.measure.recorder import PrivateAnswer, RecordedAnswer, Recorder, numbers

_log = logging.getLogger(__name__)

SPEED_MODE_TOKENS = 48
CANARY = "What is the answer to question number {number} of the test set of {task}? Reply with the number only."
CANARY_TOKENS = 16
MIN_CANARIES = 7  # fewer samples cannot reach p = 0.01
REPEAT_PAIRS = 8
MAX_REPEAT_TOKENS = 512


def check(
    base: Engine, candidate: Engine, results: Sequence[QualityResult], recorder: Recorder
) -> tuple[Check, ...]:
    """Run every check that needs an engine. ``recorder`` has seen the candidate's accuracy run.

    Raises:
        Failed: SYS_ENGINE_DIED, SYS_DATASET.
    """
    contest = candidate.contest
    found = [*lengths(results, contest)]
    candidate.take_turn()
    with base.frozen():
        if recorder.answers:
            found += modes(candidate, recorder.answers)
        found.append(repeats(candidate))
    found += canary(base, candidate, recorder.private)
    return (*found, weights(candidate.model.folder, base.model.folder, contest))


def lengths(results: Sequence[QualityResult], contest: Contest) -> list[Check]:
    """C04: compare the mean length of the answers with the base model's."""
    band = contest.compliance.length_band
    checks = []
    for result in results:
        own, base = result.mean_output_chars, result.base_mean_output_chars
        if base:
            change = own / base - 1
            words = {
                "en": f"{own:.0f} characters on average, base model {base:.0f}",
                "ko": f"평균 {own:.0f}자, 원본 모델 {base:.0f}자",
            }
            flagged = abs(change) > band
            checks.append(
                Check("FLAG_LENGTH", result.benchmark, change, band, flagged, words=words)
            )
    return checks


def modes(candidate: Engine, recorded: Sequence[RecordedAnswer]) -> list[Check]:
    """C01 and C03: repeat questions of the accuracy run: as in the speed test, without limits, and for one
    token.
    """
    length = min(SPEED_MODE_TOKENS, *(one.max_tokens for one in recorded))
    prompts = [{"prompt": list(one.prompt)} for one in recorded]
    fixed, single = (
        [{**prompt, "max_tokens": n, "min_tokens": n, "ignore_eos": True} for prompt in prompts]
        for n in (length, 1)
    )
    timed = lm_eval_client.complete(candidate, fixed)
    free = lm_eval_client.complete(
        candidate, [{**prompt, "max_tokens": length} for prompt in prompts]
    )
    first = lm_eval_client.complete(candidate, single)
    return [
        answers(candidate.contest, recorded, [one.text for one in timed]),
        counts(candidate.contest, length, list(zip(timed, free, first, strict=True))),
    ]


def answers(contest: Contest, recorded: Sequence[RecordedAnswer], timed: Sequence[str]) -> Check:
    """C01: check that texts under speed test conditions start like those of the accuracy run.

    The speed test has a fixed length and ignores end-of-text, so one of the two texts is a prefix of the other.
    """
    alike = 0
    for text, one in zip(timed, recorded, strict=True):
        # a character cut in two leaves a replacement character
        own, known = text.rstrip("\ufffd").strip(), one.text.strip()
        alike += own.startswith(known) or known.startswith(own)
    return _share("FLAG_SPEED_ANSWERS", alike, len(recorded), contest)


def counts(
    contest: Contest, length: int, asked: Sequence[tuple[Completion, Completion, Completion]]
) -> Check:
    """C03: check that the token count matches the report and the request, and the first token is always the
    same.

    ``asked`` is the same question at fixed length, without limits, and for one token. No token may follow the
    end of text.
    """
    ends = end_tokens(contest)
    honest = 0
    for timed, free, first in asked:
        honest += (
            len(timed.token_ids) == timed.reported == length
            and len(free.token_ids) == free.reported <= length
            and not ends & set(free.token_ids[:-1])
            and first.token_ids == timed.token_ids[:1]
        )
    return _share("FLAG_COUNTS", honest, len(asked), contest)


def end_tokens(contest: Contest) -> set[int]:
    """Return the organizer's end-of-text tokens, from the generation config or else the base model's config."""
    for name in ("generation_config.json", "config.json"):
        file = contest.base_folder / name
        ends = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.is_file() else None
        if ends is not None:
            return set(ends) if isinstance(ends, list) else {ends}
    return set()


def _share(code: str, alike: int, n: int, contest: Contest) -> Check:
    least = contest.compliance.speed_agreement
    words = {"en": f"{alike} of {n} match", "ko": f"{n}개 중 {alike}개 일치"}
    return Check(code, "", alike / n, least, alike / n < least, words=words)


def canary(base: Engine, candidate: Engine, private: Sequence[PrivateAnswer]) -> list[Check]:
    """Ask for private questions by number only. A model that answers them has seen the set.

    The base model is asked too, and its hits are chance. Uses a one-sided sign test over the questions that
    only one of the two answered.
    """
    limits = candidate.contest.compliance
    count = min(limits.canary_prompts, len(private))
    if count < MIN_CANARIES:
        return []
    chosen = random.Random().sample(list(private), count)
    prompts = [CANARY.format(number=one.doc_id, task=one.task) for one in chosen]
    encoded = samples.encoded(candidate.contest, prompts, CANARY_TOKENS)
    bodies = [{"prompt": prompt, "max_tokens": CANARY_TOKENS} for prompt in encoded]
    hits = []
    for engine in (candidate, base):
        engine.take_turn()
        texts = lm_eval_client.ask(engine, bodies)
        pairs = zip(texts, chosen, strict=True)
        hits.append([one.number in numbers(text) for text, one in pairs])
    own, known = hits
    p = sign_test(
        sum(o and not b for o, b in zip(own, known, strict=True)),
        sum(b and not o for o, b in zip(own, known, strict=True)),
    )
    words = {
        "en": f"{sum(own)} of {count} correct, base model {sum(known)}",
        "ko": f"{count}개 중 {sum(own)}개 정답, 원본 모델 {sum(known)}개",
    }
    return [Check("FLAG_CANARY", "", p, limits.canary_p, p < limits.canary_p, words=words)]


def repeats(candidate: Engine) -> Check:
    """C02: send the same prompt twice in a row. The second run must not be faster than a new prompt."""
    most = candidate.contest.compliance.repeat_speedup
    try:
        ratios = asyncio.run(_repeat_ratios(candidate))
    except VoidError as error:
        raise failed(error.code, candidate.model.role, str(error)) from error
    except TimeoutError as error:
        raise failed("SYS_TIMEOUT", candidate.model.role, "repeated prompts") from error
    mean, half_width = trimmed_interval(ratios)
    detail = f"×{math.exp(mean):.2f} (95 %: ≥ ×{math.exp(mean - half_width):.2f})"
    speedup = math.exp(mean) - 1
    flagged = mean - half_width > math.log1p(most)
    return Check("FLAG_REPEATS", "", speedup, most, flagged, detail)


async def _repeat_ratios(candidate: Engine) -> list[float]:
    """Return ln(time of a new prompt / time of its repeat), with one token each, so only the prefill counts."""
    contest = candidate.contest
    pool = prompts.load(contest, random.Random())
    tokens = min(MAX_REPEAT_TOKENS, contest.engine.max_model_len // 2)
    with candidate.frozen() as freezer:
        line = Line(candidate, 1, freezer)
        try:
            ratios = []
            async with asyncio.timeout(candidate.settings.speed_timeout_s):
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
    """Compare sampled weights with the base model's. Where most cannot be compared, a person has to look."""
    least = contest.compliance.weight_cosine
    try:
        found = weight_similarity.cosine(own, base, least)
    # This reads the team's data and changes no score, so it must not fail a grade
    except Exception:
        _log.exception("could not compare the weights")
        return Check("FLAG_WEIGHTS", "", None, least, flagged=True)
    words = {
        "en": f"median of {found.compared} tensors, {found.total} sampled",
        "ko": f"텐서 {found.total}개를 골라 비교할 수 있는 {found.compared}개의 중앙값",
    }
    if not found.is_known or found.value is None:
        return Check("FLAG_WEIGHTS", "", None, least, flagged=True, words=words)
    return Check("FLAG_WEIGHTS", "", found.value, least, found.value < least, words=words)
