import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress
from grader.protocol.worker import LOG_CHARS, Introduction
from grader.worker import heartbeat as heartbeat_module
from grader.worker import site as site_module
from grader.worker.faults import Cancellation, Cancelled, Failed
from grader.worker.heartbeat import Heartbeat
from grader.worker.site import TRIES, LeaseLostError, Site, SiteError
from tests.grader.worker.conftest import wait_until
from tests.grader.worker.site_stub import SiteStub

WORKER = Introduction("w", "cpu", {})
DOWN = httpx.ConnectError("down")


def test_claim_gives_a_job_then_nothing():
    stub = SiteStub()
    with stub.site() as site:
        assert site.claim(WORKER) == stub.job
        assert site.claim(WORKER) is None
    assert stub.tokens == {"Bearer a-secret-token"}


def test_claim_tries_again_with_growing_pauses():
    stub = SiteStub()
    stub.status["claim"] = [DOWN, 503, 500, 200]
    with stub.site() as site:
        assert site.claim(WORKER) == stub.job
    assert stub.pauses == [0.5, 1.0, 2.0]


def test_claim_gives_up_in_the_end():
    stub = SiteStub()
    stub.status["claim"] = [DOWN]
    with stub.site() as site, pytest.raises(SiteError, match="down"):
        site.claim(WORKER)
    assert len(stub.calls) == site_module.TRIES


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_token_is_not_tried_again(status):
    stub = SiteStub()
    stub.status["claim"] = [status]
    with stub.site() as site, pytest.raises(SiteError, match=str(status)):
        site.claim(WORKER)
    assert len(stub.calls) == 1


def test_a_job_with_unknown_keys_is_an_error():
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, json={"evaluation": 1, "surprise": 2})
    )
    client = httpx.Client(transport=transport, base_url="http://site.test")
    with site_module.Site(client) as site, pytest.raises(SiteError, match="surprise"):
        site.claim(WORKER)


@pytest.mark.parametrize("verb", ["progress", "reject", "fail"])
def test_409_means_the_lease_is_lost(verb):
    stub = SiteStub()
    stub.status[verb] = [409]
    with stub.site() as site, pytest.raises(LeaseLostError):
        if verb == "progress":
            site.progress(stub.job, Progress(Stage.LOAD))
        else:
            getattr(site, verb)(stub.job, [Problem("SYS_NOISY")], "log")


def test_paths_and_bodies():
    stub = SiteStub()
    with stub.site() as site:
        site.progress(stub.job, Progress(Stage.SPEED, 3, 20, "latency"))
        site.reject(stub.job, [Problem("LOAD_ENGINE", "", "why")], "x" * 20_000)
    assert stub.bodies("progress") == [
        {"stage": "speed", "done": 3, "total": 20, "note": "latency"}
    ]
    (body,) = stub.bodies("reject")
    assert body["problems"] == [{"code": "LOAD_ENGINE", "where": "", "detail": "why"}]
    assert len(body["log"]) == LOG_CHARS


