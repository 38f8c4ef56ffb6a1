"""Is this deployment fit to run an event? Each finding says what was looked at, how it is, and what to do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import redis
from django.conf import settings
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone, translation

from leaderboard import fleet, sweeper
from leaderboard.fleet import eligibility
from leaderboard.models import Contest, Evaluation, Worker

Level = Literal["ok", "warning", "error"]
CLOCK_TOLERANCE_S = 2.0
WORKER_SILENT = timedelta(minutes=3)
BEAT_SILENT = timedelta(minutes=2)  # it rings every 15 s
QUEUE_OLD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``hint`` is empty when all is well."""

    level: Level
    subject: str
    text: str
    hint: str = ""


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which one would mend them."""
    for look in LOOKS:
        yield from look()


def database() -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            before = time.time()
            cursor.execute(
                "SELECT extract(epoch FROM clock_timestamp()), current_setting('server_version')"
            )
            moment, version = cursor.fetchone() or (0, "?")
            skew = abs(float(moment) - (before + time.time()) / 2)
    except OperationalError as error:
        yield Finding(
            "error", "database", f"unreachable: {error}", "Check DATABASE_URL and the server."
        )
        return
    yield Finding("ok", "database", f"PostgreSQL {version}")
    if skew > CLOCK_TOLERANCE_S:
        hint = (
            "Leases use the database's clock; still, synchronise both (chrony, systemd-timesyncd)."
        )
        yield Finding("warning", "clocks", f"site and database differ by {skew:.1f} s", hint)
    else:
        yield Finding("ok", "clocks", f"site and database within {skew:.2f} s")


def migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        yield Finding("error", "migrations", f"{len(pending)} pending", "Run manage.py migrate.")
    else:
        yield Finding("ok", "migrations", "none pending")


def broker() -> Iterator[Finding]:
    client = redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
    try:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "?")
    except redis.RedisError as error:
        hint = "Grading goes on without it, up to 30 s slower per step. Check REDIS_URL."
        yield Finding("warning", "broker", f"unreachable: {error}", hint)
        return
    if policy not in ("noeviction", "?"):
        yield Finding(
            "warning", "broker", f"evicts keys ({policy})", "Set maxmemory-policy noeviction."
        )
    else:
        yield Finding("ok", "broker", "answers")


def beat() -> Iterator[Finding]:
    """Whether the sweeper is rung: without it a lost bell or a lost worker is noticed late."""
    try:
        last = sweeper.last_swept()
    except redis.RedisError:
        return  # the broker's own finding says so
    hint = "Start beat: celery --app leaderboard beat, exactly one; or run manage.py sweep by cron."
    if last is None:
        yield Finding("warning", "beat", "has never rung the sweeper", hint)
        return
    silence = timezone.now() - last
    text = f"the sweeper began {silence.total_seconds():.0f} s ago"
    if silence > BEAT_SILENT:
        yield Finding("error", "beat", f"dead: {text}", hint)
    else:
        yield Finding("ok", "beat", text)


def storage() -> Iterator[Finding]:
    content = b"doctor"
    key = default_storage.save("doctor", ContentFile(content))
    try:
        with default_storage.open(key) as file:
            same = file.read() == content
    finally:
        default_storage.delete(key)
    if same:
        yield Finding("ok", "storage", "what is written can be read")
    else:
        yield Finding(
            "error", "storage", "reads something else than was written", "Check the disk."
        )
    free = shutil.disk_usage(settings.HOME).free
    wanted = settings.DISK_RESERVE_BYTES + max(
        (c.rules.limits.archive_bytes + c.rules.limits.unpacked_bytes for c in _contests()),
        default=0,
    )
    room = f"{free / 1e9:.1f} GB free, an upload may need {wanted / 1e9:.1f} GB"
    if free < wanted:
        hint = "Make room or move PARETOBOARD_HOME; uploads are refused with 507 before the disk fills."
        yield Finding("warning", "disk", room, hint)
    else:
        yield Finding("ok", "disk", room)


def contests() -> Iterator[Finding]:
    found = _contests()
    if not found:
        yield Finding("error", "contests", "none loaded", "Run manage.py loadcontest FILE.")
    living = list(
        Worker.objects.filter(
            revoked__isnull=True, drained__isnull=True, last_seen__gt=timezone.now() - WORKER_SILENT
        )
    )
    for contest in found:
        yield Finding("ok", "contests", f"{contest.slug} at version {contest.rules.sha256[:12]}")
        yield _phase(contest)
        if unpinned := contest.rules.unpinned:
            text = f"not pinned to a commit: {', '.join(unpinned)}"
            hint = f"manage.py prefetch {contest.slug} --pin prints what to write into the contest's file."
            yield Finding("warning", f"data of {contest.slug}", text, hint)
        if living and contest.version and not eligibility.able(living, contest.version):
            text = f"none of {len(living)} workers at work may grade {contest.slug}"
            hint = "manage.py workers says why each may not: contest file, [hardware], sandbox."
            yield Finding("error", f"contest {contest.slug}", text, hint)


def _phase(contest: Contest) -> Finding:
    """What the contest's clock says, and whether the switch agrees with it."""
    subject, now = f"contest {contest.slug}", timezone.now()
    phases = contest.rules.phases
    running = contest.rules.phase_at(now)
    if running and not contest.is_open:
        hint = "Switch on 'accepts submissions' in the admin, if teams should submit."
        return Finding("warning", subject, f"{running.id} runs, but entering is off", hint)
    if running:
        return Finding("ok", subject, f"{running.id} runs until {running.end:%Y-%m-%d %H:%M %Z}")
    ahead = min(
        (phase for phase in phases if phase.start > now), key=lambda p: p.start, default=None
    )
    if ahead:
        return Finding("ok", subject, f"{ahead.id} begins {ahead.start:%Y-%m-%d %H:%M %Z}")
    if contest.finalised_at is None:
        hint = "Finalise it, or add a phase to its file and load it again."
        return Finding("warning", subject, "all phases are over and it is not finalised", hint)
    return Finding("ok", subject, "finalised")


