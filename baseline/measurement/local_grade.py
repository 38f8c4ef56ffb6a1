"""Runs the grader's ``grade`` on this machine: requirements, progress display and errors."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

from baseline.compression.quantise import quiet_libraries
from baseline.terminal import tables
from baseline.terminal.errors import CliError, Exit, missing_packages, system, usage
from baseline.terminal.output import err, json_wanted, safe
from baseline.terminal.stages import MEASURING, StageDisplay

if TYPE_CHECKING:
    from grader.contest import Contest
    from grader.problems.catalogue import Problem
    from grader.protocol.documents import Report
    from grader.worker.settings import Settings

# The catalog's hints for system faults are about the site's workers; here it is the user's own machine.
HINTS_HERE = {
    "SYS_NOISY": "Close what else runs here and measure again; --quick prints the interval, however wide.",
    "SYS_BASE_MODEL": "Point GRADER_BASE_MODELS at a folder that holds the base model's weights. If the "
    "engine's log says that it cannot run this model here, measure on hardware like the contest's.",
    "SYS_SANDBOX": "Set GRADER_SANDBOX to a level this machine offers, or measure on another one.",
    "SYS_DATASET": "Fetch the contest's data sets once while online; GRADER_CACHE is where they are kept.",
    "SYS_OOM": "Close what else uses memory, or lower GRADER_KV_CACHE_BYTES.",
}


def grade_here(path: Path, contest: Contest, spoken: str) -> Report:
    """Grade ``path`` and show its stages.

    Raises:
        CliError: missing packages, another measurement running, or the problem that ended the grade.
    """
    settings = settings_here()
    from baseline.checkpoint.local_check import as_packed
    from grader.worker.grade import grade

    stages = tuple(
        name
        for name in MEASURING
        if not (name == "quality" and not contest.benchmarks)
        and not (name == "speed" and not contest.speed.shapes)
    )
    with measuring(settings, spoken), StageDisplay(stages) as display, as_packed(path) as packed:
        return grade(
            packed[0].resolve(),
            contest,
            settings,
            lambda p: display.tell(p.stage.value, p.done, p.total, p.note),
        )


@contextlib.contextmanager
def measuring(settings: Settings, spoken: str) -> Iterator[None]:
    """Alone on this machine, with the libraries' remarks kept out of the display.

    Raises:
        CliError: another measurement is running, or the problem that ended this one.
    """
    quiet_libraries(verbose=False)
    from grader.worker.faults import Failed, Rejected
    from grader.worker.workspace import exclusive

    with exclusive(settings) as alone:
        if not alone:
            raise system(
                "ALREADY_MEASURING",
                "Another measurement is running on this machine; both would be wrong.",
                "Wait for it, or give this one its own GRADER_SCRATCH on another GPU.",
            )
        logging.disable(logging.WARNING)  # lm-eval's log messages would break the display
        try:
            yield
        except Rejected as error:
            raise stopped(error.problems, True, spoken, error.log) from error
        except Failed as error:
            raise stopped(error.problems, False, spoken, error.log) from error
        finally:
            logging.disable(logging.NOTSET)


def settings_here(*packages: str) -> Settings:
    """Return the worker's settings for this machine, once ``packages`` (vLLM and lm-eval) are known to be here.

    Raises:
        CliError: PACKAGE_MISSING, or an environment variable with an invalid value.
    """
    for name in packages or ("lm_eval", "vllm"):
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
    """Report a grade that ended early: the first problem as the error, the rest and the engine's log on
    stderr."""
    from baseline.checkpoint.local_check import in_words

    words = [in_words(problem, spoken) for problem in problems]
    for line in log.strip().splitlines()[-15:]:
        err().print(f"  | {safe(line)}", style="dim")
    if len(words) > 1 and not json_wanted():
        tables.problems(err(), words[1:])
    first = words[0]
    where = " ".join(filter(None, (first["where"], first["detail"])))
    message = f"{first['sentence']} ({where})" if where else first["sentence"]
    hint = HINTS_HERE.get(first["code"], first["hint"])
    return CliError(first["code"], message, hint, Exit.PROBLEM if rejected else Exit.SYSTEM)