def test_download(tmp_path):
    stub = SiteStub(b"archive" * 1000)
    with stub.site() as site:
        site.download(stub.job, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == stub.archive


@pytest.mark.parametrize("served", [b"archivX", b"arch", b"archive and more"])
def test_a_download_of_other_bytes(tmp_path, served):
    stub = SiteStub(b"archive")
    stub.archive = served
    with stub.site() as site, pytest.raises(Failed, match="SYS_STORAGE"):
        site.download(stub.job, tmp_path / "a")


@pytest.mark.parametrize("status", [500, DOWN])
def test_a_download_that_fails(tmp_path, status):
    stub = SiteStub(b"archive")
    stub.status["archive"] = [status]
    with stub.site() as site, pytest.raises(Failed, match="SYS_DOWNLOAD"):
        site.download(stub.job, tmp_path / "a")


class CuttingServer(BaseHTTPRequestHandler):
    """Serves the archive, and hangs up after so many bytes of each response."""

    archive = bytes(range(256)) * 4096  # 1 MiB
    bytes_each = 300_000
    ignores_ranges = False

    def do_GET(self):
        start = 0
        if (wanted := self.headers.get("Range")) and not self.ignores_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append(wanted)
        rest = self.archive[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.bytes_each])

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """``serve(**attributes)``: a site behind real sockets, and a job to download from it."""
    servers = []

    def start(**attributes):
        handler = type("Handler", (CuttingServer,), attributes)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.asked = []
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        client = httpx.Client(base_url=f"http://127.0.0.1:{server.server_address[1]}")
        return server, Site(client, pause=lambda _: None), SiteStub(CuttingServer.archive).job

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_download_that_is_cut_off_is_continued_where_it_ended(serve, tmp_path):
    server, site, job = serve()
    with site:
        site.download(job, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CuttingServer.archive
    first, *more = server.asked
    starts = [int(wanted.removeprefix("bytes=").removesuffix("-")) for wanted in more]
    assert first is None
    assert 0 < starts[0] <= 300_000
    assert starts == sorted(set(starts))  # each goes on further


def test_a_site_that_ignores_ranges_sends_it_again_from_the_start(serve, tmp_path, monkeypatch):
    server, site, job = serve(ignores_ranges=True)

    def whole_from_the_third(handler):
        handler.bytes_each = 300_000 if len(server.asked) < 2 else 1 << 30
        CuttingServer.do_GET(handler)

    monkeypatch.setattr(server.RequestHandlerClass, "do_GET", whole_from_the_third)
    with site:
        site.download(job, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CuttingServer.archive


def test_a_download_without_progress_is_given_up(serve, tmp_path):
    server, site, job = serve(bytes_each=0)
    with site, pytest.raises(Failed, match="SYS_DOWNLOAD"):
        site.download(job, tmp_path / "a")
    assert len(server.asked) == TRIES


def test_a_download_that_is_no_longer_wanted_stops(serve, tmp_path):
    server, site, job = serve()
    cancel = Cancellation()
    cancel.cancel("another worker has it")
    with site, pytest.raises(Cancelled):
        site.download(job, tmp_path / "a", cancel.check)
    assert len(server.asked) == 1


def test_the_heartbeat_sends_the_latest_progress():
    stub, cancel = SiteStub(), Cancellation()
    with stub.site() as site, Heartbeat(site, stub.job, cancel) as heartbeat:
        heartbeat.tell(Progress(Stage.QUALITY, 5, 10))
        assert wait_until(
            lambda: (
                {"stage": "quality", "done": 5, "total": 10, "note": ""} in stub.bodies("progress")
            )
        )
    assert not cancel.reason
    beats = len(stub.bodies("progress"))
    threading.Event().wait(0.2)
    assert len(stub.bodies("progress")) == beats  # it ended with its block


def test_news_is_told_before_the_next_heartbeat_is_due(monkeypatch):
    monkeypatch.setattr(heartbeat_module, "NEWS_S", 0.05)
    stub = SiteStub(heartbeat_s=3600.0)
    with stub.site() as site, Heartbeat(site, stub.job, Cancellation()) as heartbeat:
        for done in (1, 2):
            heartbeat.tell(Progress(Stage.QUALITY, done, 10))
            assert wait_until(
                lambda done=done: (
                    stub.bodies("progress")[-1:] and stub.bodies("progress")[-1]["done"] == done
                )
            )
        beats = len(stub.bodies("progress"))
        threading.Event().wait(0.3)
        assert len(stub.bodies("progress")) == beats  # nothing new, nothing sent


def test_a_lost_lease_cancels():
    stub, cancel = SiteStub(), Cancellation()
    stub.status["progress"] = [200, 200, 409]
    with stub.site() as site, Heartbeat(site, stub.job, cancel):
        assert wait_until(lambda: bool(cancel.reason))
    assert "another worker" in cancel.reason


def test_a_site_that_is_away_for_less_than_the_lease_is_forgiven():
    stub, cancel = SiteStub(lease_s=30.0), Cancellation()
    stub.status["progress"] = [200, DOWN, 502, DOWN, 200]
    with stub.site() as site, Heartbeat(site, stub.job, cancel):
        assert wait_until(lambda: len(stub.bodies("progress")) > 6)
    assert not cancel.reason


def test_a_site_that_is_away_for_longer_cancels():
    stub, cancel = SiteStub(lease_s=0.3), Cancellation()
    stub.status["progress"] = [200, DOWN]
    with stub.site() as site, Heartbeat(site, stub.job, cancel):
        assert wait_until(lambda: bool(cancel.reason))
    assert "unreachable" in cancel.reason
