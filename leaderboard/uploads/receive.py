"""Reading a request's body in blocks, in constant memory, and verifying its checksum before storing it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from leaderboard.storage import disk

PIECE_BYTES = 256 << 10
BLOCK_BYTES = 4 << 20
BLOCK_S = 5.0  # a slow sender's bytes are stored this often
CHECKSUMS = ("sha1", "sha256", "sha512")


class ChecksumError(Exception):
    """The header is malformed, or names an unsupported algorithm (400)."""


class Mismatch(Exception):
    """The received bytes do not match the checksum (460)."""


def blocks(source: Any, length_bytes: int) -> Iterator[bytes]:
    """The body in blocks of at most 4 MiB; ends early, without an error, if the connection breaks."""
    left, broken = length_bytes, False
    while left and not broken:
        pieces: list[bytes] = []
        size, deadline = 0, time.monotonic() + BLOCK_S
        while size < min(BLOCK_BYTES, left) and time.monotonic() < deadline:
            try:
                piece = source.read(min(PIECE_BYTES, BLOCK_BYTES - size, left - size))
            except OSError:  # Django's UnreadablePostError is one
                piece = b""
            if not piece:
                broken = True
                break
            pieces.append(piece)
            size += len(piece)
        left -= size
        block = b"".join(pieces)
        pieces.clear()
        if block:
            yield block


def verified(source: Any, length_bytes: int, header: str, folder: Path) -> IO[bytes]:
    """The whole body, once its ``Upload-Checksum`` has been verified.

    Up to 4 MiB is held in memory, more in a temporary file in ``folder``.

    Raises:
        ChecksumError, Mismatch. OSError: the disk is full, or has only its reserve left.
    """
    digest, expected = _expectation(header)
    body: IO[bytes] = tempfile.SpooledTemporaryFile(BLOCK_BYTES, dir=str(folder))  # noqa: SIM115 - closed by the caller
    try:
        for block in blocks(source, length_bytes):
            digest.update(block)
            disk.require(len(block))
            body.write(block)
        if digest.digest() != expected:
            raise Mismatch
        body.seek(0)
    except BaseException:
        body.close()
        raise
    return body


def _expectation(header: str) -> tuple[Any, bytes]:
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise ChecksumError(f"Upload-Checksum: one of {', '.join(CHECKSUMS)}")
    try:
        expected = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ChecksumError("Upload-Checksum: the digest is not base64") from error
    digest = hashlib.new(algorithm, usedforsecurity=False)
    if len(expected) != digest.digest_size:
        raise ChecksumError(f"Upload-Checksum: not the length of a {algorithm}")
    return digest, expected
