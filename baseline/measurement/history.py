"""The measurements of this machine, kept to compare experiments.

Each measurement is one JSON line in ``$XDG_STATE_HOME/paretoboard/history.jsonl``, appended and never changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from baseline.terminal.errors import system, usage

if TYPE_CHECKING:
    from grader.protocol.documents import Report

Z975 = 1.959964
# What a line needs to be listed, plotted and compared. Any other line is truncated or not ours.
SHOWN: dict[str, type | tuple[type, ...]] = {
    "number": int, "when": str, "contest": str, "scheme": str, "safetensors_bytes": int, "path": str,
    "label": str, "score": (int, float, NoneType), "half_width": (int, float, NoneType),
    "terms": list, "benchmarks": list, "speed": list, "quick": bool, "only": str, "device": str,
    "contest_hardware": str, "board": (dict, NoneType),
}  # fmt: skip
TERM = {"name", "weight", "value", "half_width", "base"}


def file() -> Path:
    """XDG: ``$XDG_STATE_HOME/paretoboard/history.jsonl``, otherwise below ``~/.local/state``."""
    base = os.environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    return root / "paretoboard" / "history.jsonl"


def append(document: dict[str, Any]) -> int:
    """Store one measurement and return its number.

    Raises:
        CliError: HISTORY_UNWRITABLE.
    """
    path = file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8", errors="replace") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            text = stream.read()
            number = text.count("\n") + 1 + (bool(text) and not text.endswith("\n"))
            if text and not text.endswith("\n"):  # after a full disk, end the truncated line first
                stream.write("\n")
            when = datetime.now(UTC).isoformat(timespec="seconds")
            record = {"number": number, "when": when, **document}
            stream.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    except OSError as error:
        raise system(
            "HISTORY_UNWRITABLE",
            f"{path} cannot be written: {error.strerror or error}.",
            "Set XDG_STATE_HOME to a folder that can be, or use --no-history.",
        ) from error
    return number


def read(contest: str = "") -> list[dict[str, Any]]:
    """Return all measurements, oldest first. Lines truncated by a full disk are skipped.

    Raises:
        CliError: HISTORY_UNREADABLE.
    """
    path = file()
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise system(
            "HISTORY_UNREADABLE",
            f"{path} cannot be read: {error.strerror or error}.",
            "Set XDG_STATE_HOME to a folder that can be.",
        ) from error
    records = []
    for line in text.split("\n"):  # not splitlines: a note may contain Unicode line separators
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if _is_whole(record) and (not contest or record["contest"] == contest):
            records.append(record)
    return records


def _is_whole(record: object) -> bool:
    return (
        isinstance(record, dict)
        and all(name in record and isinstance(record[name], kind) for name, kind in SHOWN.items())
        and all(isinstance(t, dict) and t.keys() >= TERM for t in record["terms"])
    )


def find(number: int) -> dict[str, Any]:
    """Return one measurement.

    Raises:
        CliError: MEASUREMENT_UNKNOWN.
    """
    for record in read():
        if record.get("number") == number:
            return record
    raise usage(
        "MEASUREMENT_UNKNOWN",
        f"There is no measurement {number} on this machine.",
        "`baseline history` lists them.",
    )


def questions(report: Report) -> dict[str, dict[str, Any]]:
    """For each benchmark: the answers' values and a digest of the questions. Equal digests can be paired."""
    found = {}
    for result in report.quality:
        asked = "".join(f"{item.doc_hash} {item.prompt_hash}\n" for item in result.items)
        found[result.benchmark] = {
            "digest": hashlib.sha256(asked.encode()).hexdigest(),
            "values": [round(item.value, 6) for item in result.items],
        }
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first.

    Attributes:
        half_width: of the 95 % interval of the difference.
        capped: at least one of the two is as high as the contest counts.
    """

    name: str
    first: float
    second: float
    half_width: float
    paired: bool = False
    capped: bool = False

    @property
    def value(self) -> float:
        return self.second - self.first

    @property
    def clear(self) -> bool:
        """Return whether the difference is larger than chance."""
        return abs(self.value) > self.half_width


def compare(first: dict[str, Any], second: dict[str, Any]) -> list[Difference]:
    """Compare all terms measured by both, and the score. Accuracy is paired by question if both used the same.

    Raises:
        CliError: NOT_COMPARABLE, different contests.
    """
    if first.get("contest") != second.get("contest"):
        raise usage(
            "NOT_COMPARABLE",
            f"{first.get('number')} is of {first.get('contest')}, "
            f"{second.get('number')} of {second.get('contest')}.",
            "Compare two measurements of one contest.",
        )
    before, after = _terms(first), _terms(second)
    found = []
    for name, own in before.items():
        if name in after:
            other = after[name]
            half = math.hypot(own["half_width"], other["half_width"])
            paired = _paired_half_width(first, second) if name == "accuracy" else None
            found.append(Difference(name, own["value"], other["value"],
                                    half if paired is None else paired, paired is not None,
                                    bool(own.get("capped") or other.get("capped"))))  # fmt: skip
    if first.get("score") is not None and second.get("score") is not None:
        half = math.hypot(*(after[d.name]["weight"] * d.half_width for d in found))
        found.append(Difference("score", first["score"], second["score"], half))
    return found


def _terms(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {term["name"]: term for term in record.get("terms", [])}


def _paired_half_width(first: dict[str, Any], second: dict[str, Any]) -> float | None:
    """Interval of the difference between the accuracy terms; None if they answered different questions."""
    own, other = first.get("questions") or {}, second.get("questions") or {}
    if not own or own.keys() != other.keys():
        return None
    if any(own[name]["digest"] != other[name]["digest"] for name in own):
        return None
    weights = {b["name"]: b.get("weight", 0.0) for b in second.get("benchmarks", [])}
    base = _terms(second)["accuracy"]["base"]
    variance = 0.0
    for name, answers in own.items():
        differences = [b - a for a, b in zip(answers["values"], other[name]["values"], strict=True)]
        if len(differences) > 1:
            spread = statistics.variance(differences)
            variance += weights.get(name, 0.0) ** 2 * spread / len(differences)
    return Z975 * math.sqrt(variance) / base if base else None