def workers() -> Iterator[Finding]:
    with translation.override("en"):
        views = fleet.overview()
    if not views:
        yield Finding("error", "workers", "none registered", "Run manage.py addworker NAME.")
    for view in views:
        yield _worker(view)


def _worker(view: fleet.View) -> Finding:
    worker, subject = view.worker, f"worker {view.worker.name}"
    if worker.last_seen is None:
        hint = "Start it with the token that addworker printed."
        return Finding("warning", subject, "never heard of", hint)
    silence = timezone.now() - worker.last_seen
    text = f"{worker.device_name or worker.device}, sandbox {worker.sandbox}, "
    text += f"seen {silence.total_seconds():.0f} s ago"
    if silence > WORKER_SILENT:
        hint = "Look at that machine; its work goes back to the queue by itself."
        return Finding("warning", subject, text, hint)
    if worker.drained is not None:
        hint = "Mend what is wrong, run manage.py aa, then manage.py workers resume."
        return Finding("warning", subject, f"drained: {worker.drain_reason}", hint)
    if view.reasons:
        reasons = "; ".join(f"{slug}: {', '.join(why)}" for slug, why in view.reasons.items())
        hint = "Copy the contest file to it, or compare it with [hardware] of the contest."
        return Finding("warning", subject, f"gets no work of {reasons}", hint)
    if worker.sandbox != "namespace":
        hint = "Install bubblewrap on that machine so that engines run without network and files."
        return Finding("warning", subject, text, hint)
    return Finding("ok", subject, text)


def queue() -> Iterator[Finding]:
    old = timezone.now() - QUEUE_OLD
    waiting = Evaluation.objects.filter(status=Evaluation.Status.QUEUED, created__lt=old).count()
    if waiting:
        hint = (
            "Compare the workers' contest files with the site's (loadcontest), and their last_seen."
        )
        yield Finding("warning", "queue", f"{waiting} waiting for more than an hour", hint)
    else:
        yield Finding("ok", "queue", "nothing waits for more than an hour")


def mail() -> Iterator[Finding]:
    try:
        get_connection().open()
    except OSError as error:
        hint = "Set the EMAIL_* variables; until then nobody can reset a password by themselves."
        yield Finding("warning", "mail", f"cannot send: {error}", hint)
    else:
        yield Finding("ok", "mail", settings.EMAIL_BACKEND.rpartition(".")[2])


def unsafe_settings() -> Iterator[Finding]:
    found = checks.run_checks(include_deployment_checks=settings.SECURE)
    for message in found:
        level: Level = "error" if message.level >= checks.ERROR else "warning"
        yield Finding(level, f"settings {message.id}", str(message.msg), message.hint or "")
    if settings.DEBUG:
        yield Finding(
            "error", "settings", "DEBUG is on", "Unset DEBUG: it shows source code to visitors."
        )
    if not found and not settings.DEBUG:
        yield Finding(
            "ok", "settings", "no complaint" if settings.SECURE else "fit for this machine only"
        )


def _contests() -> list[Contest]:
    return list(
        Contest.objects.select_related("version").filter(version__isnull=False, is_listed=True)
    )


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    database, migrations, broker, beat, storage, contests, workers, queue, mail, unsafe_settings,
)  # fmt: skip
