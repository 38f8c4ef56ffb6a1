"""Checks whether a deployment is ready for an event. Each finding has a subject, its state, and what to do.

Texts are in the reader's language; subjects are names and are not translated.
"""

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
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from grader.checkpoint.contest_faults import find_contest_faults
from leaderboard.contests import faults, salts
from leaderboard.models import Contest, Evaluation, Worker
from leaderboard.operations import sweeper, trials
from leaderboard.workers import eligibility, status

Level = Literal["ok", "warning", "error"]
CLOCK_TOLERANCE_S = 2.0
BEAT_SILENT = timedelta(minutes=2)  # beat rings every 15 s
QUEUE_OLD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result. ``hint`` is empty when all is well."""

    level: Level
    subject: str
    text: str
    hint: str = ""


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which to fix them; none that needs tables which are not there yet."""
    for look in LOOKS:
        found = list(look())
        yield from found
        if look in (database, migrations) and any(finding.level == "error" for finding in found):
            return


def database() -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            before = time.time()
            cursor.execute(
                "SELECT extract(epoch FROM clock_timestamp()), current_setting('server_version'), "
                "current_setting('server_encoding')"
            )
            moment, version, encoding = cursor.fetchone() or (0, "?", "?")
            skew = abs(float(moment) - (before + time.time()) / 2)
    except OperationalError as error:
        yield Finding(
            "error", "database", _unreachable(error), _("Check DATABASE_URL and the server.")
        )
        return
    if encoding == "UTF8":
        yield Finding("ok", "database", f"PostgreSQL {version}")
    else:
        text = _("its encoding is %(encoding)s: Korean text cannot be stored") % {
            "encoding": encoding
        }
        hint = _("Create the database anew with ENCODING 'UTF8' and restore a backup into it.")
        yield Finding("error", "database", text, hint)
    if skew > CLOCK_TOLERANCE_S:
        text = _("site and database clocks differ by %(s).1f s") % {"s": skew}
        hint = _("Leases use the database's clock, but keep both in sync (chrony, timesyncd).")
        yield Finding("warning", "clocks", text, hint)
    else:
        yield Finding("ok", "clocks", _("site and database clocks within %(s).2f s") % {"s": skew})


def migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        text = _("%(n)d pending") % {"n": len(pending)}
        yield Finding("error", "migrations", text, _("Run manage.py migrate."))
    else:
        yield Finding("ok", "migrations", _("none pending"))


def broker() -> Iterator[Finding]:
    client = redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
    try:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "?")
    except redis.RedisError as error:
        hint = _(
            "Grading works without it, but each step can take up to 30 s longer. Check REDIS_URL."
        )
        yield Finding("warning", "broker", _unreachable(error), hint)
        return
    if policy not in ("noeviction", "?"):
        text = _("evicts keys (%(policy)s)") % {"policy": policy}
        yield Finding("warning", "broker", text, _("Set maxmemory-policy noeviction."))
    else:
        yield Finding("ok", "broker", _("responding"))


def beat() -> Iterator[Finding]:
    """Whether the sweeper is running: without it, lost bells and lost workers are noticed late."""
    try:
        last = sweeper.last_swept()
    except redis.RedisError:
        return  # the broker's own finding reports this
    hint = _(
        "Start exactly one beat: celery --app leaderboard beat; or run manage.py sweep from cron."
    )
    if last is None:
        yield Finding("warning", "beat", _("the sweeper has never run"), hint)
        return
    silence = timezone.now() - last
    seconds = {"s": silence.total_seconds()}
    if silence > BEAT_SILENT:
        yield Finding(
            "error", "beat", _("stopped: the sweeper last started %(s).0f s ago") % seconds, hint
        )
    else:
        text = _("the sweeper last started %(s).0f s ago") % seconds
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
        yield Finding("ok", "storage", _("reads back what was written"))
    else:
        text = _("does not read back what was written")
        yield Finding("error", "storage", text, _("Check the disk."))
    free = shutil.disk_usage(settings.HOME).free
    wanted = settings.DISK_RESERVE_BYTES + max(
        (
            c.rules.limits.archive_bytes + c.rules.limits.unpacked_bytes
            for c in list(Contest.objects.listed())
        ),
        default=0,
    )
    room = _("%(free).1f GB free, an upload may need %(wanted).1f GB") % {
        "free": free / 1e9,
        "wanted": wanted / 1e9,
    }
    if free < wanted:
        hint = _(
            "Free up space or move PARETOBOARD_HOME; uploads are refused with 507 before the disk is full."
        )
        yield Finding("warning", "disk", room, hint)
    else:
        yield Finding("ok", "disk", room)


