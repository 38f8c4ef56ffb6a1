"""``baseline measure``: the grader's own function on this machine, with every term of the score.

What it cannot copy is the contest's hardware: accuracy carries over, speed only where the GPU is the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baseline import show
from baseline.contests import rules
from baseline.errors import CliError, Exit, missing_packages, system, usage
from baseline.folder import whole_file
from baseline.options import Contest, Force, Json, Lang
from baseline.output import bytes_text, emit, err, json_wanted, language, note, out, use_json
from baseline.quantise import quiet_libraries

if TYPE_CHECKING:
    from grader.contest import Contest as ContestRules
    from grader.problems import Problem
    from grader.report import Progress, Report
    from grader.score import Score
    from grader.worker.settings import Settings


# The catalogue's hints for system faults speak of the site's workers; here it is the reader's own machine.
HINTS_HERE = {
    "SYS_NOISY": "Close what else runs on this machine and measure again.",
    "SYS_BASE_MODEL": "Point GRADER_BASE_MODELS at a folder that holds the base model's weights.",
    "SYS_SANDBOX": "Set GRADER_SANDBOX to a level this machine offers, or measure on another one.",
}


def command(
    path: Annotated[Path, typer.Argument(help="Checkpoint folder or archive.")],
    contest: Contest = "",
    report: Annotated[
        Path | None, typer.Option(help="Write the full report (JSON, as the site stores it).")
    ] = None,
    formula: Annotated[str, typer.Option(help="Another formula of the contest.")] = "",
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
    chosen = rules(contest)
    if formula and formula not in chosen.scoring.formulas:
        known = ", ".join(chosen.scoring.formulas)
        raise usage("FORMULA_UNKNOWN", f"{contest} has no formula {formula!r}.", f"Known: {known}.")
    measured = _grade(path, chosen, language(lang))

    from grader.schema import encode
    from grader.score import score

    result = score(measured, chosen, chosen.scoring.formulas[formula or chosen.scoring.formula])
    if report:
        with whole_file(report, force) as temporary:
            temporary.write_text(
                json.dumps(encode(measured), ensure_ascii=False, indent=1), "utf-8"
            )
    document = as_document(measured, result, chosen)
    if json_wanted():
        emit(document)
    else:
        _show(document)


def as_document(report: Report, result: Score, contest: ContestRules) -> dict[str, Any]:
    """The score as the site's API shapes it, and beside it what it was computed from."""
    return {
        "contest": contest.id,
        "score": result.value,
        "half_width": result.half_width,
        "terms": [
            {"name": t.name, "weight": t.weight, "value": t.value, "half_width": t.half_width,
             "points": t.points, "measured": t.measured, "base": t.base}
            for t in result.terms
        ],
        "benchmarks": [
            {"name": q.benchmark, "value": q.value, "stderr": q.stderr, "base_value": q.base_value,
             "questions": len(q.items)}
            for q in report.quality
        ],
        "speed": [
            {"name": s.shape, "rounds": len(s.rounds), "tpot_ms": s.candidate.mean_tpot_ms,
             "base_tpot_ms": s.base.mean_tpot_ms, "output_tokens_per_s": s.candidate.output_tokens_per_s,
             "base_output_tokens_per_s": s.base.output_tokens_per_s}
            for s in report.speed
        ],
        "scheme": report.checkpoint.scheme,
        "safetensors_bytes": report.checkpoint.safetensors_bytes,
        "content_sha256": report.checkpoint.content_sha256,
        "device": report.system.device_name,
        "contest_hardware": contest.hardware.name,
    }  # fmt: skip


def settings_here() -> Settings:
    """The worker's settings on this machine, once vLLM and lm-eval are known to be here.

    Raises:
        CliError: PACKAGE_MISSING, or an environment variable with a value that cannot be used.
    """
    for name in ("lm_eval", "vllm"):
        if util.find_spec(name) is None:
            raise missing_packages(
                "Running a checkpoint", name, extra="grader-cpu (or grader-cuda)"
            )
    from grader.worker.settings import Settings, SettingsError

    try:
        return Settings.from_env()
    except SettingsError as error:
        raise usage("WORKER_SETTING", f"{error}.") from error


def stopped(problems: tuple[Problem, ...], rejected: bool, spoken: str, log: str) -> CliError:
    """A grade that ended early: the first problem as the error, the rest and the engine's log on stderr."""
    from baseline.preflight import in_words

    words = [in_words(problem, spoken) for problem in problems]
    for line in log.strip().splitlines()[-15:]:
        err().print(f"  | {line}", style="dim", markup=False)
    if len(words) > 1 and not json_wanted():
        show.problems(err(), words[1:])
    first = words[0]
    where = " ".join(filter(None, (first["where"], first["detail"])))
    message = f"{first['sentence']} ({where})" if where else first["sentence"]
    return CliError(
        first["code"], message, first["hint"], Exit.PROBLEM if rejected else Exit.SYSTEM
    )


def _grade(path: Path, contest: ContestRules, spoken: str) -> Report:
    settings = settings_here()
    quiet_libraries(verbose=False)
    from grader.worker.faults import Failed, Rejected
    from grader.worker.grade import grade
    from grader.worker.workspace import exclusive

    with exclusive(settings) as alone:
        if not alone:
            raise system(
                "ALREADY_MEASURING",
                "Another measurement is running on this machine; both would be wrong.",
                "Wait for it, or give this one its own GRADER_SCRATCH on another GPU.",
            )
        try:
            return grade(path.resolve(), contest, settings, _teller())
        except Rejected as error:
            raise stopped(error.problems, True, spoken, error.log) from error
        except Failed as error:
            raise stopped(error.problems, False, spoken, error.log) from error


def _teller() -> Callable[[Progress], None]:
    """Progress on stderr: every step on a terminal, every stage elsewhere."""
    last = {"line": "", "stage": ""}

    def tell(progress: Progress) -> None:
        count = f" {progress.done}/{progress.total}" if progress.total else ""
        line = f"{progress.stage.value}{count}{f' · {progress.note}' if progress.note else ''}"
        stage = f"{progress.stage.value} {progress.note.partition(':')[0]}"
        if sys.stderr.isatty() and line != last["line"]:
            err().print(f"\r\x1b[2K{line}", end="", markup=False)
        elif not sys.stderr.isatty() and stage != last["stage"]:
            err().print(line, markup=False)
        last.update(line=line, stage=stage)

    return tell


def _show(document: dict[str, Any]) -> None:
    from rich.table import Table

    console = out()
    if sys.stderr.isatty():
        err().print()
    score, half = show.number(document["score"]), show.number(document["half_width"])
    console.print(f"Score [bold]{score}[/bold] ± {half}  ({document['scheme']}, "
                  f"{bytes_text(document['safetensors_bytes'])})")  # fmt: skip
    show.terms(console, document["terms"])
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "candidate", "base", "over"):
        table.add_column(heading, justify="left" if heading == "measured" else "right")
    for each in document["benchmarks"]:
        table.add_row(each["name"], f"{each['value']:.4f} ± {each['stderr']:.4f}",
                      f"{each['base_value']:.4f}", f"{each['questions']} questions")  # fmt: skip
    for each in document["speed"]:
        table.add_row(f"{each['name']} (tokens/s)", f"{each['output_tokens_per_s']:.1f}",
                      f"{each['base_output_tokens_per_s']:.1f}", f"{each['rounds']} rounds")  # fmt: skip
    console.print(table)
    if document["device"] != document["contest_hardware"]:
        note(
            f"Speed is of {document['device']}; the contest measures on {document['contest_hardware']}."
        )
