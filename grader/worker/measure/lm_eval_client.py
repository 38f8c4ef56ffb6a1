"""Runs lm-eval against an engine on a Unix socket.

lm-eval's own HTTP client speaks TCP only, cannot pass arguments to the chat template and trusts what it reads.
The subclass below replaces only the sending of requests; tokenizing, batching order, payloads and parsing stay
lm-eval's ``local-completions``.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from grader.assets import nltk_data
from grader.contest import Benchmark, Contest
from grader.worker.engine import http
from grader.worker.engine.server import MODEL_NAME, Engine
from grader.worker.faults import failed, first_of
from grader.worker.measure.recorder import Recorder

SEED = 1234
CHARS_PER_TOKEN = 64  # longer than any token of known vocabularies; longer answers are cut off
BYTES_PER_TOKEN = 4096  # size of the JSON, with log-probabilities
CONCURRENCY = 16  # for requests that belong to no benchmark

Transport = Callable[[httpx.Limits], httpx.AsyncBaseTransport]  # the way to an engine


class AnswerError(Exception):
    """The engine did not answer a request, or its answer cannot be used."""


class NonFiniteError(AnswerError):
    """A probability is NaN or infinite."""


def prepare_process(cache: Path) -> None:
    """Prepare the process before lm-eval is first imported: no network, cached data sets, a quiet log."""
    os.environ.setdefault("HF_HOME", str(cache / "huggingface"))
    os.environ.setdefault("NLTK_DATA", str(nltk_data.folder(cache)))
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "TQDM_DISABLE"):
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    for name in (
        "httpx",
        "lm_eval",
        "lm-eval",
        "datasets",
        "transformers",
    ):  # otherwise one line per request
        logging.getLogger(name).setLevel(logging.WARNING)


def make_model(
    transport: Transport,
    contest: Contest,
    benchmark: Benchmark,
    silence_s: float,
    deadline_s: float,
    answered: Callable[[int, int], None],
    recorder: Recorder | None = None,
) -> Any:
    """An lm-eval model that queries the engine behind ``transport``.

    Args:
        silence_s: a request that gets no answer for this long is an error.
        deadline_s: for all requests of one kind together.
        answered: called with (answers so far, of all) after each answer; may raise.
        recorder: receives every request with its answer.

    Its methods raise TimeoutError, AnswerError and httpx.TransportError.
    """
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    class Client(LocalCompletionsAPI):  # type: ignore[misc]
        def apply_chat_template(
            self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
        ) -> str:
            rendered: str = self.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
                enable_thinking=benchmark.enable_thinking,
            )
            return rendered

        async def get_batched_requests(
            self,
            requests: list[list[int]],
            cache_keys: list[Any],
            *,
            generate: bool = True,
            ctxlens: list[int] | None = None,
            gen_kwargs: dict[str, Any] | None = None,
            **_: Any,
        ) -> list[Any]:
            """Send one request per prompt, ``benchmark.concurrency`` in parallel, and return answers in prompt
            order.
            """
            slots = asyncio.Semaphore(benchmark.concurrency)
            done = 0

            async def ask(client: httpx.AsyncClient, tokens: list[int], context: int) -> list[Any]:
                nonlocal done
                # building the payload empties the dictionary it receives
                body = self._create_payload(
                    [tokens],
                    generate=generate,
                    gen_kwargs=copy.deepcopy(gen_kwargs),
                    seed=self._seed,
                )
                async with slots:
                    answer = await _post(client, body, len(tokens))
                _check(answer, body["max_tokens"], generate)
                done += 1
                answered(done, len(requests))
                if recorder is not None:
                    recorder.record_request(contest, tuple(tokens), body, answer, generate=generate)
                if generate:
                    return list(self.parse_generations(answer))
                return list(self.parse_logprobs(answer, tokens=[tokens], ctxlens=[context]))

            limits = httpx.Limits(
                max_connections=benchmark.concurrency, max_keepalive_connections=0
            )
            contexts = ctxlens or [0] * len(requests)
            try:
                async with (
                    asyncio.timeout(deadline_s),
                    httpx.AsyncClient(
                        transport=transport(limits), base_url="http://engine", timeout=silence_s
                    ) as client,
                    asyncio.TaskGroup() as group,
                ):
                    tasks = [
                        group.create_task(ask(client, tokens, context))
                        for tokens, context in zip(requests, contexts, strict=True)
                    ]
            except BaseExceptionGroup as errors:
                raise first_of(errors) from None
            return [task.result() for task in tasks]

    return Client(
        base_url="http://engine/v1/completions",
        model="graded",
        tokenizer=str(contest.base_folder),
        tokenizer_backend="huggingface",
        tokenized_requests=True,
        # 1 would select lm-eval's own synchronous client; the actual concurrency is set by the semaphore above
        num_concurrent=max(2, benchmark.concurrency),
        max_length=contest.engine.max_model_len,
        max_gen_toks=benchmark.max_gen_toks,
        seed=SEED,
        revision=None,
    )


@dataclass(frozen=True, slots=True)
class Completion:
    """A greedy completion as the engine reports it: its token count ``reported`` and the tokens."""

    text: str
    reported: int
    token_ids: tuple[int, ...]


def ask(engine: Engine, bodies: Sequence[dict[str, Any]]) -> list[str]:
    """Return the texts of :func:`complete`."""
    return [completion.text for completion in complete(engine, bodies)]


def complete(engine: Engine, bodies: Sequence[dict[str, Any]]) -> list[Completion]:
    """Return greedy completions without using lm-eval, at most ``CONCURRENCY`` at a time.

    Raises:
        Failed: SYS_ENGINE_DIED, the engine crashed, hangs or returns invalid answers; SYS_TIMEOUT.
    """
    bodies = [{"return_token_ids": True, **body} for body in bodies]
    try:
        return [_completion(answer) for answer in _answers(engine, bodies, generate=True)]
    except AnswerError as error:
        raise engine.died(error) from error


def log_probabilities(
    engine: Engine, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[float]:
    """Return the log-probability of each answer after its context, both as token ids.

    Raises:
        Rejected: RUN_NONFINITE.
        Failed: as :func:`complete`.
    """
    bodies = [
        {"prompt": [*context, *answer], "max_tokens": 1, "logprobs": 1, "echo": True}
        for context, answer in pairs
    ]
    found = []
    for (context, answer), given in zip(
        pairs, _answers(engine, bodies, generate=False), strict=True
    ):
        # of every token of the prompt and of the one that was generated
        values = given["choices"][0]["logprobs"]["token_logprobs"]
        if len(values) != len(context) + len(answer) + 1:
            raise engine.died("answer with another number of log-probabilities than tokens")
        found.append(math.fsum(values[len(context) : -1]))
    return found


def _answers(
    engine: Engine, bodies: Sequence[dict[str, Any]], *, generate: bool
) -> list[dict[str, Any]]:
    """Return the checked answers to these requests, in their order."""

    async def all_of_them() -> list[dict[str, Any]]:
        slots = asyncio.Semaphore(CONCURRENCY)
        transport = httpx.AsyncHTTPTransport(
            uds=str(engine.uds), limits=httpx.Limits(max_keepalive_connections=0)
        )

        async def one(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
            async with slots:
                answer = await _post(client, body, len(body["prompt"]))
            _check(answer, body["max_tokens"], generate)
            return answer

        async with (
            asyncio.timeout(engine.settings.quality_timeout_s),
            httpx.AsyncClient(
                transport=transport, base_url="http://engine", timeout=engine.settings.silence_s
            ) as client,
        ):
            fixed = {"model": MODEL_NAME, "temperature": 0}
            return await asyncio.gather(*(one(client, {**fixed, **body}) for body in bodies))

    try:
        return asyncio.run(all_of_them())
    except NonFiniteError as error:
        raise engine.refusal("RUN_NONFINITE") from error
    except (httpx.TransportError, AnswerError) as error:
        raise engine.died(error) from error
    except TimeoutError as error:
        raise failed("SYS_TIMEOUT", engine.model.role, f"{len(bodies)} prompts") from error


def _completion(answer: dict[str, Any]) -> Completion:
    """Return the one choice of a checked answer. Raises AnswerError if ids or their count are invalid."""
    choice, usage = answer["choices"][0], answer.get("usage")
    ids = choice.get("token_ids")
    reported = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if not isinstance(reported, int) or not isinstance(ids, list):
        raise AnswerError("answer without tokens")
    if not all(isinstance(token, int) for token in ids):
        raise AnswerError("tokens that are not numbers")
    return Completion(choice["text"], reported, tuple(ids))


async def _post(
    client: httpx.AsyncClient, body: dict[str, Any], prompt_tokens: int
) -> dict[str, Any]:
    """Return the parsed answer. Reading stops at a size that no valid answer has."""
    most_bytes = 65536 + BYTES_PER_TOKEN * (prompt_tokens + int(body["max_tokens"]))
    async with client.stream("POST", "/v1/completions", json=body) as response:
        try:
            received = await http.bounded(response, most_bytes)
        except ValueError as error:
            raise AnswerError(str(error)) from error
    if response.status_code != 200:
        text = received[:500].decode("utf-8", "replace")
        if "Out of range float" in text:  # vLLM's error when it cannot write NaN as JSON
            raise NonFiniteError(text)
        raise AnswerError(f"HTTP {response.status_code}: {text}")
    try:
        answer = json.loads(received)
    except ValueError as error:
        raise AnswerError(f"not JSON: {error}") from error
    if not isinstance(answer, dict):
        raise AnswerError("not a JSON object")
    return answer


def _check(answer: dict[str, Any], max_tokens: int, generate: bool) -> None:
    """Check only what the parsers rely on: one choice, Unicode text of bounded length, finite numbers."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise AnswerError("answer without exactly one choice")
    choice = choices[0]
    choice["index"] = 0
    text = choice.get("text")
    if not isinstance(text, str):
        raise AnswerError("answer without text")
    text = text[: CHARS_PER_TOKEN * max_tokens]
    choice["text"] = text.encode("utf-8", "replace").decode()  # JSON can escape a lone surrogate
    if generate:
        return
    logprobs = choice.get("logprobs")
    values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
    tops = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
    if not isinstance(values, list) or not isinstance(tops, list) or len(values) != len(tops):
        raise AnswerError("answer without log-probabilities")
    for value, top in zip(values[1:], tops[1:], strict=True):  # the first token has no probability
        if not isinstance(top, dict) or not top:
            raise AnswerError("answer without log-probabilities")
        if not all(isinstance(v, int | float) and math.isfinite(v) for v in (value, *top.values())):
            raise NonFiniteError("NaN or infinite log-probabilities")
