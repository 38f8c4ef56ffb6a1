"""Prompts for speed rounds: token ids of an exact length, different in every round."""

from __future__ import annotations

import json
import random
from pathlib import Path

from grader.contest import Contest
from grader.worker.faults import failed


class Prompts:
    """Draws prompts from the contest's pool of texts, tokenized once with the organizer's tokenizer.

    The text is natural because random ids would make logits and expert routing unrealistic.
    """

    def __init__(self, texts: list[list[int]], generator: random.Random) -> None:
        self._texts = [text for text in texts if text]
        self._generator = generator
        self._queue: list[list[int]] = []
        if not self._texts:
            raise failed("SYS_DATASET", "speed.prompts", "the file contains no text")

    def draw(self, count: int, tokens: int) -> list[list[int]]:
        """Return ``count`` prompts of exactly ``tokens`` ids: whole texts joined, with the last one cut."""
        return [self._one(tokens) for _ in range(count)]

    def _one(self, tokens: int) -> list[int]:
        prompt: list[int] = []
        while len(prompt) < tokens:
            if not self._queue:
                self._queue = self._generator.sample(self._texts, len(self._texts))
            prompt += self._queue.pop()
        return prompt[:tokens]


def load(contest: Contest, generator: random.Random) -> Prompts:
    """Read and tokenize the contest's pool.

    Raises:
        Failed: SYS_DATASET, the file or the tokenizer cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(contest.base_folder / "tokenizer.json"))
        texts = read(contest.folder / contest.speed.prompts)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise failed(
            "SYS_DATASET", "speed.prompts", f"{type(error).__name__}: {error}"[:400]
        ) from error
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return Prompts([list(one.ids) for one in encoded], generator)


def read(file: Path) -> list[str]:
    """Return the ``text`` of every line of a JSONL file."""
    lines = file.read_text("utf-8").splitlines()
    return [str(json.loads(line)["text"]) for line in lines if line.strip()]
