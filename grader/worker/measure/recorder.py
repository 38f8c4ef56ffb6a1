"""Records parts of an accuracy run for :mod:`grader.worker.measure.compliance`,
:mod:`grader.worker.measure.likelihoods` and :mod:`grader.worker.measure.prompt_facts`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.contest import Benchmark, Contest
from grader.scoring.parts import is_public

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """A request of an accuracy run and its answer."""

    prompt: tuple[int, ...]
    max_tokens: int
    text: str


@dataclass(frozen=True, slots=True)
class PrivateAnswer:
    """A private question by its position in the data set, and the number that answers it."""

    task: str
    doc_id: int
    number: str


@dataclass(frozen=True, slots=True)
class RightAnswer:
    """A question as it was asked and its right answer, both as token ids."""

    doc_id: int
    context: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recorder:
    """``answers``: the first generated ones. ``private``: private questions whose answer is a number.
    ``right``: by benchmark, some questions with their right answers, where fresh twins can be compared with.
    """

    answers: list[RecordedAnswer] = field(default_factory=list)
    private: list[PrivateAnswer] = field(default_factory=list)
    right: dict[str, tuple[RightAnswer, ...]] = field(default_factory=dict)

    def record_request(
        self,
        contest: Contest,
        prompt: tuple[int, ...],
        body: Mapping[str, Any],
        answer: Mapping[str, Any],
        *,
        generate: bool,
    ) -> None:
        """Take one request (its prompt, its payload) and its checked answer, as it comes in."""
        if generate and len(self.answers) < contest.compliance.speed_prompts:
            text = answer["choices"][0]["text"]
            self.answers.append(RecordedAnswer(prompt, body["max_tokens"], text))

    def record_benchmark(
        self,
        contest: Contest,
        benchmark: Benchmark,
        samples: Mapping[str, Sequence[Mapping[str, Any]]],
        model: Any,
    ) -> None:
        """Take lm-eval's log of a whole benchmark; ``model`` is what it asked."""
        if (
            not benchmark.twin_of
        ):  # nobody can know an answer by the number of a question made for the event
            self.record_private(samples, benchmark, contest)
        if any(benchmark.id in pair for pair in contest.twins):
            self.record_right(samples, benchmark, contest, model)

    def record_right(
        self,
        samples: Mapping[str, Sequence[Mapping[str, Any]]],
        benchmark: Benchmark,
        contest: Contest,
        model: Any,
    ) -> None:
        """Draw some questions whose right answer is a text, and encode both with lm-eval's ``model``.

        Each grade draws its own, so that nobody can prepare for some of them.
        """
        filter_name = benchmark.metric.partition(",")[2]
        logged = [
            (sample, known)
            for _, lines in sorted(samples.items())
            for sample in lines
            if sample["filter"] == filter_name and (known := right_answer(sample, benchmark))
        ]
        count = min(contest.compliance.likelihood_questions, len(logged))
        found = []
        for sample, (context, answer) in random.Random().sample(logged, count):
            # Apart, as the model continues a prompt: together, line breaks between them become other tokens.
            before, tokens = model.tok_encode(context), model.tok_encode(answer)
            most = contest.engine.max_model_len - 1 - len(tokens)
            if before and tokens and most > 0:
                right = RightAnswer(int(sample["doc_id"]), tuple(before[-most:]), tuple(tokens))
                found.append(right)
        self.right[benchmark.id] = tuple(sorted(found, key=lambda one: one.doc_id))

    def record_private(
        self,
        samples: Mapping[str, Sequence[Mapping[str, Any]]],
        benchmark: Benchmark,
        contest: Contest,
    ) -> None:
        """Collect the correct answers in lm-eval's log that are numbers. The index of a choice does not
        count."""
        for task, logged in samples.items():
            for sample in logged:
                target = sample.get("target")
                generated = all(isinstance(t, str) for request in sample["resps"] for t in request)
                found = numbers(target) if generated and isinstance(target, str) else []
                if found and not is_public(contest, benchmark, str(sample["doc_hash"])):
                    answer = PrivateAnswer(task, int(sample["doc_id"]), found[-1])
                    if answer not in self.private:  # one line per filter
                        self.private.append(answer)


def numbers(text: str) -> list[str]:
    """Return the numbers in a text, without separators. The last one in ``12 + 5 = 17\n#### 17`` is the
    answer."""
    return [found.replace(",", "").removesuffix(".0") for found in _NUMBER.findall(text)]


def right_answer(sample: Mapping[str, Any], benchmark: Benchmark) -> tuple[str, str] | None:
    """Return a question as lm-eval asked it with its right answer; None if the task has no text for that.

    For multiple choice this is the right choice. Of a generative task, the target is the reference solution;
    IFEval-like tasks, which check an answer by rules, have none.
    """
    target, arguments = sample.get("target"), sample["arguments"]
    if all(isinstance(text, str) for request in sample["resps"] for text in request):
        if not isinstance(target, str) or not target.strip():
            return None
        gap = "" if benchmark.apply_chat_template else " "
        return str(arguments[0][0]), gap + target
    if isinstance(target, str):
        choices = [str(argument[1]).strip() for argument in arguments]
        target = choices.index(target.strip()) if target.strip() in choices else None
    if not isinstance(target, int) or not 0 <= target < len(arguments):
        return None
    context, choice = arguments[target][:2]
    return (str(context), str(choice)) if context else None
