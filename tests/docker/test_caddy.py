"""The shipped proxy, run as it is: its limits, and the same doors as the site's own server."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from grader.protocol.worker import REPORT_BYTES
from leaderboard.server import doors
from leaderboard.server.worker import RECEPTION_THREADS, SMALL_BODY_BYTES
from tests.docker.reading import DOCKER, command_of

CADDY = shutil.which("caddy")
pytestmark = pytest.mark.skipif(not CADDY, reason="caddy is not installed (apt install caddy)")
PIECE_BYTES = 1 << 16
HEADER_S = 1  # instead of 15
ADDRESSES = (
    "/", "/login/", "/contests/demo/", "/contests/demo/submit/", "/contests/demo/submit/x",
    "/api/uploads/", "/api/uploads/7f", "/api/uploadsx", "/api/contests/demo/submissions",
    "/api/contests/demo/submissions/1", "/api/worker/claim", "/api/worker/attempts/1/1/report",
    "/api/workers", "/x/api/uploads/",
)  # fmt: skip


def adapted(**environment: str) -> dict[str, Any]:
    """The Caddyfile as Caddy's own JSON, after Caddy found no fault in it."""
    arguments = ["--config", str(DOCKER / "Caddyfile"), "--adapter", "caddyfile"]
    known = {"SITE_HOST": "contest.example.org", "HOME": "/tmp", **environment}
    for command in ("validate", "adapt"):
        assert CADDY
        done = subprocess.run(
            [CADDY, command, *arguments], env=known, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "not formatted" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def server_of(config: dict[str, Any]) -> dict[str, Any]:
    (server,) = config["apps"]["http"]["servers"].values()
    return server


def handlers(config: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, dict[str, Any]]]]:
    """What each door matches, and its handlers by name."""
    (site,) = server_of(config)["routes"]
    routes = site["handle"][0]["routes"]
    return [
        (
            (route.get("match") or [{}])[0],
            {
                one["handler"]: {**one, **step}
                for step in route["handle"][0]["routes"]
                for one in step["handle"]
            },
        )
        for route in routes
    ]


def test_its_limits_are_those_of_the_site():
    server = server_of(adapted())
    assert server["read_header_timeout"] == 15_000_000_000
    assert "read_timeout" not in server, "an honest upload may take hours"
    uploads, worker, pages = handlers(adapted())
    assert set(uploads[1]) == {"reverse_proxy"}
    for (_, found), most in ((worker, REPORT_BYTES), (pages, SMALL_BODY_BYTES)):
        assert found["request_body"]["max_size"] == most
        (refused,) = found["error"]["match"]
        assert refused["expression"].endswith(f"> {most}"), refused
    together = [
        found["reverse_proxy"]["transport"]["max_conns_per_host"]
        for _, found in (uploads, worker, pages)
    ]
    command = command_of("site")
    assert sum(together) == int(command[command.index("--workers") + 1]) * RECEPTION_THREADS


def test_its_doors_are_those_of_the_site():
    uploads, worker, _ = (match for match, _ in handlers(adapted()))
    (prefix,) = worker["path"]
    for path in ADDRESSES:
        door = doors.PAGES
        if re.search(uploads["path_regexp"]["pattern"], path):
            door = doors.UPLOADS
        elif path.startswith(prefix.removesuffix("*")):
            door = doors.WORKER
        assert door == doors.door_of(path), path


def test_certificates_of_its_own_where_there_is_no_public_name():
    internal = adapted(CADDY_CERTIFICATES="local_certs")
    (policy,) = internal["apps"]["tls"]["automation"]["policies"]
    assert policy["issuers"] == [{"module": "internal"}]
    assert "tls" not in adapted()["apps"]


class Site(http.server.BaseHTTPRequestHandler):
    """Reads what it is sent, and answers with its length."""

    def do_POST(self) -> None:
        if declared := self.headers["Content-Length"]:
            size = len(self.rfile.read(int(declared)))
        else:
            size = 0
            while piece := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(piece + 2)) - 2
        body = str(size).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Caddy's port in front of a small site; it waits a second for headers instead of fifteen."""
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = adapted(
        SITE_HOST=f"http://127.0.0.1:{port}", SITE_UPSTREAM=f"127.0.0.1:{site.server_port}"
    )
    server_of(config)["read_header_timeout"] = HEADER_S * 1_000_000_000
    folder = tmp_path_factory.mktemp("caddy")
    (folder / "caddy.json").write_text(json.dumps(config))
    assert CADDY
    with (folder / "log").open("w") as log:
        caddy = subprocess.Popen(
            [CADDY, "run", "--config", str(folder / "caddy.json")],
            env={"HOME": str(folder)}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < until and caddy.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        caddy.kill()
        caddy.wait()
        site.shutdown()
        site.server_close()


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/login/", SMALL_BODY_BYTES),
        ("/api/worker/attempts/1/1/report", REPORT_BYTES),
        ("/api/uploads/7f", REPORT_BYTES + 1),
    ],
)
def test_bodies_up_to_the_limit_pass(proxy, path, size):
    connection = http.client.HTTPConnection("127.0.0.1", proxy, timeout=60)
    connection.request("POST", path, bytes(size))
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, str(size).encode())


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/login/", SMALL_BODY_BYTES + 1),
        ("/api/worker/attempts/1/1/report", REPORT_BYTES + 1),
    ],
)
def test_a_longer_body_is_refused_before_it_comes(proxy, path, size):
    connection = http.client.HTTPConnection("127.0.0.1", proxy, timeout=60)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_a_body_of_no_declared_length_ends_at_the_limit(proxy):
    """Whatever Caddy answers then: Debian's 2.6 says 502, later ones 413."""
    assert chunked(proxy, 3) == 200
    assert chunked(proxy, SMALL_BODY_BYTES // PIECE_BYTES + 2) != 200


def chunked(port: int, pieces: int) -> int:
    """The status for a body of so many pieces; 0 if it was cut off while it was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = iter([bytes(PIECE_BYTES)] * pieces)
    try:
        connection.request(
            "POST", "/login/", body, {"Transfer-Encoding": "chunked"}, encode_chunked=True
        )
        return connection.getresponse().status
    except ConnectionError:
        return 0


def test_slow_headers_are_cut_off(proxy):
    with socket.create_connection(("127.0.0.1", proxy), timeout=60) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        with pytest.raises(ConnectionError):
            while True:
                time.sleep(HEADER_S / 5)
                slow.sendall(b"a")
                slow.settimeout(0.01)
                try:
                    if slow.recv(1000) == b"":
                        raise ConnectionError
                except TimeoutError:
                    pass
