"""Rows and reports as lines of JSON, without addresses and tokens.

A report is written piece by piece. Parsing and encoding each of 45,000 whole reports of 1.4 MB would take an
hour and a half; written from what they have in common, they take a few minutes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from grader.scoring.inputs import Answers, Measurements
from leaderboard import lifecycle
from leaderboard.models import Result

MAIL = re.compile(r"[^\s@\"'<>(),;:]+@[^\s@\"'<>(),;:]+\.[^\s@\"'<>(),;:]+")
TOKEN = re.compile(r"\b(pb[a-z]|whsec|hf)_[A-Za-z0-9_\-+/=]{16,}")
# The database holds no NUL, so no text of a report looks like these.
TENSORS = "\0tensors"
ITEMS = "\0"
PLACE = re.compile(r'"\\u0000(tensors|\d+)"')


def line(document: dict[str, Any]) -> bytes:
    """One line of JSON with sorted keys."""
    return (_text(document) + "\n").encode()


def of_report(row: Result, measured: Measurements | None) -> Iterator[bytes]:
    """The whole report as one line, in pieces. ``measured``: its questions and answers, if it is packed."""
    if measured is None:
        yield line(row.report)
        return
    stored, answers = row.report, measured.answers
    quality = [{**one, "items": f"{ITEMS}{number}"} for number, one in enumerate(stored["quality"])]
    prompts = [one.pop("prompts") for one in quality]
    checkpoint = {**stored["checkpoint"], "tensors": TENSORS}
    text = _text({**stored, "quality": quality, "checkpoint": checkpoint})
    for number, piece in enumerate(PLACE.split(text)):
        if number % 2 == 0:
            yield piece.encode()
        elif piece == "tensors":
            yield _shared(stored["checkpoint"]["tensors"])
        else:
            at = int(piece)
            yield _items(answers[quality[at]["benchmark"]], prompts[at])
    yield b"\n"


def _items(answers: Answers, prompts: str) -> bytes:
    """``[{"base_value": …, "doc_hash": …, "doc_id": …, "prompt_hash": …, "value": …}, …]``"""
    middles = _questions(answers.doc_ids, answers.hashes, prompts)
    base, own = _numbers(answers.base_values), _numbers(answers.values)
    rows = [f'{{"base_value": {b}{m}{v}}}' for b, m, v in zip(base, middles, own, strict=True)]
    return f"[{', '.join(rows)}]".encode()


def _numbers(values: Any) -> list[str]:
    return [repr(value) for value in values.astype(float).tolist()]


@lru_cache(maxsize=64)
def _questions(doc_ids: tuple[int, ...], hashes: tuple[str, ...], prompts: str) -> list[str]:
    """What stands between the values of each question; it is the same in nearly all reports."""
    asked = zip(doc_ids, hashes, lifecycle.shared(prompts), strict=True)
    texts = [_text({"doc_hash": d, "doc_id": i, "prompt_hash": p}) for i, d, p in asked]
    return [f', {text[1:-1]}, "value": ' for text in texts]


@lru_cache(maxsize=64)
def _shared(digest: str) -> bytes:
    return _text(lifecycle.shared(digest)).encode()


def _text(document: Any) -> str:
    text = json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, sort_keys=True)
    if "@" in text:  # looked for first: the pattern tries every place of every word
        text = MAIL.sub("…@…", text)
    return TOKEN.sub(r"\1_…", text)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
