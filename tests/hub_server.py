"""A Hugging Face Hub on a loopback port: enough of its API for ``huggingface_hub`` to read repositories.

``Hub.add(repo, folder)`` publishes a folder under a commit; with ``HF_ENDPOINT`` set to ``Hub.url`` before its
first import, the client uses this server. Every request is kept in ``Hub.requests``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

API = re.compile(
    r"/api/(models|datasets)/([^/]+/[^/]+?)(?:/revision/([^/]+)|/tree/([^/]+)(?:/.*)?)?"
)
FILE = re.compile(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Repo:
    """A published folder. ``gated``: answers 403, as for a repository whose terms were not accepted."""

    folder: Path
    commit: str
    gated: bool = False
    private: bool = False  # visible to the caller's token
    branches: set[str] = field(default_factory=lambda: {"main"})


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str
    sent_bytes: int
    token: str = ""


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.breaks_after: dict[str, int] = {}  # file -> bytes sent before the connection breaks
        self.spoils: set[str] = set()  # files whose last byte differs from the listed digest
        self.renamed: dict[str, str] = {}  # old name -> new one, for redirects
        self.storage = ""  # URL of another Hub that files redirect to

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, repo: str, folder: Path, commit: str = "", gated: bool = False) -> Repo:
        commit = commit or hashlib.sha1(f"{repo} {folder}".encode()).hexdigest()
        self.repos[repo] = Repo(folder, commit, gated)
        return self.repos[repo]


@contextlib.contextmanager
def serve() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for old, new in self.server.renamed.items():
            if f"/{old}" in path:
                self._answer(307, {}, {"Location": path.replace(f"/{old}", f"/{new}", 1)})
                return
        if found := API.fullmatch(path):
            _, name, revision, tree = found.groups()
            self._describe(name, revision or tree or "main", tree is not None)
        elif found := FILE.fullmatch(path):
            self._send_file(*found.groups())
        else:
            self._answer(404, {"error": "Not Found"})

    do_HEAD = do_GET

    def _repo(self, name: str, revision: str) -> Repo | None:
        repo = self.server.repos.get(name)
        if repo is None:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif repo.gated:
            self._answer(403, {"error": "Access is restricted"}, {"X-Error-Code": "GatedRepo"})
        elif revision not in repo.branches | {repo.commit}:
            self._answer(404, {"error": "Invalid rev"}, {"X-Error-Code": "RevisionNotFound"})
        else:
            return repo
        return None

    def _describe(self, name: str, revision: str, tree: bool) -> None:
        if (repo := self._repo(name, revision)) is None:
            return
        files = sorted(p for p in repo.folder.rglob("*") if p.is_file())
        names = [p.relative_to(repo.folder).as_posix() for p in files]
        sizes = [p.stat().st_size for p in files]
        if tree:
            self._answer(200, [
                {"type": "file", "path": n, "size": s, "oid": _etag(repo, n)}
                for n, s in zip(names, sizes, strict=True)
            ])  # fmt: skip
            return
        siblings = [
            {"rfilename": n, "size": s, "blobId": _etag(repo, n), **_lfs(repo, n)}
            for n, s in zip(names, sizes, strict=True)
        ]
        self._answer(200, {"id": name, "modelId": name, "sha": repo.commit, "private": repo.private,
                           "tags": [], "downloads": 0, "siblings": siblings})  # fmt: skip

    def _send_file(self, name: str, revision: str, file: str) -> None:
        if (repo := self._repo(name, revision)) is None:
            return
        path = repo.folder / file
        if not path.is_file():
            self._answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        if self.server.storage:
            self._answer(302, {}, {"Location": self.server.storage + self.path})
            return
        size, wanted = path.stat().st_size, self.headers.get("Range", "")
        begin, end = 0, size - 1
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", wanted):
            begin, end = int(found[1]), min(int(found[2] or end), size - 1)
        self._head(206 if wanted else 200, {
            "ETag": f'"{_etag(repo, file)}"', "X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes",
            "Content-Length": str(end - begin + 1), "Content-Range": f"bytes {begin}-{end}/{size}",
        }, end - begin + 1)  # fmt: skip
        if self.command == "HEAD":
            return
        with path.open("rb") as source:
            source.seek(begin)
            left = end - begin + 1
            if file in self.server.breaks_after and left > self.server.breaks_after[file]:
                left = min(left, self.server.breaks_after[file])
                self.close_connection = True
            while left and (block := source.read(min(left, 1 << 20))):
                left -= len(block)
                spoilt = file in self.server.spoils and not left
                self.wfile.write(block[:-1] + bytes([block[-1] ^ 1]) if spoilt else block)

    def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        length = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        self._head(status, length | (headers or {}), len(raw))
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _head(self, status: int, headers: dict[str, str], length_bytes: int) -> None:
        sent = 0 if self.command == "HEAD" else length_bytes
        wanted = self.headers.get("Range", "")
        self.server.requests.append(
            Request(self.command, self.path, wanted, sent, self.headers.get("Authorization", ""))
        )
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _etag(repo: Repo, file: str) -> str:
    """Git's blob id, as on the Hub; large files get a made-up one because hashing them takes long."""
    path = repo.folder / file
    size = path.stat().st_size
    known = f"blob {size}\0".encode() + path.read_bytes() if size < 1 << 24 else file.encode()
    return hashlib.sha1(known).hexdigest()


def _lfs(repo: Repo, file: str) -> dict[str, object]:
    """Large files are in LFS, listed with their sha256."""
    path = repo.folder / file
    if not file.endswith(".safetensors") or path.stat().st_size >= 1 << 26:
        return {}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"lfs": {"sha256": digest, "size": path.stat().st_size, "pointerSize": 135}}


def digest_of(repo: Repo, file: str) -> str:
    """What the Hub lists for a file: sha256 if in LFS, otherwise git's blob id."""
    lfs: Any = _lfs(repo, file)
    return str(lfs["lfs"]["sha256"]) if lfs else _etag(repo, file)
