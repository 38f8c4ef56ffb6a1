"""Gunicorn with the site's own settings."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time

from django.conf import settings

from leaderboard.local.stack import free_port


def test_a_connection_may_rest_between_two_questions():
    """Watchers poll every two seconds: a server that closes connections after that long fails some requests."""
    port = free_port(0)
    site = subprocess.Popen(
        [
            sys.executable, "-m", "gunicorn", "--config", str(settings.ROOT / "gunicorn.conf.py"),
            "--bind", f"127.0.0.1:{port}", "wsgiref.simple_server:demo_app",
        ]
    )  # fmt: skip
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        deadline = time.monotonic() + 20
        while True:
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        connection.request("GET", "/")
        assert connection.getresponse().read().startswith(b"Hello world!")
        socket = connection.sock
        time.sleep(3)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        assert connection.sock is socket  # not silently reconnected
    finally:
        site.terminate()
        site.wait(20)
