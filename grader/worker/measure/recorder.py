"""Records parts of an accuracy run for :mod:`grader.worker.measure.compliance` and
:mod:`grader.worker.measure.prompt_facts`.
"""

from __future__ import annotations

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
class Recorder:
    """``answers``: the first generated ones. ``private``: private questions whose answer is a number."""

    answers: list[RecordedAnswer] = field(default_factory=list)
    private: list[PrivateAnswer] = field(default_factory=list)

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
        self.record_private(samples, benchmark, contest)

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
