"""What a trial of a contest measured: the base model against itself, a reference, and every prompt as sent.

Raw, like a report: what it means under a formula is computed by :mod:`grader.scoring.trial`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grader.protocol.documents import Report


@dataclass(frozen=True, slots=True)
class FirstPrompt:
    """The first question of a benchmark as the engine got it.

    Attributes:
        text: those tokens as text, special ones spelled out; the middle of a long one is left out.
        head_ids, tail_ids: its first and last token ids.
        head, tail: the same tokens, each by itself.
    """

    tokens: int
    text: str
    head_ids: tuple[int, ...]
    tail_ids: tuple[int, ...]
    head: tuple[str, ...]
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompts:
    """All prompts of one benchmark, and one model's answers to them.

    Attributes:
        questions, requests: of a multiple choice each question is asked once for every choice.
        chance: share that guessing gets right; 0 where answers are generated.
        bos_id: the tokenizer's beginning-of-sequence token; None: it has none.
        wants_bos: whether the tokenizer puts one in front of a text by itself.
        least_bos, most_bos: how many of them the prompts begin with.
        longest_tokens: the longest prompt (with its choice), before anything is cut from it.
        budget_tokens: how much of a prompt is sent; lm-eval cuts the beginning of a longer one.
        cut: prompts of which the beginning was cut.
        answer_limit_tokens: ``max_gen_toks``; 0 where nothing is generated.
        longest_answer_tokens, at_limit: answers, and how many were ended by that limit.
        without_result: answers in which the metric's filter finds nothing; None where it looks for nothing.
    """

    benchmark: str
    questions: int
    requests: int
    chance: float
    first: FirstPrompt
    bos_id: int | None
    wants_bos: bool
    least_bos: int
    most_bos: int
    longest_tokens: int
    budget_tokens: int
    cut: int
    answer_limit_tokens: int = 0
    longest_answer_tokens: int = 0
    at_limit: int = 0
    without_result: int | None = None

    @property
    def bos(self) -> Literal["one", "none", "many", "missing"]:
        """The verdict on how prompts begin; ``one`` and ``none`` are as they should be."""
        if self.most_bos > 1:
            return "many"
        if self.wants_bos and self.least_bos == 0:
            return "missing"
        return "one" if self.most_bos else "none"


@dataclass(frozen=True, slots=True)
class OtherTemplate:
    """A benchmark with the base model once more, ``apply_chat_template`` turned around.

    ``values`` are in the order of the report's items, which are of the same questions.
    """

    benchmark: str
    applied: bool
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything measured in one trial.

    Attributes:
        base: a grade of the base model itself: an A/A test of all that a grade measures.
        reference: a grade of one reference; None where none was given.
        reference_name: its recipe or folder, for people.
        prompts, reference_prompts: by benchmark, of those two grades' candidates.
        version: of this document's layout.
    """

    contest: str
    contest_sha256: str
    grading_sha256: str
    base: Report
    prompts: tuple[Prompts, ...]
    other_template: tuple[OtherTemplate, ...] = ()
    reference: Report | None = None
    reference_name: str = ""
    reference_prompts: tuple[Prompts, ...] = ()
    quick: bool = False
    version: int = 1
