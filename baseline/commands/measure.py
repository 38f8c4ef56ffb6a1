"""``baseline measure``: run the grader's own code on this machine and show every term of the score.

It cannot reproduce the contest's hardware: accuracy carries over, speed only on the same GPU.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baseline.checkpoint.contests import rules
from baseline.checkpoint.safe_write import place_for_file, try_file, whole_file
from baseline.commands.options import Contest, Force, Json, Lang
from baseline.measurement import history, result
from baseline.measurement.local_grade import grade_here
from baseline.measurement.reduced_contest import TERMS, reduced
from baseline.remote import rank_estimate
from baseline.terminal import result as show_result
from baseline.terminal.errors import CliError, Exit, usage
from baseline.terminal.output import emit, err, json_wanted, language, safe, use_json, warn

if TYPE_CHECKING:
    from grader.contest import Contest as ContestRules
    from grader.contest import Formula
    from grader.protocol.documents import Report


def command(
    path: Annotated[Path, typer.Argument(help="Checkpoint folder or archive.")],
    contest: Contest = "",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", "-q", help="A quick estimate: 40 questions per benchmark, 4 rounds."
        ),
    ] = False,
    only: Annotated[str, typer.Option(help="Measure only accuracy, memory or speed.")] = "",
    repeat: Annotated[
        int, typer.Option(min=1, help="Repeat the measurement this many times and show the spread.")
    ] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Write the full report (JSON, as the site stores it).")
    ] = None,
    formula: Annotated[str, typer.Option(help="Another formula of the contest.")] = "",
    label: Annotated[str, typer.Option("--note", help="A note for `baseline history`.")] = "",
    keep: Annotated[
        bool, typer.Option("--history/--no-history", help="Save the result for `baseline history`.")
    ] = True,
    rank: Annotated[bool, typer.Option(help="Estimate the rank on the site's board.")] = True,
    force: Force = False,
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Grade a checkpoint here with the grader's own code; prints every term."""
    use_json(json_output)
    if not contest:
        raise usage("CONTEST_MISSING", "Measured for which contest?", "Give --contest ID.")
    if not path.exists():
        raise usage("CHECKPOINT_NOT_FOUND", f"There is no {path}.", "Give a folder or an archive.")
    if only and only not in TERMS:
        raise usage(
            "TERM_UNKNOWN", f"{only!r} is no term of the score.", f"One of: {', '.join(TERMS)}."
        )
    chosen = rules(contest)
    if formula and formula not in chosen.scoring.formulas:
        known = ", ".join(chosen.scoring.formulas)
        raise usage("FORMULA_UNKNOWN", f"{contest} has no formula {formula!r}.", f"Known: {known}.")
    if only == "memory" and (report or repeat > 1):
        raise usage(
            "NOTHING_TO_REPORT",
            "The memory term is read from headers: there is no report, and nothing varies.",
            "Leave out --report and --repeat, or --only memory.",
        )
    if report:
        try_file(place_for_file(report, force, path))
    weights = chosen.scoring.formulas[formula or chosen.scoring.formula]
    about = {"path": str(path.resolve()), "label": label, "quick": quick, "only": only}
    runs: list[dict[str, Any]] = []
    partial = reduced(chosen, quick, only)
    for number in range(1, repeat + 1):
        if only == "memory":
            document = result.memory_only(path, chosen, weights, language(lang))
        else:
            measured = grade_here(path, partial, language(lang))
            if report:
                _write(report, measured, force or number > 1)
            document = _scored(measured, partial, weights)
        if repeat > 1:
            err().print(safe(f"run {number} of {repeat}: {show_result.short(document)}"))
        if keep:
            _keep(document, about)
        runs.append(about | document)
    document = runs[-1]
    if rank and document["score"] is not None and not quick:
        shown = document["board"] or document
        found = rank_estimate.estimate(
            chosen.id, shown["score"], shown["half_width"], document["safetensors_bytes"]
        )
        document["rank"] = asdict(found) if found else None
    if repeat > 1:
        document = document | {
            "runs": [*map(_without_questions, runs)],
            "spread": result.spread(runs),
        }
    if json_wanted():
        emit(_without_questions(document))
    else:
        show_result.result(document)


def _scored(measured: Report, contest: ContestRules, formula: Formula) -> dict[str, Any]:
    from grader.scoring.score import ScoreError

    try:
        return result.as_document(measured, contest, formula)
    except ScoreError as error:  # a base model that answers nothing right, as an untrained one
        raise CliError(
            "SCORE_IMPOSSIBLE", f"No score can be computed: {error}.",
            "Choose benchmarks that the base model can do, or measure more questions.", Exit.PROBLEM,
        ) from error  # fmt: skip


def _keep(document: dict[str, Any], about: dict[str, Any]) -> None:
    """Save without losing the measurement, even if the disk is full or anything else fails."""
    try:
        document["number"] = history.append(about | document)
    except CliError as error:
        warn(f"Not kept: {error.message} {error.hint}")
    except Exception as error:
        warn(f"Not kept: {type(error).__name__}: {error}")


def _without_questions(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "questions"}


def _write(path: Path, report: Report, force: bool) -> None:
    """Write without losing the measurement, if a file that was writable before no longer is."""
    from grader.schema import encode

    try:
        with whole_file(path, force) as temporary:
            temporary.write_text(json.dumps(encode(report), ensure_ascii=False, indent=1), "utf-8")
    except (OSError, CliError) as error:
        warn(f"The report was not written: {error}")
