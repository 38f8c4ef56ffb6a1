"""Checkpoints that pass every check of files and headers, and that only a running engine can refuse.

Few can be built: what is known to keep an engine from loading is found by the checker, and a case that it
missed would be a gap in it. Left is arithmetic, which nobody knows before it is done.
"""

from __future__ import annotations

from collections.abc import Iterator

from grader.gallery.case import Case
from grader.gallery.weights import filled

_LARGEST_BF16 = b"\x7f\x7f"  # 3.39e38: finite, as the check asks, and beyond every activation


def cases() -> Iterator[Case]:
    overflow = filled("model.norm.weight", _LARGEST_BF16)
    yield Case("overflow-when-run", "RUN_NONFINITE", overflow, scan=True)
