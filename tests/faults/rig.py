"""A whole site on this machine, each part as an operator runs it, for tests that break the parts.

PostgreSQL, Valkey, the web server, both site workers, a sweeper and GPU workers with the stub engine are real
processes with a database of their own; the connections between them go through proxies that can be cut. The
sweeper is the documented command at a shorter interval, so that recovery takes seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import psutil
from django.db import InterfaceError, OperationalError, connection

from leaderboard.local.stack import free_port
from tests.faults import contest as short
from tests.faults.member import ROOT, Member
from tests.faults.proxy import Proxy
from tests.faults.receiver import Receiver
from tests.faults.servers import DATABASE, Broker, Postgres

LEASE_S, HEARTBEAT_S = 8.0, 0.5
PATIENCE_S = 300.0  # for a busy machine; nothing is asserted about how long anything takes
KNOBS = {"token_s": 0.002}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that the site has accepted."""

    submission: int
    team: int


class Rig:
    """Use as a context manager. ``heal`` undoes every fault."""

    def __init__(self, workers: int = 2) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pbf-"))
        self.home.chmod(0o755)  # PostgreSQL runs as another user if this is root
        self.mark = uuid.uuid4().hex
        self.accepted: list[Entry] = []
        self._made = 0
        self.members: dict[str, Member] = {}
        self.roads: dict[str, Proxy] = {}
        self.workers = [f"gpu-{n}" for n in range(1, workers + 1)]
        self._tokens: dict[str, str] = {}
        self._stack = contextlib.ExitStack()

    # --- life -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Rig:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for member in self.members.values():
            member.thaw()
            member.power_cut()
        for orphan in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        for road in self.roads.values():
            road.close()
        self._stack.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self) -> None:
        (self.home / "site" / "static").mkdir(parents=True)
        (self.home / "logs").mkdir()
        short.write(self.home / "contests")
        self.receiver = self._stack.enter_context(Receiver())
        self.postgres = Postgres(self.home / "postgres")
        self._stack.callback(self.postgres.close)
        self.broker = Broker(self.home / "valkey")
        self._stack.callback(self.broker.stop)
        self.site_port = free_port(0)
        self.roads["database"] = Proxy(self.postgres.socket)
        self.roads["broker"] = Proxy(self.broker.port)
        self.roads["site"] = Proxy(self.site_port)  # the teams' way
        self._stack.enter_context(self.postgres.used_here())
        self._prepare()
        self._make_members()
        for member in self.members.values():
            member.start()
        self.wait_until(self.site_answers)

    def _prepare(self) -> None:
        from django.core.management import call_command

        from leaderboard.contests import loading
        from leaderboard.models import Worker

        call_command("migrate", verbosity=0)
        self.contest, _ = loading.load(str(self.home / "contests" / short.SLUG / "contest.toml"))
        type(self.contest).objects.filter(pk=self.contest.pk).update(is_open=True)
        for name in self.workers:
            _, self._tokens[name] = Worker.issue("pbw", name=name)

    @property
    def environment(self) -> dict[str, str]:
        """The site's."""
        return os.environ | {
            "PARETOBOARD_HOME": str(self.home / "site"),
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{self.roads['database'].port}/{DATABASE}",
            "REDIS_URL": self.broker_url,
            "SITE_URL": f"http://127.0.0.1:{self.site_port}",
            "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
            "GRADER_CONTESTS": str(self.home / "contests"),
            "LEASE_S": str(LEASE_S),
            "HEARTBEAT_S": str(HEARTBEAT_S),
            "DISK_RESERVE_BYTES": "0",
            "WEBHOOKS_TO_PRIVATE": "1",
            "FAULTS_RIG": self.mark,
        }

    @property
    def broker_url(self) -> str:
        return f"redis://127.0.0.1:{self.roads['broker'].port}/0"

    def _make_members(self) -> None:
        web = ["gunicorn", "--config", "gunicorn.conf.py", "--workers", "1"]
        web += ["--bind", f"127.0.0.1:{self.site_port}", "leaderboard.wsgi"]
        self._add("site", web)
        self._add("check-worker", self.queue("checks", "checks"))
        self._add("site-worker", self.queue("site", "site", "--beat"))
        self._add("sweeper", ["django", "sweep", "--every", "1"])
        for name in self.workers:
            self._add_worker(name)

    def queue(self, queue: str, name: str, *more: str) -> list[str]:
        celery = ["celery", "--app", "leaderboard.celery", "worker", *more]
        return [*celery, "--queues", queue, "--concurrency", "1", "--hostname", f"{name}@%h"]

    def _add(self, name: str, command: list[str]) -> Member:
        self.members[name] = Member(name, command, self.environment, self.home / "logs")
        return self.members[name]

    def _add_worker(self, name: str) -> None:
        self.roads[name] = Proxy(self.site_port)
        folder = self.home / name
        folder.mkdir()
        self.set_knobs(name)
        stub = f"{sys.executable} {ROOT / 'tests' / 'engine_stub.py'}"
        scratch = str(self.new_scratch())  # short: sockets are in it
        command = ["celery", "--app", "grader.worker.celery", "worker", "--queues", "gpu"]
        command += ["--concurrency", "1", "--hostname", f"{name}@%h", "--loglevel", "INFO"]
        member = self._add(name, command)
        member.environment = os.environ | {
            "GRADER_SITE_URL": f"http://127.0.0.1:{self.roads[name].port}",
            "GRADER_TOKEN": self._tokens[name],
            "GRADER_NAME": name,
            "GRADER_SCRATCH": scratch,
            "GRADER_CACHE": str(self.home / "cache" / name),
            "GRADER_CONTESTS": str(self.home / "contests"),
            "GRADER_SANDBOX": "process",
            "GRADER_ENGINE": f"{stub} --knobs {folder / 'knobs.json'}",
            "GRADER_HTTP_TIMEOUT_S": "5",
            "GRADER_SILENCE_S": "30",
            "GRADER_MEMORY_BYTES": "400000000",
            "REDIS_URL": self.broker_url,
            "FAULTS_RIG": self.mark,
        }

    # --- parts ----------------------------------------------------------------------------------------------

    def set_knobs(
        self, name: str, *, base: dict[str, Any] | None = None, **candidate: object
    ) -> None:
        """How the engines of this worker behave from their next start."""
        knobs = {"base": KNOBS | (base or {}), "candidate": KNOBS | candidate}
        (self.home / name / "knobs.json").write_text(json.dumps(knobs))

    def scratch(self, name: str) -> Path:
        return Path(self.members[name].environment["GRADER_SCRATCH"])

    def restart(self, name: str, *, prefix: list[str] | None = None, **changed: str) -> None:
        """Power-cut a member and start it with another prefix and environment; without any, as it was."""
        member = self.members[name]
        member.power_cut()
        member.prefix, member.changed = prefix or [], changed
        member.start()

    @contextlib.contextmanager
    def another(self, name: str, command: list[str], **changed: str) -> Iterator[Member]:
        """A second member with the environment of ``name``, until the block ends."""
        second = Member(
            f"{name}-2", command, self.members[name].environment | changed, self.home / "logs"
        )
        self.members[second.name] = second
        second.start()
        try:
            yield second
        finally:
            second.thaw()
            second.power_cut()
            del self.members[second.name]

    def new_scratch(self) -> Path:
        found = tempfile.mkdtemp(prefix="pb-")
        self._stack.callback(shutil.rmtree, found, ignore_errors=True)
        return Path(found)

    def open_road(self, host: str) -> Proxy:
        """One more way to the site, at another of this machine's addresses."""
        road = Proxy(self.site_port, host)
        self._stack.callback(road.close)
        return road

    def heal(self) -> None:
        """Everything that is down, frozen, cut off or slow works again."""
        self.postgres.start()
        if not self.broker.is_up:
            self.broker.start()
        for road in self.roads.values():
            road.heal()
        for name in self.workers:
            self.set_knobs(name)
        for member in self.members.values():
            member.thaw()
            if not member.is_alive:
                member.start()

    def keep_logs(self) -> Path:
        """Copy the members' logs to a folder that stays."""
        kept = Path(tempfile.mkdtemp(prefix="faults-logs-"))
        return Path(shutil.copytree(self.home / "logs", kept, dirs_exist_ok=True))

    def processes(self) -> list[psutil.Process]:
        """Every process that was started for this rig, whoever its parent is now."""
        folders = [str(self.home)]
        folders += [str(self.scratch(name)) for name in self.workers if name in self.members]
        return [one for one in psutil.process_iter() if self._is_ours(one, folders)]

    def _is_ours(self, process: psutil.Process, folders: list[str]) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.name() == "postgres":
                return False
            if process.environ().get("FAULTS_RIG") == self.mark:
                return True
            # an engine gets an environment of its own
            said = " ".join(process.cmdline())
            return "valkey" not in process.name() and any(folder in said for folder in folders)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return False

    # --- what people do -------------------------------------------------------------------------------------

    def team(self) -> tuple[int, str]:
        """A new team with a webhook; returns its number and its captain's token."""
        from leaderboard.accounts import tokens
        from leaderboard.models import Delivery, Webhook
        from tests import factories

        name = uuid.uuid4().hex[:12]
        captain = factories.user(name=f"c-{name}")
        team = factories.team(contest=self.contest, name=name, captain=captain)
        kinds = [Delivery.Kind.SCORED, Delivery.Kind.REJECTED, Delivery.Kind.FAILED]
        Webhook.objects.create(team=team, url=self.receiver.url, secret="whsec_eA==", kinds=kinds)
        return team.pk, tokens.issue_token(captain, "faults")

    def enter(self, team: tuple[int, str] | None = None) -> Entry:
        """Enter a checkpoint through the API.

        Raises:
            httpx.HTTPError: not accepted.
        """
        number, token = team or self.team()
        answer = httpx.post(
            f"http://127.0.0.1:{self.roads['site'].port}/api/contests/{short.SLUG}/submissions",
            headers={"Authorization": f"Bearer {token}"},
            files={"archive": ("model.zip", self.archive())},
            timeout=30,
        )
        answer.raise_for_status()
        self.accepted.append(Entry(int(answer.json()["id"]), number))
        return self.accepted[-1]

    def archive(self) -> bytes:
        """The base model with its last weights changed a little, so that no entry repeats another."""
        base = self.home / "contests" / short.SLUG / "base_model"
        weights = bytearray((base / "model.safetensors").read_bytes())
        self._made += 1
        weights[-2] ^= self._made & 0xFF  # the low bytes of the last two bfloat16 numbers
        weights[-4] ^= self._made >> 8 & 0xFF
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(base / "config.json", "config.json")
            archive.writestr("model.safetensors", bytes(weights))
        return packed.getvalue()

    # --- what can be seen -----------------------------------------------------------------------------------

    def site_answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.site_port}/readyz"
            return httpx.get(url, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def evaluation(self, entry: Entry) -> Any:
        from leaderboard.models import Evaluation

        return Evaluation.objects.select_related("worker").get(submission=entry.submission)

    def grading(self, entry: Entry, *stages: str) -> str:
        """The worker that is at one of these stages of the entry's grade, or empty."""
        row = self.evaluation(entry)
        at = row.status == "running" and (not stages or row.stage in stages)
        return str(row.worker.name) if at else ""

    def wait_until(self, look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                if found := look():
                    return found
            except (OperationalError, InterfaceError):
                connection.close()
            assert time.monotonic() < deadline, "nothing happened"
            time.sleep(0.05)

    def wait_scored(self, entry: Entry) -> Any:
        def is_scored() -> Any:
            row = self.evaluation(entry)
            assert row.status in ("queued", "running", "scored"), (row.status, row.problems)
            return row if row.status == "scored" else None

        return self.wait_until(is_scored)

    def minute_passes(self, entry: Entry) -> None:
        """What waits for the database's clock, a lease of a check or a pause, has waited long enough."""
        from django.db.models.functions import Now

        from leaderboard.models import Evaluation

        which = Evaluation.objects.filter(submission=entry.submission, status="queued")
        which.update(not_before=Now())
