"""The trial of a contest on this machine: its three steps with their progress, and reading one again."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baseline.compression.quantise import quiet_libraries
from baseline.measurement.local_grade import measuring, settings_here
from baseline.terminal.errors import usage
from baseline.terminal.output import err, safe
from baseline.terminal.stages import MEASURING, StageDisplay
from grader.text import Text

if TYPE_CHECKING:
    from grader.contest import Contest
    from grader.protocol.documents import Progress
    from grader.protocol.trial import Prompts, Trial
    from grader.worker.settings import Settings

STEPS = {
    "base": Text("the base model against itself", "원본 모델끼리 비교"),
    "reference": Text("the reference", "참고 모델"),
    "template": Text("apply_chat_template the other way", "apply_chat_template을 반대로"),
}


def try_here(
    contest: Contest,
    settings: Settings,
    reference: Path | None,
    spoken: str,
    *,
    name: str,
    quick: bool,
) -> Trial:
    """Try the contest here.

    Raises:
        CliError: as :func:`baseline.measurement.local_grade.grade_here`.
    """
    from baseline.checkpoint.local_check import as_packed
    from grader.worker import trial
    from grader.worker.intake import base_model

    steps = [step for step in STEPS if step != "reference" or reference]

    @contextlib.contextmanager
    def step(which: str) -> Iterator[Callable[[Progress], None]]:
        number = f"{steps.index(which) + 1}/{len(steps)}"
        err().print(f"[bold]{number}[/bold] {safe(STEPS[which](spoken))}")
        shown = ("load", "quality") if which == "template" else MEASURING
        with StageDisplay(shown) as display:
            yield lambda p: display.tell(p.stage.value, p.done, p.total, p.note)

    with measuring(settings, spoken), contextlib.ExitStack() as stack:
        base = stack.enter_context(as_packed(base_model(contest, settings).folder))[0]
        entered = stack.enter_context(as_packed(reference))[0] if reference else None
        return trial.measure(
            contest, settings, base.resolve(), entered and entered.resolve(), step,
            name=name, quick=quick,
        )  # fmt: skip


def survey_here(contest: Contest) -> tuple[tuple[Prompts, ...], dict[str, str]]:
    """The contest's prompts, without any engine; and for which benchmarks they cannot be had here.

    Raises:
        CliError: PACKAGE_MISSING.
    """
    settings = settings_here("lm_eval", "transformers")
    quiet_libraries(verbose=False)
    from grader.worker.measure import prompt_facts

    with tempfile.TemporaryDirectory() as folder, StageDisplay(("quality",)) as display:
        return prompt_facts.survey(
            contest,
            settings,
            Path(folder),
            lambda name, done, total: display.tell("quality", done, total, name),
        )


def read(file: Path) -> Trial:
    """A trial that was written by ``--report``.

    Raises:
        CliError: TRIAL_UNREADABLE.
    """
    from grader.protocol.trial import Trial
    from grader.schema import SchemaError, decode

    try:
        document: Any = json.loads(file.read_text("utf-8"))
        return decode(Trial, document)
    except (OSError, ValueError, SchemaError) as error:
        raise usage(
            "TRIAL_UNREADABLE",
            f"{file} is not a trial: {error}.",
            "Give a file that `baseline trycontest --report FILE` wrote.",
        ) from error
