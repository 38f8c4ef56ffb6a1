"""A report as it is stored: what thousands of reports have in common is kept once, under its digest.

Of a report of 6,462 questions, 1.4 MB, the questions' digests and the base model's answers repeat in every
other one, and the list of tensors in every checkpoint that was compressed the same way. The answers are packed
by ``grader.scoring.packing``. :func:`whole` restores what the worker sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.scoring.inputs import Answers

Document = Mapping[str, Any]


def compact(report: Document) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the report's JSON without its questions and tensors, and the shared content by digest.

    Instead of ``items``, a benchmark has the digest of its ``prompts``; ``tensors`` is a digest.

    Raises:
        KeyError: it is not the JSON of a report.
    """
    shared: dict[str, bytes] = {}

    def digest(found: object) -> str:
        content = json.dumps(found, separators=(",", ":")).encode()
        name = hashlib.sha256(content).hexdigest()
        shared[name] = content
        return name

    quality = [
        {
            **{name: value for name, value in one.items() if name != "items"},
            "prompts": digest([item["prompt_hash"] for item in one["items"]]),
        }
        for one in report["quality"]
    ]
    tensors = digest(report["checkpoint"].get("tensors", []))
    checkpoint = {**report["checkpoint"], "tensors": tensors}
    return {**report, "quality": quality, "checkpoint": checkpoint}, shared


def whole(
    stored: Document, answers: Mapping[str, Answers], shared: Callable[[str], Any]
) -> dict[str, Any]:
    """Restore the report's JSON.

    Args:
        answers: by benchmark.
        shared: the content for a digest, parsed.
    """
    quality = [
        {
            **{name: value for name, value in one.items() if name != "prompts"},
            "items": items(answers[one["benchmark"]], shared(one["prompts"])),
        }
        for one in stored["quality"]
    ]
    checkpoint = {**stored["checkpoint"], "tensors": shared(stored["checkpoint"]["tensors"])}
    return {**stored, "quality": quality, "checkpoint": checkpoint}


def items(answers: Answers, prompts: Sequence[str]) -> list[dict[str, Any]]:
    """The questions of one benchmark as JSON."""
    columns = (answers.doc_ids, answers.hashes, prompts, answers.values, answers.base_values)
    return [
        {
            "doc_id": doc_id,
            "doc_hash": doc_hash,
            "prompt_hash": prompt_hash,
            "value": float(value),
            "base_value": float(base_value),
        }
        for doc_id, doc_hash, prompt_hash, value, base_value in zip(*columns, strict=True)
    ]
