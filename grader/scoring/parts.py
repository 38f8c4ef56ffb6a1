"""Selects the questions that the public board shows: each benchmark is split once, by a salted question hash.

One run yields both parts. Without the salt, nobody can tell which part a question is in, and a question is
in the same part for every team, on every worker and in every later version of the contest.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Literal

from grader.contest import Benchmark, Contest
from grader.protocol.documents import Item

Part = Literal["public", "private", "all"]


def is_public(contest: Contest, benchmark: Benchmark, doc_hash: str) -> bool:
    """Return whether the question counts on the public board, which is true for a ``public_share`` of all
    hashes.
    """
    return _lies_in_public(contest.split_salt, benchmark, doc_hash)


def _lies_in_public(salt: str, benchmark: Benchmark, doc_hash: str) -> bool:
    text = f"{salt}\0{benchmark.id}\0{doc_hash}"
    drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return drawn < benchmark.public_share * 2**64


def questions(
    contest: Contest, benchmark: Benchmark, items: Sequence[Item], part: Part
) -> list[Item]:
    """Return the questions of ``items`` that are in ``part``, in order, without the excluded ones."""
    if benchmark.exclude_docs:
        items = [item for item in items if item.doc_id not in benchmark.exclude_docs]
    if part == "all":
        return list(items)
    wanted = part == "public"
    return [item for item in items if is_public(contest, benchmark, item.doc_hash) == wanted]


@functools.lru_cache(maxsize=64)
def places(
    salt: str, benchmark: Benchmark, doc_ids: tuple[int, ...], hashes: tuple[str, ...], part: Part
) -> tuple[int, ...]:
    """Return the positions of the questions in ``part``, without the excluded ones; see :func:`questions`.

    Reports of one contest contain the same questions, so the answer is usually cached.
    """
    excluded = frozenset(benchmark.exclude_docs)
    wanted = part == "public"
    return tuple(
        i
        for i, (doc_id, one) in enumerate(zip(doc_ids, hashes, strict=True))
        if doc_id not in excluded
        and (part == "all" or _lies_in_public(salt, benchmark, one) == wanted)
    )


def has_private(contest: Contest) -> bool:
    """Return whether the contest hides any question from the public board."""
    return any(benchmark.public_share < 1 for benchmark in contest.benchmarks)
