"""Submits a checkpoint to the site, either packed and uploaded or by its name on the Hub."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from baseline.checkpoint import packaging
from baseline.checkpoint.safe_write import need_space, roomy_folder
from baseline.remote.client import Site, part
from baseline.remote.tus import upload
from baseline.terminal.output import (
    byte_bar,
    bytes_text,
    note,
)


@contextlib.contextmanager
def archive_of(path: Path) -> Iterator[tuple[Path, str]]:
    """Pack a folder into a temporary archive, with its sha256 if known."""
    if path.is_file():
        yield path, ""
        return
    size_bytes = sum((path / name).stat().st_size for name in packaging.members(path))
    parent = roomy_folder(path)
    need_space(parent, size_bytes)
    with tempfile.TemporaryDirectory(prefix=".baseline-submit-", dir=parent) as temporary:
        archive = Path(temporary) / f"{path.resolve().name}.tar"
        with byte_bar("Packing", size_bytes) as written:
            packed = packaging.pack(path, archive, on_bytes=written)
        note(f"Packed {bytes_text(packed.size_bytes)}, sha256 {packed.sha256}")
        yield packed.path, packed.sha256


def name_repository(site: Site, contest: str, repo: str, fields: dict[str, str]) -> dict[str, Any]:
    """Submit a repository on the Hub. The site pins its commit, and nothing passes through this machine."""
    path = f"/api/contests/{part(contest)}/submissions/hub"
    created = site.post(path, {"repo": repo, **fields, "again": bool(fields["again"])})
    if pinned := created.get("hub"):
        note(f"{pinned['repo']} at commit {pinned['commit'][:12]}")
    return created


def send(
    site: Site, contest: str, archive: Path, fields: dict[str, str], sha256: str
) -> dict[str, object]:
    with byte_bar("Uploading", archive.stat().st_size) as sent:
        return upload(site, contest, archive, fields, sent, sha256)
