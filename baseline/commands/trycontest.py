"""``baseline trycontest``: is a contest worth an event? Tried with the grader's code, before anybody enters."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baseline.checkpoint.contests import rules
from baseline.checkpoint.safe_write import place_for_file, try_file, whole_file
from baseline.commands.options import Force, Json, Lang
from baseline.measurement import local_trial
from baseline.measurement.local_grade import settings_here
from baseline.measurement.reduced_contest import reduced
from baseline.terminal import trial as show_trial
from baseline.terminal.errors import CliError, Exit, usage
from baseline.terminal.output import emit, json_wanted, language, use_json

if TYPE_CHECKING:
    from grader.contest import Contest
    from grader.problems.catalogue import Problem
    from grader.protocol.trial import Prompts, Trial


def command(
    contest: Annotated[str, typer.Argument(help="Contest id, its folder, or its .toml file.")],
    reference: Annotated[
        Path | None,
        typer.Option(help="Checkpoint to tell from the base model: a folder or an archive."),
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the reference (default: path).")] = "",
    quick: Annotated[
        bool,
        typer.Option("--quick", "-q", help="A first look: 40 questions per benchmark, 4 rounds."),
    ] = False,
    prompts: Annotated[
        bool, typer.Option("--prompts", help="Only look at the prompts; no engine is started.")
    ] = False,
    teams: Annotated[int, typer.Option(min=1, help="Teams to plan GPU hours for.")] = 30,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs that will grade.")] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Write everything measured (JSON), to be read by --from.")
    ] = None,
    measured: Annotated[
        Path | None, typer.Option("--from", help="Measure nothing; read this --report again.")
    ] = None,
    force: Force = False,
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Try a contest before its event: prompts, noise, cost, the smallest difference it can tell apart."""
    use_json(json_output)
    spoken = language(lang)
    if prompts:
        _prompts(rules(contest), spoken)
        return
    if measured:
        chosen, trial = rules(contest), local_trial.read(measured)
        if trial.grading_sha256 != _version(chosen, trial.quick).grading_sha256:
            raise usage(
                "TRIAL_OF_OTHER_RULES",
                f"{measured} was measured under other rules than {contest} has now.",
                "Try the contest again.",
            )
    else:
        if reference and not reference.exists():
            raise usage(
                "CHECKPOINT_NOT_FOUND", f"There is no {reference}.", "Give a folder or an archive."
            )
        if report:
            try_file(place_for_file(report, force, reference))
        settings = settings_here()
        chosen = rules(contest, *settings.contests)
        called = name or (reference.name if reference else "")
        trial = local_trial.try_here(
            _version(chosen, quick), settings, reference, spoken, name=called, quick=quick
        )
        if report:
            _write(report, trial, force)
    _show(trial, chosen, teams, gpus, spoken)


def _version(contest: Contest, quick: bool) -> Contest:
    """The rules that are measured under."""
    return reduced(contest, quick)


def _prompts(contest: Contest, spoken: str) -> None:
    from grader.scoring.trial_findings import prompt_findings

    logging.disable(logging.WARNING)  # lm-eval warns of what is counted here
    try:
        found, unknown = local_trial.survey_here(contest)
    finally:
        logging.disable(logging.NOTSET)
    findings = _in_words(tuple(prompt_findings(found)), spoken)
    document = {
        "contest": contest.id,
        "contest_sha256": contest.sha256,
        "prompts": _prompts_of(found),
        "unknown": unknown,
        "findings": findings,
    }
    if json_wanted():
        emit(document)
    else:
        show_trial.prompts(document, spoken)


def _prompts_of(found: tuple[Prompts, ...]) -> list[dict[str, Any]]:
    from grader.schema import encode

    return [encode(one) | {"bos": one.bos} for one in found]


def _show(trial: Trial, contest: Contest, teams: int, gpus: int, spoken: str) -> None:
    from grader.checkpoint.base import base_config
    from grader.schema import encode
    from grader.scoring import trial_findings
    from grader.scoring.score import ScoreError
    from grader.scoring.trial import assess

    try:
        found = assess(trial, contest, teams, base_config(contest))
    except ScoreError as error:
        raise CliError(
            "SCORE_IMPOSSIBLE", f"No score can be computed: {error}.",
            "Choose benchmarks that the base model can do.", Exit.PROBLEM,
        ) from error  # fmt: skip
    findings = _in_words(trial_findings.find(found, trial, contest, gpus), spoken)
    document = encode(found) | {"findings": findings, "ok": not findings}
    document["prompts"] = _prompts_of(found.prompts)
    if json_wanted():
        emit(document)
    else:
        show_trial.trial(document, spoken)


def _in_words(problems: tuple[Problem, ...], spoken: str) -> list[dict[str, Any]]:
    from baseline.checkpoint.local_check import in_words

    return [in_words(problem, spoken) for problem in problems]


def _write(path: Path, trial: Trial, force: bool) -> None:
    from grader.schema import encode

    with whole_file(path, force) as temporary:
        temporary.write_text(json.dumps(encode(trial), ensure_ascii=False), "utf-8")
