"""Every way a submission can fail: one stable code each, with a stage, a sentence and a next step.

The list is the contract between the checker, the worker, the site, the CLI and the documentation; tests hold
all of them to it. Codes are stable for ever; sentences may be improved.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from grader.problems import texts


class Stage(enum.StrEnum):
    """Where a submission stands on its way. Information for people, not a state."""

    UPLOAD = "upload"  # bytes arriving at the site
    CHECK = "check"  # unpacked and read strictly, headers only, on the site's own queue
    WAIT = "wait"  # checked, waiting for a worker
    FETCH = "fetch"  # the worker downloads and rebuilds the canonical folder
    LOAD = "load"  # engines start
    QUALITY = "quality"  # benchmarks run
    SPEED = "speed"  # paired rounds against the base model
    SCORE = "score"  # the site applies the formula


class Fault(enum.StrEnum):
    """Whose move it is."""

    TEAM = "team"  # the evaluation ends as rejected
    SYSTEM = "system"  # ours: retried, never costs the team anything
    NOTICE = "notice"  # worth saying, changes nothing


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one submission.

    Attributes:
        code: key into :data:`CATALOGUE`.
        where: file, tensor or key concerned; already cleaned for display; may be empty.
        detail: facts in numbers and names (``expected [256, 256], found [256, 128]``); language-neutral.
    """

    code: str
    where: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code means. ``sentence`` and ``hint`` exist in English and Korean."""

    stage: Stage
    fault: Fault
    sentence_en: str
    sentence_ko: str
    hint_en: str
    hint_ko: str

    def sentence(self, language: str) -> str:
        return self.sentence_ko if language.startswith("ko") else self.sentence_en

    def hint(self, language: str) -> str:
        return self.hint_ko if language.startswith("ko") else self.hint_en


_FAMILIES: tuple[tuple[Stage, Fault, tuple[texts.Row, ...]], ...] = (
    (Stage.UPLOAD, Fault.TEAM, texts.UPLOAD),
    (Stage.UPLOAD, Fault.TEAM, texts.HUB),
    (Stage.UPLOAD, Fault.TEAM, texts.TEAM),
    (Stage.UPLOAD, Fault.TEAM, texts.WEBHOOK),
    (Stage.CHECK, Fault.TEAM, texts.ARCHIVE),
    (Stage.CHECK, Fault.TEAM, texts.LAYOUT),
    (Stage.CHECK, Fault.TEAM, texts.JSON),
    (Stage.CHECK, Fault.TEAM, texts.CONFIG),
    (Stage.CHECK, Fault.TEAM, texts.SAFETENSORS),
    (Stage.CHECK, Fault.TEAM, texts.INDEX),
    (Stage.CHECK, Fault.TEAM, texts.QUANT),
    (Stage.CHECK, Fault.TEAM, texts.KERNEL),
    (Stage.CHECK, Fault.TEAM, texts.ORGANISER),
    (Stage.CHECK, Fault.TEAM, texts.WEIGHTS),
    (Stage.LOAD, Fault.TEAM, texts.LOAD),
    (Stage.QUALITY, Fault.TEAM, texts.RUN),
    (Stage.SCORE, Fault.NOTICE, texts.FLAG),
    (Stage.SCORE, Fault.SYSTEM, texts.SCORE),
    (Stage.LOAD, Fault.SYSTEM, texts.SYSTEM_ROWS),
    (Stage.SPEED, Fault.SYSTEM, texts.WORKER),
)

# Codes whose fault or stage is not their family's.
_NOTICES = frozenset(
    [
        "LAYOUT_IGNORED_FILE",
        "CONFIG_IGNORED",
        "QUANT_KV_IGNORED",
        "KERNEL_FP8",
        "KERNEL_EMULATED",
        "KERNEL_GROUP_SIZE",
        "KERNEL_TILE",
        "KERNEL_UNSURE",
        "KERNEL_NO_SAVING",
        "GENCONF_IGNORED",
        "WEIGHTS_ZERO",
        "WEIGHTS_DUPLICATE_HEAD",
    ]
)
_FAULTS = {"SCORE_GATE": Fault.TEAM}
_STAGES = {
    "FLAG_CANARY": Stage.QUALITY,
    "FLAG_COUNTS": Stage.SPEED,
    "FLAG_LENGTH": Stage.QUALITY,
    "FLAG_REPEATS": Stage.SPEED,
    "FLAG_SPEED_ANSWERS": Stage.SPEED,
    "FLAG_WEIGHTS": Stage.CHECK,
    "HUB_GONE": Stage.FETCH,
    "SYS_DOWNLOAD": Stage.FETCH,
    "SYS_HUB": Stage.FETCH,
    "SYS_STORAGE": Stage.FETCH,
    "SYS_CONTEST_MISMATCH": Stage.FETCH,
    "SYS_DISK_FULL": Stage.FETCH,
    "SYS_CHECK_CRASHED": Stage.CHECK,
    "SYS_DATASET": Stage.QUALITY,
    "SYS_ENGINE_DIED": Stage.QUALITY,
    "SYS_RESULT_INVALID": Stage.QUALITY,
    "SYS_NOISY": Stage.SPEED,
    "SYS_WORKER_LOST": Stage.WAIT,
    "SYS_ATTEMPTS_EXHAUSTED": Stage.WAIT,
}


def _kind(stage: Stage, fault: Fault, row: texts.Row) -> Kind:
    code, sentence_en, hint_en, sentence_ko, hint_ko = row
    fault = Fault.NOTICE if code in _NOTICES else _FAULTS.get(code, fault)
    return Kind(_STAGES.get(code, stage), fault, sentence_en, sentence_ko, hint_en, hint_ko)


def is_ours(problem: Problem) -> bool:
    """Whether the operator has to do something, not the team: a full disk is no property of a checkpoint."""
    return CATALOGUE[problem.code].fault is Fault.SYSTEM


CATALOGUE: dict[str, Kind] = {
    row[0]: _kind(stage, fault, row) for stage, fault, rows in _FAMILIES for row in rows
}
