"""Stores measurements compactly: content shared by many reports is stored once, under its digest.

A report of 6,462 questions is 1.4 MB of JSON. Nearly all of it is the questions' hashes and the base model's
answers, which repeat in every report. Without them, it is less than a kilobyte if answers are right or wrong.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.scoring.inputs import Answers, Measurements

RIGHT_OR_WRONG, NUMBERS = b"b", b"d"
Questions = tuple[tuple[int, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Packed:
    """A report without what it shares with others.

    Attributes:
        benchmarks: for each, its ``id`` and the digests of its ``questions`` and the ``base`` model's answers.
        values: the candidate's answers, by benchmark.
    """

    benchmarks: Sequence[Mapping[str, str]]
    values: bytes
    checkpoint_bytes: int
    base_bytes: int
    log_ratios: Mapping[str, Sequence[float]]


def pack(found: Measurements) -> tuple[Packed, dict[str, bytes]]:
    """Return the measurements, and what they may share with others by digest."""
    shared: dict[str, bytes] = {}

    def digest(content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        shared[name] = content
        return name

    benchmarks, values = [], []
    for benchmark, answers in found.answers.items():
        asked = json.dumps([list(answers.doc_ids), list(answers.hashes)], separators=(",", ":"))
        benchmarks.append(
            {
                "id": benchmark,
                "questions": digest(asked.encode()),
                "base": digest(_packed(answers.base_values)),
            }
        )
        own = _packed(answers.values)
        values.append(struct.pack("<I", len(own)) + own)
    packed = Packed(
        benchmarks,
        b"".join(values),
        found.checkpoint_bytes,
        found.base_bytes,
        {shape: list(ratios) for shape, ratios in found.log_ratios.items()},
    )
    return packed, shared


def unpack(
    packed: Packed, questions: Callable[[str], Questions], base: Callable[[str, int], Any]
) -> Measurements:
    """Restore the measurements, bit for bit.

    Args:
        questions, base: the content for a digest, as :func:`questions_of` and :func:`numbers_of` read it. They
            must return the same object each time, so that scoring many reports can detect what they share.
    """
    answers, at = {}, 0
    for one in packed.benchmarks:
        (length,) = struct.unpack_from("<I", packed.values, at)
        own = packed.values[at + 4 : at + 4 + length]
        at += 4 + length
        doc_ids, hashes = questions(one["questions"])
        base_values = base(one["base"], len(hashes))
        answers[one["id"]] = Answers(doc_ids, hashes, numbers_of(own, len(hashes)), base_values)
    return Measurements(answers, packed.checkpoint_bytes, packed.base_bytes, packed.log_ratios)


def questions_of(content: bytes) -> Questions:
    doc_ids, hashes = json.loads(content)
    return tuple(doc_ids), tuple(hashes)


def numbers_of(content: bytes, count: int) -> Any:
    import numpy as np

    if content[:1] == RIGHT_OR_WRONG:
        return np.unpackbits(np.frombuffer(content, np.uint8, offset=1), count=count)
    return np.frombuffer(zlib.decompress(content[1:]), "<f8")


def _packed(values: Sequence[float]) -> bytes:
    import numpy as np

    numbers = np.asarray(values, "<f8")
    if ((numbers == 0) | (numbers == 1)).all():
        return RIGHT_OR_WRONG + bytes(np.packbits(numbers.astype(np.uint8)))
    return NUMBERS + zlib.compress(numbers.tobytes())
