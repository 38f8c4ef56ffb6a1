"""What a benchmark's prompts look like when they leave, and what comes back: for the trial of a contest.

Lengths are counted by lm-eval's own client with the tokenizer that it sends ids of; what is said of the first
prompt is said of ids that were sent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from grader.contest import Benchmark, Contest
from grader.protocol.trial import FirstPrompt, Prompts
from grader.worker.faults import Failed
from grader.worker.measure import accuracy, lm_eval_client
from grader.worker.measure.recorder import Recorder
from grader.worker.settings import Settings

IDS = 6  # shown of each end of a prompt
TEXT_CHARS = 1200  # shown of a long one, half of them from each end
NO_RESULT = (
    "",
    "[invalid]",
)  # lm-eval's filters say the second where their pattern matches nothing
BATCH = 1000

Samples = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(slots=True)
class _Requests:
    """One benchmark's requests while they come in. Of a prompt only what is asked later is kept."""

    opening: tuple[int, ...] = ()
    sent: set[int] = field(default_factory=set)
    starts: Counter[tuple[int, int]] = field(default_factory=Counter)
    count: int = 0
    limit_tokens: int = 0
    longest_answer: int = 0
    at_limit: int = 0

    def add(
        self,
        prompt: tuple[int, ...],
        body: Mapping[str, Any],
        answer: Mapping[str, Any],
        *,
        generate: bool,
    ) -> None:
        self.opening = self.opening or prompt
        self.sent.add(hash(prompt))
        run = next((i for i, token in enumerate(prompt) if token != prompt[0]), len(prompt))
        self.starts[prompt[0] if prompt else -1, run] += 1
        self.count += 1
        if generate:
            self.limit_tokens = max(self.limit_tokens, int(body["max_tokens"]))
            usage = answer.get("usage")
            tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
            if isinstance(tokens, int):
                self.longest_answer = max(self.longest_answer, tokens)
            self.at_limit += answer["choices"][0].get("finish_reason") == "length"

    def bos(self, bos_id: int | None) -> list[int]:
        """How many of that token stand at the head, of the prompts with the fewest and the most."""
        runs = [run if token == bos_id else 0 for token, run in self.starts]
        return [min(runs, default=0), max(runs, default=0)]


@dataclass(frozen=True, slots=True)
class PromptRecorder(Recorder):
    """A recorder of the candidate's accuracy run that also keeps the facts of every prompt."""

    prompts: list[Prompts] = field(default_factory=list)
    _requests: list[_Requests] = field(default_factory=lambda: [_Requests()])

    def record_request(
        self,
        contest: Contest,
        prompt: tuple[int, ...],
        body: Mapping[str, Any],
        answer: Mapping[str, Any],
        *,
        generate: bool,
    ) -> None:
        Recorder.record_request(self, contest, prompt, body, answer, generate=generate)
        self._requests[-1].add(prompt, body, answer, generate=generate)

    def record_benchmark(
        self, contest: Contest, benchmark: Benchmark, samples: Samples, model: Any
    ) -> None:
        Recorder.record_benchmark(self, contest, benchmark, samples, model)
        self.prompts.append(facts(benchmark, samples, model, self._requests[-1]))
        self._requests.append(_Requests())


def facts(benchmark: Benchmark, samples: Samples, model: Any, seen: _Requests) -> Prompts:
    """Of one benchmark. ``model`` is lm-eval's, ``samples`` its log."""
    chosen = list(_chosen(benchmark, samples))
    generated = seen.limit_tokens > 0
    longest = cut = 0
    budget = model.max_length - seen.limit_tokens
    for length in _lengths(chosen, model):
        longest, cut = max(longest, length), cut + (length > budget)
    tokenizer = model.tokenizer
    bos_id = tokenizer.bos_token_id
    own = list(tokenizer("a", add_special_tokens=True).input_ids)
    least, most = seen.bos(bos_id)
    counts = [len(sample["arguments"]) for sample in chosen]
    return Prompts(
        benchmark=benchmark.id,
        questions=len(chosen),
        requests=seen.count,
        chance=0.0 if generated else sum(1 / max(1, n) for n in counts) / max(1, len(counts)),
        first=_first(chosen, model, seen, budget),
        bos_id=bos_id,
        wants_bos=bos_id is not None and own[:1] == [bos_id],
        least_bos=least,
        most_bos=most,
        longest_tokens=longest,
        budget_tokens=budget,
        cut=cut,
        answer_limit_tokens=seen.limit_tokens,
        longest_answer_tokens=seen.longest_answer,
        at_limit=seen.at_limit,
        without_result=sum(map(_is_without_result, chosen)) if generated else None,
    )


