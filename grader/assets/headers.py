"""Writes the table of a base model's tensors, for a contest whose folder contains no weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from grader.assets import hub
from grader.checkpoint import lay_out
from grader.checkpoint.base import TENSORS, headers_of, write_table
from grader.checkpoint.layout import CONFIG
from grader.contest import Contest

WEIGHTS = ".safetensors"


def fetch_table(contest: Contest, say: Callable[[str], None], endpoint: str = "") -> None:
    """Write ``tensors.json``, and ``config.json`` if it is missing, from a few kilobytes of the repository.

    Raises:
        HubError: the Hub does not return them.
        ValueError: a header that cannot be read; a repository without weights.
    """
    base = contest.base_model
    source = hub.pin(base.id, base.revision or "main", endpoint=endpoint)
    wanted = [
        file
        for file in source.files
        if file.name == CONFIG or (file.name.endswith(WEIGHTS) and "/" not in file.name)
    ]
    with tempfile.TemporaryDirectory(prefix="headers-") as temporary:
        folder = Path(temporary)
        lay_out(wanted, folder, partial(hub.read, source, endpoint=endpoint))
        own = contest.base_folder / CONFIG
        if not own.exists() and (folder / CONFIG).is_file():
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_bytes((folder / CONFIG).read_bytes())
            say(f"base model {base.id}: {CONFIG} copied into the contest's folder")
        put_table(folder, contest, say)


def put_table(weights: Path, contest: Contest, say: Callable[[str], None]) -> None:
    """Write ``tensors.json`` from the headers in a folder.

    Raises:
        ValueError: the folder has no weights, or a header that cannot be read.
    """
    headers = headers_of(sorted(weights.glob(f"*{WEIGHTS}")))
    if not headers.files:
        raise ValueError(f"{contest.base_model.id} has no {WEIGHTS} file")
    write_table(contest.base_folder / TENSORS, headers)
    size_bytes, count = sum(headers.files.values()), len(headers.tensors)
    say(
        f"base model {contest.base_model.id}: {TENSORS} written, {count} tensors, {size_bytes} bytes"
    )
