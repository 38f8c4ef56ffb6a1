"""``baseline sample``: send the same prompts to the base model and a checkpoint, and compare the answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baseline.checkpoint.contests import rules
from baseline.commands.options import Contest, Json, Lang
from baseline.measurement.local_grade import settings_here, stopped
from baseline.terminal.errors import system, usage
from baseline.terminal.output import emit, json_wanted, language, note, out, safe, use_json

if TYPE_CHECKING:
    from grader.contest import Contest as ContestRules
    from grader.worker.engine.server import Engine


def command(
    path: Annotated[Path, typer.Argument(help="Checkpoint folder or archive.")],
    contest: Contest = "",
    prompt: Annotated[
        list[str] | None, typer.Option(help="Your own prompt; may be repeated.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 128,
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Let base model and checkpoint answer the contest's sample prompts."""
    use_json(json_output)
    if not contest:
        raise usage("CONTEST_MISSING", "For which contest?", "Give --contest ID.")
    if not path.exists():
        raise usage("CHECKPOINT_NOT_FOUND", f"There is no {path}.", "Give a folder or an archive.")
    chosen = rules(contest)
    prompts = prompt or list(chosen.sample_prompts)
    if not prompts:
        raise usage("PROMPT_MISSING", f"{contest} has no sample prompts.", "Give --prompt TEXT.")
    samples = _run(path, chosen, prompts, tokens, language(lang))
    if json_wanted():
        emit({"contest": contest, "samples": samples})
        return
    out().print(_beside(samples))


def _beside(samples: list[dict[str, str]]) -> Any:
    """Show the models' answers, which are as untrusted as any other upload."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False)
    for heading in ("prompt", "base", "candidate"):
        table.add_column(heading, ratio=1, overflow="fold")
    for sample in samples:
        table.add_row(*(safe(sample[key]) for key in ("prompt", "base", "candidate")))
    return table


def _run(
    path: Path, contest: ContestRules, prompts: list[str], tokens: int, spoken: str
) -> list[dict[str, str]]:
    settings = settings_here()
    import httpx

    from baseline.checkpoint.local_check import as_packed
    from grader.worker import workspace
    from grader.worker.clock import Clock
    from grader.worker.engine.launch import launch
    from grader.worker.faults import Cancellation, Failed, Rejected
    from grader.worker.intake import base_model, prepare
    from grader.worker.sandbox import box

    cancel = Cancellation()
    try:
        level = box.require(settings, contest.hardware.sandbox)
        with workspace.create(settings) as folder:
            clock = Clock(lambda _progress: None, cancel)
            with as_packed(path) as (source, _):
                model, _, _ = prepare(source.resolve(), folder, contest, clock)
            models = base_model(contest, settings), model
            note("Starting the base model and the checkpoint …")
            with launch(models, contest, settings, folder, level, cancel) as engines:
                answers: list[dict[str, str]] = [{"prompt": prompt} for prompt in prompts]
                for engine in engines:
                    engine.take_turn()
                    for answer in answers:
                        said = _answer(engine, answer["prompt"], tokens, settings.silence_s)
                        answer[engine.model.role] = said
                return answers
    except Rejected as error:
        raise stopped(error.problems, True, spoken, error.log) from error
    except Failed as error:
        raise stopped(error.problems, False, spoken, error.log) from error
    except httpx.HTTPError as error:
        raise system("ENGINE_SILENT", f"The engine did not answer: {error}.") from error


def _answer(engine: Engine, prompt: str, tokens: int, timeout_s: float) -> str:
    from grader.worker.engine.server import MODEL_NAME

    body: dict[str, Any] = {
        "model": MODEL_NAME,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    answer = engine.ask("/v1/chat/completions", body, timeout_s)
    try:
        return str(answer.document()["choices"][0]["message"]["content"])
    except (ValueError, LookupError, TypeError):
        said = f"HTTP {answer.status}: {answer.text[:200]}"
        raise system("ENGINE_SILENT", f"The engine did not answer: {said}.") from None
