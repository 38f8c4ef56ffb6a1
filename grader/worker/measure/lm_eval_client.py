"""lm-eval against an engine on a Unix socket.

lm-eval's own HTTP client speaks TCP only, cannot pass arguments to the chat template and trusts what it reads.
The subclass below replaces just the sending of requests; tokenizing, batching order, payloads and parsing stay
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
from grader.worker.measure.recorder import RecordedAnswer

SEED = 1234
CHARS_PER_TOKEN = 64  # longest token of known vocabularies, with room; longer answers are cut
BYTES_PER_TOKEN = 4096  # of JSON, with log-probabilities
CONCURRENCY = 16  # of requests that are no benchmark's


class AnswerError(Exception):
    """The engine did not answer a request, or its answer cannot be used."""


class NonFiniteError(AnswerError):
    """A probability is NaN or infinite."""


def prepare_process(cache: Path) -> None:
    """Before the first import of lm-eval: no network, data sets from the worker's cache, a quiet log."""
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
    ):  # a line per request otherwise
        logging.getLogger(name).setLevel(logging.WARNING)


def make_model(
    uds: Path,
    contest: Contest,
    benchmark: Benchmark,
    silence_s: float,
    deadline_s: float,
    answered: Callable[[int, int], None],
    recorded: list[RecordedAnswer] | None = None,
) -> Any:
    """An lm-eval model that asks the engine at ``uds``.

    Args:
        silence_s: a request without any answer for this long is an error.
        deadline_s: for all requests of one kind together.
        answered: called with (answers so far, of all) after each answer; may raise.
        recorded: the first generated answers are added, ``compliance.speed_prompts`` in all.

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
            """One request per prompt, ``benchmark.concurrency`` in flight, answers in the prompts' order."""
            slots = asyncio.Semaphore(benchmark.concurrency)
            done = 0

            async def ask(client: httpx.AsyncClient, tokens: list[int], context: int) -> list[Any]:
                nonlocal done
                # the payload's maker empties the dictionary it is given
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
                if generate:
                    texts = list(self.parse_generations(answer))
                    if recorded is not None and len(recorded) < contest.compliance.speed_prompts:
                        recorded.append(RecordedAnswer(tuple(tokens), body["max_tokens"], texts[0]))
                    return texts
                return list(self.parse_logprobs(answer, tokens=[tokens], ctxlens=[context]))

            transport = httpx.AsyncHTTPTransport(
                uds=str(uds),
                limits=httpx.Limits(
                    max_connections=benchmark.concurrency, max_keepalive_connections=0
                ),
            )
            contexts = ctxlens or [0] * len(requests)
            try:
                async with (
                    asyncio.timeout(deadline_s),
                    httpx.AsyncClient(
                        transport=transport, base_url="http://engine", timeout=silence_s
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
        # 1 would take lm-eval's own, synchronous client; the true number is in the semaphore above
        num_concurrent=max(2, benchmark.concurrency),
        max_length=contest.engine.max_model_len,
        max_gen_toks=benchmark.max_gen_toks,
        seed=SEED,
        revision=None,
    )


@dataclass(frozen=True, slots=True)
class Completion:
    """A greedy completion as the engine tells it: ``reported`` tokens, and which they are."""

    text: str
    reported: int
    token_ids: tuple[int, ...]


def ask(engine: Engine, bodies: Sequence[dict[str, Any]]) -> list[str]:
    """The texts of :func:`complete`."""
    return [completion.text for completion in complete(engine, bodies)]


def complete(engine: Engine, bodies: Sequence[dict[str, Any]]) -> list[Completion]:
    """Greedy completions that lm-eval has no part in, at most ``CONCURRENCY`` at once.

    Raises:
        Failed: SYS_ENGINE_DIED, the engine died, is silent or answers nonsense; SYS_TIMEOUT.
    """

    async def all_of_them() -> list[Completion]:
        slots = asyncio.Semaphore(CONCURRENCY)
        transport = httpx.AsyncHTTPTransport(
            uds=str(engine.uds), limits=httpx.Limits(max_keepalive_connections=0)
        )

        async def one(client: httpx.AsyncClient, body: dict[str, Any]) -> Completion:
            async with slots:
                answer = await _post(client, body, len(body["prompt"]))
            _check(answer, body["max_tokens"], generate=True)
            return _completion(answer)

        async with (
            asyncio.timeout(engine.settings.quality_timeout_s),
            httpx.AsyncClient(
                transport=transport, base_url="http://engine", timeout=engine.settings.silence_s
            ) as client,
        ):
            fixed = {"model": MODEL_NAME, "temperature": 0, "return_token_ids": True}
            return await asyncio.gather(*(one(client, {**fixed, **body}) for body in bodies))

    try:
        return asyncio.run(all_of_them())
    except (httpx.TransportError, AnswerError) as error:
        raise engine.died(error) from error
    except TimeoutError as error:
        raise failed("SYS_TIMEOUT", engine.model.role, f"{len(bodies)} prompts") from error


def _completion(answer: dict[str, Any]) -> Completion:
    """The one choice of a checked answer. Raises AnswerError where ids or their number are none."""
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
    """The parsed answer; reading stops at a size that no honest answer has."""
    most_bytes = 65536 + BYTES_PER_TOKEN * (prompt_tokens + int(body["max_tokens"]))
    async with client.stream("POST", "/v1/completions", json=body) as response:
        try:
            received = await http.bounded(response, most_bytes)
        except ValueError as error:
            raise AnswerError(str(error)) from error
    if response.status_code != 200:
        text = received[:500].decode("utf-8", "replace")
        if "Out of range float" in text:  # what vLLM says when it cannot write NaN as JSON
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
    """Only what the parsers rely on: one choice, Unicode text of bounded length, finite numbers."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise AnswerError("answer without exactly one choice")
    choice = choices[0]
    choice["index"] = 0
    text = choice.get("text")
    if not isinstance(text, str):
        raise AnswerError("answer without text")
    text = text[: CHARS_PER_TOKEN * max_tokens]
    choice["text"] = text.encode("utf-8", "replace").decode()  # JSON can escape half a character
    if generate:
        return
    logprobs = choice.get("logprobs")
    values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
    tops = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
    if not isinstance(values, list) or not isinstance(tops, list) or len(values) != len(tops):
        raise AnswerError("answer without log-probabilities")
    for value, top in zip(values[1:], tops[1:], strict=True):  # the first token has none
        if not isinstance(top, dict) or not top:
            raise AnswerError("answer without log-probabilities")
        if not all(isinstance(v, int | float) and math.isfinite(v) for v in (value, *top.values())):
            raise NonFiniteError("NaN or infinite log-probabilities")
