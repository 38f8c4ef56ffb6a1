"""Replaces the Hub with the data sets that ``prefetch`` downloaded, while lm-eval builds its tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grader.assets import copies, nltk_data
from grader.contest import Benchmark, Contest


class MissingCopyError(Exception):
    """The data the contest's benchmarks read has not been downloaded."""


def require_nltk(contest: Contest, benchmark: Benchmark) -> None:
    """Point NLTK to its data on the worker for this benchmark; otherwise lm-eval tries to download it.

    Raises:
        MissingCopyError: the data is missing.
    """
    packages = nltk_data.packages(contest, benchmark)
    if not packages:
        return
    import nltk.data

    for package in packages:
        try:
            nltk.data.find(f"tokenizers/{package}")
        except LookupError:
            raise MissingCopyError(
                f"NLTK's {package} is not on this worker: run prefetch {contest.id} here"
            ) from None


@contextmanager
def in_place(contest: Contest, cache: Path) -> Iterator[None]:
    """Make ``datasets.load_dataset`` read the contest's data sets from their copies at the pinned revision.

    lm-eval has no option for this, and its tasks name their data sets in several ways, all of which end up in
    that function. A data set without a pin and a copy is looked up in ``HF_HOME`` as usual.
    """
    import datasets

    wanted = {copy.repo: copy for copy in copies.data_sets(contest, cache)}
    real = datasets.load_dataset

    def load_dataset(path: str, name: str | None = None, **options: Any) -> Any:
        copy = wanted.get(path)
        if copy is None or (copy.revision == copies.UNPINNED and not copy.is_whole()):
            return real(path, name, **options)
        if not copy.is_whole():
            raise MissingCopyError(
                f"{copy.repo} at {copy.revision} is not on this worker: run prefetch {contest.id} here"
            )
        options.pop("revision", None)
        return real(str(copy.folder), name, **options)

    datasets.load_dataset = load_dataset
    try:
        yield
    finally:
        datasets.load_dataset = real
