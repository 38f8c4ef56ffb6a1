"""Archive storage: Django's default storage (local disk or S3-compatible), under generated names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, default_storage, storages

from leaderboard.storage import scratch

PIECE_BYTES = 1 << 20


class StorageAway(OSError):
    """S3 does not answer, or refuses."""


@contextmanager
def _s3_errors() -> Iterator[None]:
    """Turn errors of S3's client into :class:`StorageAway`, which is treated like a broken disk."""
    from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]
    from botocore.exceptions import (  # type: ignore[import-untyped]
        BotoCoreError,
        ClientError,
    )

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise StorageAway(f"{type(error).__name__}: {error}") from error


def take(path: Path, key: str) -> None:
    """Move a local file into the storage. Repeating it, after a crash or concurrently, is harmless."""
    target = _local(key)
    try:
        if target is None:
            with _s3_errors(), path.open("rb") as file:
                saved = default_storage.save(key, File(file))
            assert saved == key, f"the storage renamed {key} to {saved}"
            path.unlink(missing_ok=True)
        else:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.replace(path, target)
    except FileNotFoundError:
        if not default_storage.exists(key):
            raise


def pieces(key: str, start: int = 0) -> Iterator[bytes]:
    """The archive's bytes from ``start``, in constant memory and, from S3, without a copy on this disk."""
    with _s3_errors(), default_storage.open(key, "rb") as file:
        if hasattr(file, "obj"):
            wanted = {"Range": f"bytes={start}-"} if start else {}
            yield from file.obj.get(**wanted)["Body"].iter_chunks(PIECE_BYTES)
        else:
            file.seek(start)
            while piece := file.read(PIECE_BYTES):
                yield piece


@contextmanager
def on_disk(key: str) -> Iterator[Path]:
    """A path where the archive can be read: its own, or that of a temporary copy."""
    own = _local(key)
    if own is not None:
        yield own
        return
    with scratch.folder("archive-") as folder:
        copy = folder / "archive"
        with copy.open("wb") as file:
            for piece in pieces(key):
                file.write(piece)
        yield copy


def delete(key: str) -> None:
    """Delete an archive, if it exists (``key`` may be empty)."""
    if not key:
        return
    with _s3_errors(), suppress(FileNotFoundError):
        default_storage.delete(key)


def _local(key: str) -> Path | None:
    storage = storages["default"]
    return Path(storage.path(key)) if isinstance(storage, FileSystemStorage) else None
