"""A team's webhook: remembers which message it got how often."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Receiver:
    """Use as a context manager.

    ``heard``: (evaluation, kind of event, message id) → how often it came. A repeat has the same id, and a
    receiver drops it; the same event under two ids would be telling a team twice.
    """

    def __init__(self) -> None:
        self.heard: Counter[tuple[int, str, str]] = Counter()
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                event = json.loads(body)
                key = (
                    int(event["data"].get("evaluation") or 0),
                    str(event["type"]),
                    str(handler.headers["webhook-id"]),
                )
                with lock:
                    self.heard[key] += 1
                handler.send_response(204)
                handler.end_headers()

            def log_message(handler, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
