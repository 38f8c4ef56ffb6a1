"""NLTK data that some lm-eval tasks read: downloaded by ``prefetch``, read by graders without a network.

IFEval counts sentences with NLTK's ``punkt_tab``, which lm-eval would otherwise download during a grade.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from grader.contest import Benchmark, Contest

_NEEDED = {"ifeval": "punkt_tab"}  # part of a task's text → package


def folder(cache: Path) -> Path:
    """Return what ``NLTK_DATA`` names on a grader."""
    return cache / "nltk_data"


def packages(contest: Contest, *benchmarks: Benchmark) -> tuple[str, ...]:
    """Return the packages that these benchmarks of the contest read (default: all of its benchmarks).

    They are recognized by the names of lm-eval's tasks, even if a contest's own task builds on one.
    """
    text = ""
    for benchmark in benchmarks or contest.benchmarks:
        text += f"{benchmark.task}\n"
        own = contest.folder / contest.tasks / f"{benchmark.task}.yaml"
        if contest.tasks and own.is_file():
            text += own.read_text("utf-8")
    return tuple(package for word, package in _NEEDED.items() if word in text)


def bring(package: str, cache: Path, say: Callable[[str], None]) -> None:
    """Download a package into :func:`folder`, unless it is there with the index's digest.

    NLTK's own client compares size and sha256 with its index.

    Raises:
        ImportError, ValueError: NLTK is not installed, or the download failed; the message says why.
    """
    from nltk.downloader import Downloader

    target = folder(cache)
    target.mkdir(parents=True, exist_ok=True)
    client = Downloader(download_dir=str(target))
    if is_here(package, cache) and client.is_installed(package, str(target)):
        say(f"NLTK {package}: already here, verified")
        return
    client.download(package, quiet=True, raise_on_error=True)
    say(f"NLTK {package}: downloaded to {target}")


def is_here(package: str, cache: Path) -> bool:
    return (folder(cache) / "tokenizers" / package / "english").is_dir()
