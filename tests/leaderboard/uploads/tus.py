"""A minimal tus client on Django's test client, for tests of the server."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlsplit

from leaderboard.accounts import tokens

BODY = "application/offset+octet-stream"


def bearer(user):
    return {"Authorization": f"Bearer {tokens.issue_token(user, 'test')}"}


def metadata(**facts):
    return ",".join(
        f"{key} {base64.b64encode(str(v).encode()).decode()}" for key, v in facts.items()
    )


class Tus:
    """One person's client. ``url`` is that of its current upload."""

    def __init__(self, client, user=None, language="en"):
        self.client = client
        self.headers = {"Tus-Resumable": "1.0.0", "Accept-Language": language}
        if user is not None:
            self.headers |= bearer(user)
        self.url = ""

    def create(self, size, *, body=b"", headers=(), **facts):
        facts = {"contest": "demo", "filename": "model.zip"} | facts
        announced = {"Upload-Length": str(size), "Upload-Metadata": metadata(**facts)}
        response = self.client.generic(
            "POST", "/api/uploads/", body, content_type=BODY if body else "",
            headers=self.headers | announced | dict(headers),
        )  # fmt: skip
        if response.status_code == 201:
            self.url = urlsplit(response["Location"]).path
        return response

    def patch(self, offset, body, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            "PATCH", self.url, body, content_type=BODY,
            headers=self.headers | {"Upload-Offset": str(offset)} | headers,
            CONTENT_TYPE=BODY, CONTENT_LENGTH=str(len(body)),
        )  # fmt: skip

    def head(self):
        return self.client.head(self.url, headers=self.headers)

    def delete(self):
        return self.client.delete(self.url, headers=self.headers)

    def enter(self):
        return self.client.post(f"{self.url}/submission", headers=self.headers)


def checksum(data, algorithm="sha256"):
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def files(settings):
    """All files that uploads left on the disk, by folder and name."""
    return sorted(
        str(path.relative_to(settings.HOME))
        for name in ("incoming", "uploads", "scratch")
        for path in (settings.HOME / name).rglob("*")
        if path.is_file()
    )