def _chosen(benchmark: Benchmark, samples: Samples) -> Iterator[Mapping[str, Any]]:
    """The log's lines of the filter that counts: one a question."""
    name = benchmark.metric.partition(",")[2]
    for _, logged in sorted(samples.items()):
        of_filter = [sample for sample in logged if sample["filter"] == name]
        yield from sorted(of_filter, key=lambda sample: int(sample["doc_id"]))


def _lengths(chosen: Sequence[Mapping[str, Any]], model: Any) -> Iterator[int]:
    """Of every prompt in tokens, before anything is cut."""
    texts = [_text(arguments) for sample in chosen for arguments in sample["arguments"]]
    for start in range(0, len(texts), BATCH):
        encoded = model.tok_encode(
            texts[start : start + BATCH], add_special_tokens=model.add_bos_token
        )
        yield from map(len, encoded)


def _text(arguments: Sequence[Any]) -> str:
    """A prompt, and the choice after it where one is to be rated."""
    return "".join(one for one in arguments[:2] if isinstance(one, str))


def _first(
    chosen: Sequence[Mapping[str, Any]], model: Any, seen: _Requests, budget: int
) -> FirstPrompt:
    """The first question's prompt, if that is what was sent; else the first that was."""
    ids = seen.opening
    if chosen and chosen[0]["arguments"]:
        arguments = chosen[0]["arguments"][0]
        own = tuple(model.tok_encode(_text(arguments), add_special_tokens=model.add_bos_token))
        if hash(own[-budget:]) in seen.sent:
            ids = own[-budget:]
    tokenizer = model.tokenizer
    head, tail = ids[:IDS], ids[-IDS:]
    return FirstPrompt(
        tokens=len(ids),
        text=_shortened(tokenizer.decode(list(ids))),
        head_ids=head,
        tail_ids=tail,
        head=tuple(tokenizer.decode([one]) for one in head),
        tail=tuple(tokenizer.decode([one]) for one in tail),
    )


def _shortened(text: str) -> str:
    half = TEXT_CHARS // 2
    return text if len(text) <= TEXT_CHARS else f"{text[:half]} […] {text[-half:]}"


def _is_without_result(sample: Mapping[str, Any]) -> bool:
    found = sample["filtered_resps"]
    while isinstance(found, list | tuple):
        found = found[0] if found else ""
    return isinstance(found, str) and found.strip() in NO_RESULT


def survey(
    contest: Contest,
    settings: Settings,
    folder: Path,
    told: Callable[[str, int, int], None] = lambda *_: None,
) -> tuple[tuple[Prompts, ...], dict[str, str]]:
    """Every benchmark's prompts without an engine: the grader's own way, with nobody at the end of it.

    ``folder`` is for the tasks' files; ``told`` hears of (benchmark, prompts so far, of all). Also returned:
    why a benchmark could not be looked at (its data set or the tokenizer is not on this machine).
    """
    if not any(contest.base_folder.glob("tokenizer*")):
        reason = f"no tokenizer in {contest.base_model.folder}, prefetch {contest.id} brings it"
        return (), dict.fromkeys((benchmark.id for benchmark in contest.benchmarks), reason)
    lm_eval_client.prepare_process(settings.cache)
    tasks = accuracy.find_tasks(contest, folder / "tasks")
    recorder = PromptRecorder()
    unknown: dict[str, str] = {}
    for benchmark in contest.benchmarks:

        def answered(done: int, total: int, name: str = benchmark.id) -> None:
            told(name, done, total)

        try:
            accuracy.ask(
                lambda _: httpx.MockTransport(_nobody),
                contest, settings, benchmark, tasks, answered, recorder,
            )  # fmt: skip
        except (
            Failed,
            OSError,
            ValueError,
        ) as error:  # transformers raises the others without a tokenizer
            unknown[benchmark.id] = " ".join(str(error).split())[:300]
    return tuple(recorder.prompts), unknown


def _nobody(request: httpx.Request) -> httpx.Response:
    """An empty answer of the right form. Nothing that depends on it is looked at."""
    choice: dict[str, Any] = {"index": 0, "text": "", "finish_reason": "stop"}
    body = request.read()
    if b'"logprobs"' in body:
        tokens = len(json.loads(body)["prompt"][0]) + 1
        choice["logprobs"] = {
            "token_logprobs": [None] + [-1.0] * tokens,
            "top_logprobs": [None] + [{"": -1.0}] * tokens,
        }
    return httpx.Response(200, stream=_Unread(json.dumps({"choices": [choice]}).encode()))


class _Unread(httpx.AsyncByteStream):
    """A body that can be streamed, as from a socket."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
