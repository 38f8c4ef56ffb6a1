"""The site's side of the worker protocol, in memory, behind httpx.MockTransport."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

import httpx

from grader.protocol.worker import AAJob, GradeJob, Job, NextEntry, encode_job
from grader.schema import encode
from grader.worker.site import Site


class SiteStub:
    """Answers calls, records them, and misbehaves as configured.

    ``status`` maps a verb (claim, progress, report, reject, fail, archive) to a list of answers that are used
    one by one: an HTTP status, or an exception to raise. The last one stays.
    """

    def __init__(self, archive: bytes = b"", test: AAJob | None = None, **job: Any) -> None:
        self.archive = archive
        self.job: Job = test or GradeJob(
            **{
                "evaluation": 7,
                "attempt": 2,
                "submission": 5,
                "contest": "demo",
                "contest_sha256": "0" * 64,
                "archive_url": "/api/worker/attempts/7/2/archive",
                "archive_name": "model.zip",
                "archive_sha256": hashlib.sha256(archive).hexdigest(),
                "archive_bytes": len(archive),
                "lease_s": 3.0,
                "heartbeat_s": 0.05,
                **job,
            }
        )
        self.jobs = [self.job]
        self.upcoming: NextEntry | None = None
        self.no_work: dict[str, str] = {}  # headers of the answer to a claim when no job is left
        self.status: dict[str, list[Any]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.pauses: list[float] = []
        self._lock = threading.Lock()

    def site(self) -> Site:
        client = httpx.Client(
            transport=httpx.MockTransport(self._answer),
            base_url="http://site.test",
            headers={"Authorization": "Bearer a-secret-token"},
        )
        return Site(client, pause=self.pauses.append)

    def bodies(self, verb: str) -> list[Any]:
        with self._lock:
            return [body for name, body in self.calls if name == verb]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        verb = request.url.path.rpartition("/")[2]
        body = json.loads(request.content) if request.content else None
        with self._lock:
            self.tokens.add(request.headers.get("Authorization"))
            self.calls.append((verb, body))
            planned = self.status.get(verb, [200])
            status = planned.pop(0) if len(planned) > 1 else planned[0]
            if isinstance(status, Exception):
                raise status
            if verb == "claim" and status == 200:
                if not self.jobs:
                    return httpx.Response(204, headers=self.no_work)
                return httpx.Response(200, json=encode_job(self.jobs.pop(0)))
        if verb == "next" and status == 200:
            if self.upcoming is None:
                return httpx.Response(204)
            return httpx.Response(200, json=encode(self.upcoming))
        if verb == "archive":
            return httpx.Response(status, content=self.archive)
        return httpx.Response(status)
