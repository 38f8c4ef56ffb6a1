"""Gunicorn's threaded worker with separate thread pools: pages, messages from GPU workers, and uploads.

    connection ─▶ reception: reads the headers, and the body if it is small
                     ├─▶ pages     THREADS["pages"]     every page and the rest of the API
                     ├─▶ worker    THREADS["worker"]    heartbeats and reports of GPU workers
                     └─▶ uploads   THREADS["uploads"]   each can wait hours for its client

A reception thread waits until its request is answered, so reception has more threads than all pools together.
Its threads hold no database connection; those of pages and worker keep theirs, an upload's ends with the
request.
"""

from __future__ import annotations

import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.db import connections
from gunicorn.workers.gthread import TConn, ThreadWorker

from leaderboard.server.doors import PAGES, UPLOADS, WORKER, door_of
from leaderboard.server.pace import PacedSocket

RECEPTION_THREADS = 448
THREADS = {PAGES: 8, WORKER: 8, UPLOADS: 256}
MOST_WAITING = {PAGES: 120, WORKER: 64, UPLOADS: 0}
# Django's DATA_UPLOAD_MAX_MEMORY_SIZE: a larger form is refused before it is read.
SMALL_BODY_BYTES = 2_621_440
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 46\r\n\r\n"
    b"The site is busy. Try again in a few seconds.\n"
)


@dataclass(frozen=True)
class Door:
    """A pool of threads for one kind of request, with a limit on its requests, including waiting ones."""

    pool: ThreadPoolExecutor
    places: threading.Semaphore

    @classmethod
    def named(cls, name: str) -> Door:
        pool = ThreadPoolExecutor(THREADS[name], thread_name_prefix=name)
        return cls(pool, threading.BoundedSemaphore(THREADS[name] + MOST_WAITING[name]))


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module docstring."""

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Create the pools; gunicorn's own pool is reception."""
        self.doors = {name: Door.named(name) for name in THREADS}
        return ThreadPoolExecutor(RECEPTION_THREADS, thread_name_prefix="reception")

    def enqueue_req(self, conn: TConn) -> None:
        """Called when a request begins on this connection."""
        if not isinstance(conn.sock, PacedSocket):
            conn.sock = PacedSocket(conn.sock)
        conn.sock.begin()
        super().enqueue_req(conn)

    def _answer(self, req: Any, conn: TConn, name: str) -> bool:
        try:
            return bool(super().handle_request(req, conn))
        finally:
            if name == UPLOADS:  # so many threads must not each keep a connection
                connections.close_all()

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer the request in its pool; returns whether the connection can be reused."""
        name = door_of(req.path)
        if name == PAGES:
            _read_small_body(req, conn)
        door = self.doors[name]
        if not door.places.acquire(blocking=False):
            conn.sock.sendall(BUSY)
            return False
        try:
            answered: Future[bool] = door.pool.submit(self._answer, req, conn, name)
            return answered.result()
        finally:
            door.places.release()


def _read_small_body(req: Any, conn: TConn) -> None:
    """Read a page's request body here, so that no pages thread has to wait for the client."""
    declared = next((value for name, value in req.headers if name == "CONTENT-LENGTH"), "0")
    if not declared.isdecimal() or not 0 < int(declared) <= SMALL_BODY_BYTES:
        return
    if req._expected_100_continue:
        conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        req._expected_100_continue = False
    req.body = io.BytesIO(req.body.read(int(declared)))
