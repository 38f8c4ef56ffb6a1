"""Slow clients in one thread pool do not block those in another."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import httpx
import pytest
from django.conf import settings

from leaderboard.local.stack import free_port
from leaderboard.server import doors, worker

LINES = 40  # more than all threads of pages and of workers

APP = """
def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s %d" % (environ["PATH_INFO"].encode(), len(body))]
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "slow_app.py").write_text(APP)
    port = free_port(0)
    process = subprocess.Popen(
        [
            sys.executable, "-m", "gunicorn", "--config", str(settings.ROOT / "gunicorn.conf.py"),
            "--pythonpath", str(tmp_path), "--bind", f"127.0.0.1:{port}", "slow_app",
        ],
        cwd=settings.ROOT,
    )  # fmt: skip
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def begin(port, head):
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(head)
    return line


def request(path, size=1000, *, more=""):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{more}\r\n".encode()


SLOW = {
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "a form": request("/login/") + b"half of it",
    "uploads": request("/api/uploads/1") + b"half of it",
    "workers": request("/api/worker/attempts/1/1/report") + b"half of it",
}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_hold_up_nobody_else(site, kind):
    with ExitStack() as lines:
        for _ in range(LINES):
            lines.enter_context(begin(site, SLOW[kind]))
        asked = {"/healthz", "/api/uploads/2"} | (
            {"/api/worker/poll"} if kind != "workers" else set()
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{site}", timeout=30) as client:
            for path in asked:
                assert client.post(path, content=b"12345").text == f"{path} 5"


def test_what_was_slow_is_answered_when_it_is_complete(site):
    with begin(site, SLOW["a form"]) as line:
        time.sleep(0.2)
        line.sendall(b"x" * (1000 - len(b"half of it")))
        assert b"/login/ 1000" in line.recv(1000) + line.recv(1000)


def test_a_client_that_waits_to_be_asked_for_its_form_is_asked(site):
    with begin(site, request("/login/", 5, more="Expect: 100-continue\r\n")) as line:
        assert line.recv(100).startswith(b"HTTP/1.1 100 Continue")
        line.sendall(b"12345")
        answer = b""
        while b"/login/ 5" not in answer:
            piece = line.recv(1000)
            assert piece, answer
            answer += piece
        assert answer.count(b"HTTP/1.1") == 1


def test_two_requests_of_one_connection_do_not_mix(site):
    with httpx.Client(base_url=f"http://127.0.0.1:{site}", timeout=30) as client:
        found = [client.post("/x", content=b"x" * n).text for n in (5, 0, 100_000, 7)]
    assert found == ["/x 5", "/x 0", "/x 100000", "/x 7"]


def test_a_full_door_says_so_and_asks_to_come_again(monkeypatch):
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(worker, "THREADS", {doors.UPLOADS: 1})
    monkeypatch.setattr(worker, "MOST_WAITING", {doors.UPLOADS: 0})
    door = worker.Door.named(doors.UPLOADS)
    assert door.places.acquire(blocking=False)
    served = worker.Worker.__new__(worker.Worker)
    served.doors = {doors.UPLOADS: door}

    class Request:
        path = "/api/uploads/1"

    class Connection:
        sock = ours

    assert served.handle_request(Request(), Connection()) is False
    head, _, body = theirs.recv(1000).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in head
    assert f"Content-Length: {len(body)}".encode() in head


def test_reception_has_a_thread_for_everybody_at_any_door():
    assert (
        sum(worker.THREADS.values()) + max(worker.MOST_WAITING.values()) < worker.RECEPTION_THREADS
    )


def test_a_form_too_large_to_be_read_here_is_refused_anyway():
    assert worker.SMALL_BODY_BYTES == settings.DATA_UPLOAD_MAX_MEMORY_SIZE


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/", doors.PAGES), ("/api/contests/demo/board", doors.PAGES), ("/api/worker/poll", doors.WORKER),
        ("/api/workerx", doors.PAGES), ("/api/uploads/", doors.UPLOADS),
        ("/api/uploads/0123/submission", doors.UPLOADS), ("/contests/demo/submit/", doors.UPLOADS),
        ("/api/contests/demo/submissions", doors.UPLOADS), ("/api/contests/demo/submissions/hub", doors.PAGES),
    ],
)  # fmt: skip
def test_the_door_of_a_path(path, door):
    assert doors.door_of(path) == door
