"""Which requests wait where: pages, what GPU workers send, and uploads."""

from __future__ import annotations

import re

from grader.protocol import worker as protocol

PAGES, WORKER, UPLOADS = "pages", "worker", "uploads"
# Where people may send files, by tus or in one form.
_UPLOADS = re.compile(r"/api/uploads/|/api/contests/[^/]+/submissions$|/contests/[^/]+/submit/$")


def door_of(path: str) -> str:
    """The door of a request's path."""
    if path.startswith(f"{protocol.PREFIX}/"):
        return WORKER
    return UPLOADS if _UPLOADS.match(path) else PAGES