def contests() -> Iterator[Finding]:
    found = list(Contest.objects.listed())
    if not found:
        hint = _("Run manage.py loadcontest FILE.")
        yield Finding("error", "contests", _("none loaded"), hint)
    at_work = list(Worker.objects.alive().accepting())
    for contest in found:
        words = {"contest": contest.slug, "version": contest.rules.sha256[:12]}
        yield Finding("ok", "contests", _("%(contest)s at version %(version)s") % words)
        yield _phase(contest)
        for fault in find_contest_faults(contest.rules):
            text = f"{fault.where}: {faults.sentence(fault)}"
            yield Finding("error", f"contest {contest.slug}", text, faults.hint(fault))
        for fault in salts.weaknesses(contest.rules.split_salt, contest.rules):
            yield Finding(
                "warning", f"split of {contest.slug}", faults.sentence(fault), faults.hint(fault)
            )
        if unpinned := contest.rules.unpinned:
            text = _("not pinned to a commit: %(names)s") % {"names": ", ".join(unpinned)}
            hint = _("manage.py prefetch %(contest)s --pin prints what to put in the contest file.")
            hint %= {"contest": contest.slug}
            yield Finding("warning", f"data of {contest.slug}", text, hint)
        yield _trial(contest)
        if at_work and contest.version and not eligibility.able(at_work, contest.version):
            text = ngettext(
                "the active worker cannot grade %(contest)s",
                "none of %(n)d active workers can grade %(contest)s",
                len(at_work),
            ) % {"n": len(at_work), "contest": contest.slug}
            hint = _(
                "manage.py workers shows why for each of them: contest file, [hardware], sandbox, GPUs."
            )
            yield Finding("error", f"contest {contest.slug}", text, hint)


def _trial(contest: Contest) -> Finding:
    """Whether the contest was tried as it is measured now, and what that found."""
    subject = f"trial of {contest.slug}"
    words = {"contest": contest.slug}
    entry = trials.last(contest.slug, contest.rules.grading_sha256)
    if entry is None:
        hint = _(
            "Run manage.py trycontest %(contest)s where its base model can run, or baseline trycontest "
            "on a GPU machine, and record the result with --from."
        )
        text = _("never tried under the rules it has now")
        return Finding("warning", subject, text, hint % words)
    words["time"] = f"{timezone.localtime(entry.created):%Y-%m-%d %H:%M %Z}"
    codes = entry.after["findings"]
    if not codes:
        return Finding("ok", subject, _("tried %(time)s, nothing doubtful") % words)
    text = _("tried %(time)s, to be looked into: %(codes)s") % {**words, "codes": ", ".join(codes)}
    hint = _("Each code has a next step on the page of problem codes; then try the contest again.")
    cut = any(code.startswith("TRY_PROMPTS_CUT") for code in codes)
    return Finding("error" if cut else "warning", subject, text, hint)


def _phase(contest: Contest) -> Finding:
    """What the contest's clock says, and whether the entry switch agrees with it."""
    subject, now = f"contest {contest.slug}", timezone.now()
    phases = contest.rules.phases
    running = contest.rules.phase_at(now)
    if running and not contest.is_open:
        text = _("%(phase)s is running, but submissions are switched off") % {"phase": running.id}
        hint = _("Turn on “accepts submissions” in the admin if teams should be able to submit.")
        return Finding("warning", subject, text, hint)
    if running:
        words = {"phase": running.id, "time": f"{running.end:%Y-%m-%d %H:%M %Z}"}
        return Finding("ok", subject, _("%(phase)s is running until %(time)s") % words)
    ahead = min(
        (phase for phase in phases if phase.start > now), key=lambda p: p.start, default=None
    )
    if ahead:
        words = {"phase": ahead.id, "time": f"{ahead.start:%Y-%m-%d %H:%M %Z}"}
        return Finding("ok", subject, _("%(phase)s begins %(time)s") % words)
    if contest.finalised_at is None:
        hint = _("Finalize it, or add a phase to its file and load it again.")
        return Finding("warning", subject, _("all phases are over, but it is not finalized"), hint)
    return Finding("ok", subject, _("finalized"))


