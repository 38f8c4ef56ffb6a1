"""Pools for requests: pages, messages from GPU workers, and uploads."""

from __future__ import annotations

import re

from grader.protocol import worker as protocol

PAGES, WORKER, UPLOADS = "pages", "worker", "uploads"
# Where people may send files, by tus or in a form.
_UPLOADS = re.compile(r"/api/uploads/|/api/contests/[^/]+/submissions$|/contests/[^/]+/submit/$")


def door_of(path: str) -> str:
    """The pool for a request's path."""
    if path.startswith(f"{protocol.PREFIX}/"):
        return WORKER
    return UPLOADS if _UPLOADS.match(path) else PAGES
