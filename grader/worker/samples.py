"""The contest's sample prompts answered by both models, for people to read. What comes back is hostile text."""

from __future__ import annotations

from typing import Any

from grader.contest import Contest
from grader.report import Sample
from grader.worker import harness
from grader.worker.engine import Engine
from grader.worker.log import clean

MAX_TOKENS = 128
MAX_CHARS = 4000


def collect(base: Engine, candidate: Engine) -> tuple[Sample, ...]:
    """Greedy answers of at most ``MAX_TOKENS`` tokens, through the organiser's chat template.

    Raises:
        Failed: SYS_ENGINE_DIED.
    """
    contest = candidate.contest
    if not contest.sample_prompts:
        return ()
    bodies = [{"prompt": prompt, "max_tokens": MAX_TOKENS} for prompt in _encoded(contest)]
    answers = [harness.ask(engine, bodies) for engine in (base, candidate)]
    return tuple(
        Sample(prompt, clean(of_base)[:MAX_CHARS], clean(own)[:MAX_CHARS])
        for prompt, of_base, own in zip(contest.sample_prompts, *answers, strict=True)
    )


def _encoded(contest: Contest) -> list[list[int]]:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(contest.base_folder))
    chats = [[{"role": "user", "content": prompt}] for prompt in contest.sample_prompts]
    texts = [
        tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        for chat in chats
    ]
    longest = contest.engine.max_model_len - MAX_TOKENS
    return [tokenizer.encode(text, add_special_tokens=False)[-longest:] for text in texts]