def workers() -> Iterator[Finding]:
    views = status.overview()
    if not views:
        hint = _("Run manage.py addworker NAME.")
        yield Finding("error", "workers", _("none registered"), hint)
    for view in views:
        yield _worker(view)


def _worker(view: status.View) -> Finding:
    worker, subject = view.worker, f"worker {view.worker.name}"
    if worker.last_seen is None:
        hint = _("Start it with the token that addworker printed.")
        return Finding("warning", subject, _("never connected"), hint)
    silence = timezone.now() - worker.last_seen
    text = _("%(device)s, sandbox %(level)s, last seen %(s).0f s ago") % {
        "device": worker.device_name or worker.device,
        "level": worker.sandbox,
        "s": silence.total_seconds(),
    }
    if view.state == status.State.LOST:
        hint = _("Check that machine; its job returns to the queue automatically.")
        return Finding("warning", subject, text, hint)
    if worker.drained is not None:
        hint = _("Fix the problem, run manage.py aa, then manage.py workers resume.")
        text = _("drained: %(reason)s") % {"reason": worker.drain_reason}
        return Finding("warning", subject, text, hint)
    if view.reasons:
        reasons = "; ".join(f"{slug}: {', '.join(why)}" for slug, why in view.reasons.items())
        hint = _(
            "Copy the contest file to the worker, or check the worker against [hardware] of the contest."
        )
        text = _("gets no jobs from %(reasons)s") % {"reasons": reasons}
        return Finding("warning", subject, text, hint)
    if worker.sandbox != "namespace":
        hint = _(
            "Install bubblewrap on that machine so that engines run without network or file access."
        )
        return Finding("warning", subject, text, hint)
    return Finding("ok", subject, text)


def queue() -> Iterator[Finding]:
    old = timezone.now() - QUEUE_OLD
    waiting = Evaluation.objects.filter(status=Evaluation.Status.QUEUED, created__lt=old).count()
    if waiting:
        text = _("%(n)d waiting for more than an hour") % {"n": waiting}
        hint = _(
            "Check that the workers' contest files match the site's (loadcontest) and when they were last seen."
        )
        yield Finding("warning", "queue", text, hint)
    else:
        yield Finding("ok", "queue", _("nothing has waited for more than an hour"))


def mail() -> Iterator[Finding]:
    hint = _(
        "Set the EMAIL_* variables; until then, users cannot reset their passwords themselves."
    )
    if not settings.EMAIL_HOST:
        yield Finding("warning", "mail", _("there is no mail server: mail goes to the log"), hint)
        return
    try:
        get_connection().open()
    except OSError as error:
        yield Finding("warning", "mail", _("cannot send: %(error)s") % {"error": error}, hint)
    else:
        yield Finding("ok", "mail", settings.EMAIL_BACKEND.rpartition(".")[2])


def unsafe_settings() -> Iterator[Finding]:
    found = checks.run_checks(include_deployment_checks=settings.SECURE)
    for message in found:
        level: Level = "error" if message.level >= checks.ERROR else "warning"
        yield Finding(level, f"settings {message.id}", str(message.msg), message.hint or "")
    if settings.DEBUG:
        hint = _("Turn off DEBUG: it shows source code to visitors.")
        yield Finding("error", "settings", _("DEBUG is on"), hint)
    if not found and not settings.DEBUG:
        text = _("no problems found") if settings.SECURE else _("suitable for this machine only")
        yield Finding("ok", "settings", text)


def _unreachable(error: Exception) -> str:
    return _("unreachable: %(error)s") % {"error": error}


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    database, migrations, broker, beat, storage, contests, workers, queue, mail, unsafe_settings,
)  # fmt: skip
