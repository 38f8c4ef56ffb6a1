"""Tokenizer, chat template and generation config: the organizer's are used, and the team's are only compared.

Nothing is built or rendered here: a tokenizer can rewrite answers, a template can contain them, and both can
hang.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from grader.checkpoint import strictjson
from grader.checkpoint.finding import Refused, problem
from grader.checkpoint.layout import GENERATION_FILES, TEMPLATE_FILES, TOKENIZER_FILES
from grader.contest import Contest
from grader.problems.catalogue import Problem

_CODES = {
    **dict.fromkeys(TOKENIZER_FILES, "TOKENIZER_DIFFERS"),
    **dict.fromkeys(TEMPLATE_FILES, "TEMPLATE_DIFFERS"),
    **dict.fromkeys(GENERATION_FILES, "GENCONF_IGNORED"),
}
# Rewritten by every release of transformers; a difference says nothing about the tokens.
_BOOKKEEPING = frozenset({"tokenizer_config.json", "special_tokens_map.json"})


def find_differences(files: Iterable[Path], contest: Contest) -> list[Problem]:
    """Return one finding for each organizer file that differs. Other files are not reported."""
    found = []
    for path in files:
        own = contest.base_folder / path.name
        if own.is_file() and not _same(path, own) and not _only_bookkeeping(path, own):
            found.append(problem(_CODES[path.name], path.name))
    return found


def _same(left: Path, right: Path) -> bool:
    return left.stat().st_size == right.stat().st_size and _sha256(left) == _sha256(right)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _only_bookkeeping(left: Path, right: Path) -> bool:
    """Return whether two JSON files agree, ignoring versions and, for tokenizer settings, spelling."""
    if left.suffix != ".json" or left.stat().st_size > strictjson.MAX_BYTES:
        return False
    try:
        mine, theirs = strictjson.read(left), strictjson.read(right)
    except Refused:
        return False
    if left.name in _BOOKKEEPING:
        keys = {"chat_template", "auto_map", "added_tokens_decoder"}
        return all(mine.get(key) == theirs.get(key) for key in keys)
    for config in (mine, theirs):
        config.pop("transformers_version", None)
        config.pop("_from_model_config", None)
    return mine == theirs
