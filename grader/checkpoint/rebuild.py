"""Writes the folder that an engine may open. Nothing in it is chosen by a team except numbers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from grader.checkpoint import strictjson
from grader.checkpoint.check import Checked, examine
from grader.checkpoint.finding import Refused
from grader.checkpoint.layout import CONFIG, INDEX, ORGANISER_FILES, canonical_names
from grader.contest import Contest
from grader.protocol.documents import CheckpointFacts


def rebuild(folder: Path, target: Path, contest: Contest) -> CheckpointFacts:
    """Build the canonical folder of the checkpoint in ``folder``.

    ``config.json`` is rewritten from the allowlist, weights are hard-linked under canonical names (copied
    across file systems), the index is generated, and tokenizer, chat template and generation config are the
    organizer's. Rebuilding a rebuilt folder produces the same bytes. All data is read once.

    Raises:
        Refused: the checkpoint has problems; they are in ``problems``.
        FileExistsError: ``target`` is not empty.
    """
    checked, findings = examine(folder, contest, scan=True)
    if checked is None or findings.facts is None:
        raise Refused(*findings.problems)
    write_canonical(checked, target, contest)
    return findings.facts


def write_canonical(checked: Checked, target: Path, contest: Contest) -> None:
    """The second half of :func:`rebuild`, for a checkpoint that has already been checked."""
    target.mkdir(mode=0o755, parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty")
    (target / CONFIG).write_bytes(strictjson.dump(checked.config))
    names = canonical_names(len(checked.layout.weights))
    for path, name in zip(checked.layout.weights, names, strict=True):
        _link(path, target / name)
    if len(names) > 1:
        (target / INDEX).write_text(_index(checked, names), "utf-8")
    for name in ORGANISER_FILES:
        own = contest.base_folder / name
        if own.is_file():
            shutil.copyfile(own, target / name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target, follow_symlinks=False)


def _index(checked: Checked, names: list[str]) -> str:
    weight_map = {
        tensor.name: name
        for name, tensors in zip(names, checked.headers, strict=True)
        for tensor in tensors
    }
    total = sum(tensor.size_bytes for tensors in checked.headers for tensor in tensors)
    document = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    return json.dumps(document, indent=2) + "\n"
