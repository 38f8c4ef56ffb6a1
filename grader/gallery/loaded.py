"""Checkpoints that pass every check of files and headers and that only a running engine can refuse.

There are few: if something is known to keep an engine from loading, the checker should find it, and a case it
missed would be a gap in the checker. What remains is arithmetic, which is only known once it is computed.
"""

from __future__ import annotations

from collections.abc import Iterator

from grader.gallery.case import Case
from grader.gallery.weights import filled

# 3.39e38: finite, as the check requires, and larger than every activation.
_LARGEST_BF16 = b"\x7f\x7f"


def cases() -> Iterator[Case]:
    overflow = filled("model.norm.weight", _LARGEST_BF16)
    yield Case("overflow-when-run", "RUN_NONFINITE", overflow, scan=True)
