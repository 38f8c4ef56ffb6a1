"""Queries the Hugging Face Hub: which commit a name refers to, which files it has, and any part of a file.

Site and CLI read headers with this module; workers download with :mod:`grader.worker.fetch`. Only the given
endpoint (or ``HF_ENDPOINT``) is queried, and a token is sent there and never to a host it redirects to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grader.protocol.documents import HubFile, HubSource

DEFAULT_ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 10.0
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,95}/[A-Za-z0-9][A-Za-z0-9._\-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*(/[A-Za-z0-9][A-Za-z0-9._\-]*)*")
_MOST_REVISION_CHARS = 200
_COMMIT = re.compile(r"[0-9a-f]{40}")

# For huggingface_hub: None uses the token of this machine's user, False uses none
Token = str | bool | None


class HubError(Exception):
    """The Hub's answer as one of the codes ``HUB_…``; ``detail`` is the Hub's message."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail


def parse(text: str, revision: str = "", endpoint: str = "") -> tuple[str, str]:
    """Parse ``owner/name``, ``owner/name@revision`` or a page's URL at the endpoint into (repository,
    revision).

    The revision defaults to ``main``; a separate argument takes precedence.

    Raises:
        HubError: HUB_REPO_ID, HUB_REVISION.
    """
    name = text.strip()
    for address in dict.fromkeys((endpoint.rstrip("/"), DEFAULT_ENDPOINT)):
        if address and name.startswith(f"{address}/"):
            name = name.removeprefix(f"{address}/").rstrip("/").replace("/tree/", "@", 1)
    name, _, named = name.partition("@")
    revision = revision.strip() or named.strip() or "main"
    if not _REPO.fullmatch(name) or ".." in name or "--" in name or name.endswith((".", ".git")):
        raise HubError("HUB_REPO_ID", text.strip()[:100])
    if (
        not _REVISION.fullmatch(revision)
        or ".." in revision
        or len(revision) > _MOST_REVISION_CHARS
    ):
        raise HubError("HUB_REVISION", revision[:100])
    return name, revision


def pin(repo: str, revision: str, *, endpoint: str = "", token: Token = None) -> HubSource:
    """Return the current commit of a revision and its files, in one request.

    Raises:
        HubError: HUB_NOT_FOUND (also for a private one), HUB_GATED, HUB_REVISION, HUB_AWAY.
    """
    from huggingface_hub import HfApi

    with explained():
        info: Any = HfApi(endpoint=endpoint or None, token=token).model_info(
            repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S
        )
    # The organizers' token must not open their own repositories
    if info.private and token is not None:
        raise HubError("HUB_NOT_FOUND", repo)
    commit = str(info.sha or "")
    if not _COMMIT.fullmatch(commit):
        raise HubError("HUB_AWAY", f"no commit in the answer for {repo}")
    return HubSource(repo, revision, commit, tuple(map(listed, info.siblings or [])))


def name_of(repo: str, *, endpoint: str = "", token: Token = None) -> str:
    """Return the current name of the repository: the Hub also answers to the old name of a renamed one.

    Raises:
        HubError: as :func:`pin`.
    """
    from huggingface_hub import HfApi

    with explained():
        info: Any = HfApi(endpoint=endpoint or None, token=token).model_info(
            repo, timeout=TIMEOUT_S
        )
    return str(info.id)


def read(
    source: HubSource, name: str, first: int, count: int, *, endpoint: str = "", token: Token = None
) -> bytes:
    """Return at most ``count`` bytes of a file from ``first`` on, without downloading more than that.

    Raises:
        HubError: as :func:`pin`; HUB_GONE, the commit has no such file.
    """
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    url = hf_hub_url(source.repo, name, revision=source.commit, endpoint=endpoint or None)
    headers = {
        **build_hf_headers(token=token),
        "Range": f"bytes={first}-{first + count - 1}",
        "Accept-Encoding": "identity",
    }
    with explained(), get_session().stream("GET", url, headers=headers, timeout=30.0) as response:
        if response.status_code == 416:
            return b""
        hf_raise_for_status(response)
        # A server without range support starts at 0
        skip = first if response.status_code == 200 else 0
        found = bytearray()
        for piece in response.iter_bytes(1 << 16):
            found += piece
            if len(found) >= skip + count:
                break
    return bytes(found[skip : skip + count])


@contextmanager
def explained() -> Iterator[None]:
    """Turn the Hub client's many exceptions into :class:`HubError`."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        raise HubError(*code_of(error)) from error


def code_of(error: Exception) -> tuple[str, str]:
    """Return (code, the client's message) for any exception the client raised."""
    from huggingface_hub import errors

    if isinstance(error, HubError):
        return error.code, error.detail
    code = "HUB_AWAY"
    if isinstance(error, errors.GatedRepoError):
        code = "HUB_GATED"
    elif isinstance(error, errors.RevisionNotFoundError):
        code = "HUB_REVISION"
    elif isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        code = "HUB_NOT_FOUND"
    elif isinstance(error, errors.EntryNotFoundError) and not isinstance(
        error, errors.LocalEntryNotFoundError
    ):
        code = "HUB_GONE"
    return code, _first_line(error)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def listed(sibling: Any) -> HubFile:
    """A file as the Hub's client lists it."""
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    return HubFile(str(sibling.rfilename), int(sibling.size or 0), str(digest or ""))
