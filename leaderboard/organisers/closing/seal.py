"""The digest of the evidence, recorded where nobody can change it, and verifying an archive against it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection, transaction

from leaderboard.core import audit
from leaderboard.core.errors import Refused
from leaderboard.models import AuditEntry, Contest
from leaderboard.organisers.closing import archive, evidence

ACTION = "contest.seal"
_LOCK = 5_202  # advisory lock: one process seals at a time


def export(contest: Contest) -> Iterator[bytes]:
    """The evidence archive in chunks, as zip.

    Raises:
        Refused: the contest is not finalized.
    """
    if contest.finalised_at is None:  # raise now, not when the first chunk is read
        raise Refused("CLOSING_NOT_FINAL")
    return archive.stream(evidence.members(contest))


def sealed(contest: Contest) -> AuditEntry | None:
    """The audit log entry with the manifest's digest, once there is one."""
    return AuditEntry.objects.filter(action=ACTION, contest=contest.slug).order_by("pk").first()


def is_unsealed(contest: Contest) -> bool:
    return contest.finalised_at is not None and sealed(contest) is None


def seal(contest: Contest, *, by: object = "system") -> AuditEntry:
    """Digest all evidence and record it; a second call returns the first record.

    Raises:
        Refused: the contest is not finalized.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if found := sealed(contest):
            return found
        text, files, size = archive.manifest(evidence.members(contest))
        digest = hashlib.sha256(text.encode()).hexdigest()
        after = {"manifest_sha256": digest, "files": files, "bytes": size}
        return audit.record(by, ACTION, contest, contest=contest.slug, after=after)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of verifying an archive.

    Attributes:
        wrong: members that differ from the manifest, are missing, or are not in it.
        contest: whose seal the manifest has; empty if this site knows no such seal.
    """

    files: int
    manifest_sha256: str
    wrong: list[str] = field(default_factory=list)
    contest: str = ""

    @property
    def is_genuine(self) -> bool:
        return not self.wrong and bool(self.contest)


def verify(path: Path) -> Verdict:
    """Check every member against the manifest, and the manifest against this site's audit log.

    Raises:
        zipfile.BadZipFile, KeyError: not an evidence archive.
    """
    with zipfile.ZipFile(path) as packed:
        text = packed.read(archive.MANIFEST)
        lines = [line.partition("  ") for line in text.decode().splitlines()]
        listed = {name: digest for digest, _, name in lines}
        names = [name for name in packed.namelist() if name != archive.MANIFEST]
        wrong = [f"{name}: not in the manifest" for name in names if name not in listed]
        wrong += [
            f"{name}: given twice" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        for name, digest in listed.items():
            if name not in names:
                wrong.append(f"{name}: missing")
            elif _digest(packed, name) != digest:
                wrong.append(f"{name}: differs")
    sha256 = hashlib.sha256(text).hexdigest()
    return Verdict(len(listed), sha256, wrong, _contest_of(sha256))


def _contest_of(manifest_sha256: str) -> str:
    """The contest with this seal; only its first seal counts, whatever was appended to the log later."""
    seals = AuditEntry.objects.filter(action=ACTION)
    for one in seals.filter(after__manifest_sha256=manifest_sha256).order_by("pk"):
        if not seals.filter(contest=one.contest, pk__lt=one.pk).exists():
            return one.contest
    return ""


def _digest(packed: zipfile.ZipFile, name: str) -> str:
    try:
        with packed.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except zipfile.BadZipFile:
        return ""
