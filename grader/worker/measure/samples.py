"""Both models' answers to the contest's sample prompts, for people to read. The output is untrusted text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grader.contest import Contest
from grader.protocol.documents import Sample
from grader.worker.engine.log import clean
from grader.worker.engine.server import Engine
from grader.worker.measure import lm_eval_client

MAX_TOKENS = 128
MAX_CHARS = 4000


def collect(base: Engine, candidate: Engine) -> tuple[Sample, ...]:
    """Return greedy answers of at most ``MAX_TOKENS`` tokens, using the organizer's chat template.

    Raises:
        Failed: SYS_ENGINE_DIED.
    """
    contest = candidate.contest
    if not contest.sample_prompts:
        return ()
    prompts = encoded(contest, contest.sample_prompts, MAX_TOKENS)
    bodies = [{"prompt": prompt, "max_tokens": MAX_TOKENS} for prompt in prompts]
    answers = []
    for engine in (base, candidate):
        engine.take_turn()
        answers.append(lm_eval_client.ask(engine, bodies))
    return tuple(
        Sample(prompt, clean(of_base)[:MAX_CHARS], clean(own)[:MAX_CHARS])
        for prompt, of_base, own in zip(contest.sample_prompts, *answers, strict=True)
    )


def encoded(contest: Contest, prompts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Turn user messages into tokens with the organizer's chat template, leaving room for ``max_tokens``."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(contest.base_folder))
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    texts = [
        tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        for chat in chats
    ]
    longest = contest.engine.max_model_len - max_tokens
    return [tokenizer.encode(text, add_special_tokens=False)[-longest:] for text in texts]
