"""Calibration data: JSON lines or a Hub data set, through the model's chat template, to token ids."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baseline.compression.recipe import Data
from baseline.terminal.errors import missing_packages, site, usage

Sample = list[dict[str, str]] | str  # a conversation or plain text


@dataclass(frozen=True, slots=True)
class Calibration:
    """The samples in use. ``sha256`` covers their content, so a file and a data set with equal rows match."""

    source: str
    samples: list[Sample]
    sha256: str


def read(source: str, wanted: Data) -> Calibration:
    """Read ``wanted.samples`` rows after ``wanted.skip`` from a file or, if there is none, a Hub data set.

    Raises:
        CliError: no such file, a line that is not JSON or has no conversation, the Hub is unreachable.
    """
    path = Path(source).expanduser()
    if path.is_file():
        rows: Iterable[object] = _lines(path)
    elif path.suffix in (".jsonl", ".json") or source.count("/") != 1:
        raise usage("DATA_NOT_FOUND", f"There is no data file {source}.", "Give --data FILE.jsonl.")
    else:
        rows = _hub_rows(source, wanted)
    picked = itertools.islice(rows, wanted.skip, wanted.skip + wanted.samples)
    samples = [_sample(row, f"{source} row {wanted.skip + i + 1}") for i, row in enumerate(picked)]
    if not samples:
        raise usage("DATA_EMPTY", f"{source} has no row after the first {wanted.skip}.")
    canonical = json.dumps(samples, ensure_ascii=False, sort_keys=True).encode()
    return Calibration(source, samples, hashlib.sha256(canonical).hexdigest())


def token_ids(tokenizer: Any, samples: list[Sample], seq_length: int) -> list[list[int]]:
    """Return token ids per sample, cut at ``seq_length``.

    Follows the organizers' script: render the chat template with a generation prompt as text, then tokenize it.
    Plain text skips the template.
    """
    rows = []
    for sample in samples:
        text = (
            sample
            if isinstance(sample, str)
            else tokenizer.apply_chat_template(sample, add_generation_prompt=True, tokenize=False)
        )
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:seq_length]
        if ids:
            rows.append(list(ids))
    return rows


def _lines(path: Path) -> Iterator[object]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield json.loads(line.decode())
            except UnicodeDecodeError as error:
                raise usage(
                    "DATA_INVALID",
                    f"{path} line {number} is not UTF-8 text.",
                    "Save the file as UTF-8: iconv -f CP949 -t UTF-8 OLD > NEW",
                ) from error
            except ValueError as error:
                raise usage(
                    "DATA_INVALID",
                    f"{path} line {number} is not JSON: {error}.",
                    'One object a line: {"messages": [{"role": "user", "content": "…"}]}',
                ) from error


def _hub_rows(repo: str, wanted: Data) -> Iterable[object]:
    from baseline.compression.quantise import quiet_libraries

    quiet_libraries(verbose=False)
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise missing_packages("A data set from the Hub", "datasets") from error
    try:
        rows: Iterable[object] = load_dataset(
            repo, split=wanted.split, revision=wanted.revision or None, streaming=True
        )
        first = iter(rows)
        return itertools.chain([next(first)], first)
    except Exception as error:  # the client raises many kinds; they all mean the same to the user
        text = str(error).strip()
        raise site(
            "HUB_UNREACHABLE",
            f"The data set {repo} could not be read: {text.splitlines()[0] if text else error!r}",
            "Give a local file: --data FILE.jsonl.",
        ) from error


def _sample(row: object, where: str) -> Sample:
    if isinstance(row, dict):
        for key in ("messages", "conversations"):
            turns = row.get(key)
            if isinstance(turns, list) and turns and all(_is_turn(turn) for turn in turns):
                return [{"role": turn["role"], "content": turn["content"]} for turn in turns]
        if isinstance(row.get("text"), str) and row["text"]:
            return str(row["text"])
    columns = (
        f" Its columns: {', '.join(map(str, row)) or 'none'}." if isinstance(row, dict) else ""
    )
    raise usage(
        "DATA_INVALID",
        f"{where} holds no conversation.{columns}",
        'Wanted: {"messages": [{"role": …, "content": …}]}, "conversations" likewise, or "text".',
    )


def _is_turn(turn: object) -> bool:
    return (
        isinstance(turn, dict)
        and isinstance(turn.get("role"), str)
        and isinstance(turn.get("content"), str)
    )
