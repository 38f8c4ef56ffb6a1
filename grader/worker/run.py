"""The worker around :func:`~grader.worker.grade.grade`: claims, grades and reports until no work is left."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader import logs
from grader.contest import CONTESTS, Contest, ContestError, load, parse
from grader.problems.catalogue import Problem
from grader.protocol.documents import AAReport, Progress, Report
from grader.protocol.worker import AAJob, GradeJob, Introduction, Job, NextEntry, require_sendable
from grader.schema import SchemaError
from grader.worker import aa, workspace
from grader.worker.ahead import Ahead
from grader.worker.engine.kept_base import KeptBase
from grader.worker.engine.log import redact
from grader.worker.faults import Cancellation, Cancelled, Failed, Rejected, Stopped, failed
from grader.worker.fetch import fetch
from grader.worker.grade import grade
from grader.worker.heartbeat import Heartbeat
from grader.worker.measure import system
from grader.worker.sandbox import box
from grader.worker.settings import Settings
from grader.worker.site import LeaseLostError, Site, SiteError

_log = logging.getLogger(__name__)


def run_pending(
    settings: Settings,
    site: Site | None = None,
    stop: Callable[[], bool] = lambda: False,
    wait: Callable[[float], object] | None = None,
) -> int:
    """Grade what the site has for this worker. Returns how many attempts were completed.

    Returns immediately if another process on this machine is grading. After a failure of ours it stops, so that
    another worker can try; the next round resumes. Nothing more is claimed once ``stop`` says so.
    With ``wait``, which waits for new work at most that many seconds, the base model's engine stays up for
    a while.
    """
    if site is None and not settings.token:
        _log.error("GRADER_TOKEN is empty: set it to the token that addworker printed")
        return 0
    with (
        workspace.exclusive(settings) as alone,
        site or Site.connect(settings) as site,
        KeptBase(settings) as kept,
        Ahead(
            site,
            settings,
            functools.partial(introduction, settings),
            functools.partial(contest_of, settings=settings),
        ) as ahead,
    ):
        if not alone:
            _log.info("another process is already grading on this machine")
            return 0
        try:
            if lost := workspace.left_behind(settings):
                _give_back(lost, site)
        except SiteError as error:
            _log.warning("%s; trying again in the next round", error)
            return 0
        ended = 0
        while not stop():
            if job := _claim(site, settings):
                ended += 1
                if not run(job, site, settings, Between(kept, ahead)):
                    break
            elif wait and kept.idle_left_s and not site.is_drained:
                wait(kept.idle_left_s)
            else:
                break
        return ended


@dataclass(frozen=True, slots=True)
class Between:
    """What a worker keeps from one grade for the next."""

    kept: KeptBase
    ahead: Ahead


def _claim(site: Site, settings: Settings) -> Job | None:
    try:
        return site.claim(introduction(settings))
    except SiteError as error:
        _log.warning("%s; trying again in the next round", error)
        return None


def _give_back(job: Job, site: Site) -> None:
    """Return the job of a killed process now; otherwise no worker gets it until its lease expires."""
    with logs.bound(**job.log_ids):
        _log.warning(
            "this worker was stopped while it was grading; the attempt goes back to the queue"
        )
        with contextlib.suppress(LeaseLostError):  # the site has already taken it back
            site.fail(job, [Problem("SYS_WORKER_LOST")], "")


def introduction(settings: Settings) -> Introduction:
    """Return what the site needs to choose a job: this worker's identity and the contests it can grade."""
    device = system.capabilities(settings)
    return Introduction(
        worker=settings.name,
        device=settings.device,
        contests={contest.id: contest.sha256 for contest in known_contests(settings)},
        sandbox=box.detect(settings.sandbox),
        versions=system.versions(),
        device_name=device.name,
        memory_bytes=device.memory_bytes,
        compute_capability=device.compute_capability,
        gpu_count=device.gpu_count,
        boot=system.BOOT,
    )


def known_contests(settings: Settings) -> list[Contest]:
    """Return every contest that this worker can read. Broken ones are logged and left out."""
    contests: dict[str, Contest] = {}
    for root in (*settings.contests, CONTESTS):
        for file in sorted([*root.glob("*.toml"), *root.glob("*/contest.toml")]):
            try:
                contest = load(file)
            except ContestError as error:
                _log.error("contest skipped: %s", error)
            else:
                contests.setdefault(contest.id, contest)
    return list(contests.values())


def run(job: Job, site: Site, settings: Settings, between: Between) -> bool:
    """Process one attempt, from its archive to exactly one final message. Returns whether this worker is
    healthy.
    """
    with logs.bound(**job.log_ids), workspace.holding(settings, job):
        return _run(job, site, settings, between)


def _run(job: Job, site: Site, settings: Settings, between: Between) -> bool:
    _log.info("A/A test" if isinstance(job, AAJob) else "grading")
    cancel = Cancellation()
    try:
        with Heartbeat(site, job, cancel) as heartbeat:
            try:
                report = attempt(job, site, settings, heartbeat, cancel, between)
            except Rejected as fault:
                cancel.check()
                site.reject(job, *redacted(fault, settings))
                _log.info("rejected: %s", fault)
            except Failed as fault:
                cancel.check()
                site.fail(job, *redacted(fault, settings))
                _log.error("failed: %s", fault)
                return False
            else:
                cancel.check()
                site.report(job, report)
                _log.info("reported")
    except LeaseLostError:
        _log.warning("the lease was lost; nothing was written")
    except Cancelled as reason:
        _log.warning("stopped: %s", reason)
    except SiteError as error:
        # The lease expires and the site gives the attempt to another worker.
        _log.error("could not deliver the end of the attempt: %s", error)
        return False
    return True


def attempt(
    job: Job,
    site: Site,
    settings: Settings,
    heartbeat: Heartbeat,
    cancel: Cancellation,
    between: Between,
) -> Report | AAReport:
    """Fetch and grade, or test the worker. Faults are raised as Rejected, Failed, Cancelled or
    LeaseLostError."""
    try:
        report = _measure(job, site, settings, heartbeat, cancel, between)
        require_sendable(report)
        return report
    except SchemaError as error:
        raise failed("SYS_RESULT_INVALID", error.where[:200], error.message) from error
    except (Rejected, Failed, Cancelled, LeaseLostError):
        cancel.check()  # killing the engines looks like an engine failure, but the cause is the cancellation
        raise
    except Exception as error:
        cancel.check()
        _log.exception("unforeseen")
        raise Failed([unforeseen(error)], traceback.format_exc()) from error


def _measure(
    job: Job,
    site: Site,
    settings: Settings,
    heartbeat: Heartbeat,
    cancel: Cancellation,
    between: Between,
) -> Report | AAReport:
    contest = contest_of(job, settings)
    if isinstance(job, AAJob):
        return aa.measure(contest, settings, heartbeat.tell, cancel, between.kept)
    ahead = between.ahead

    def tell(progress: Progress) -> None:
        heartbeat.tell(progress)
        ahead.follow(progress.stage)

    with ahead.taken(job) as found:
        try:
            if found is not None:
                return grade(found, contest, settings, tell, cancel, None, between.kept)
            return _fetch_and_grade(job, contest, site, settings, tell, cancel, between.kept)
        finally:
            ahead.halt()


def _fetch_and_grade(
    job: GradeJob,
    contest: Contest,
    site: Site,
    settings: Settings,
    tell: Callable[[Progress], None],
    cancel: Cancellation,
    kept: KeptBase,
) -> Report:
    with workspace.create(settings) as folder:
        source = folder / "source"
        if job.hub is None:
            site.download(job, source, cancel.check)
        else:
            fetch(job.hub, source, contest.limits, settings, tell, cancel)
        return grade(source, contest, settings, tell, cancel, None, kept)


def contest_of(job: Job | NextEntry, settings: Settings) -> Contest:
    """Return the worker's copy of the job's contest, if it matches the site's."""
    contest = next((each for each in known_contests(settings) if each.id == job.contest), None)
    if contest is None:
        raise failed("SYS_CONTEST_MISMATCH", job.contest, "no file of this contest")
    if contest.sha256 != job.contest_sha256:
        detail = f"site {job.contest_sha256[:12]}, worker {contest.sha256[:12]}"
        raise failed("SYS_CONTEST_MISMATCH", job.contest, detail)
    if isinstance(job, GradeJob) and job.split_salt:
        contest = parse(contest.source, contest.folder, job.split_salt)
    return contest


def unforeseen(error: Exception) -> Problem:
    """Report a bug of ours, or a full disk."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem("SYS_DISK_FULL")
    return Problem("SYS_INTERNAL", "", f"{type(error).__name__}: {error}"[:300])


def redacted(fault: Stopped, settings: Settings) -> tuple[list[Problem], str]:
    """Return problems and log without details of this machine: token, folders, host name."""
    hidden = [
        (settings.token, "‹token›"),
        (settings.hub_token, "‹token›"),
        (str(settings.scratch), "‹scratch›"),
        (str(settings.cache), "‹cache›"),
        (sys.prefix, "‹python›"),
        (sys.base_prefix, "‹python›"),
        (str(CONTESTS), "‹contests›"),
        (str(Path.home()), "‹home›"),
        (socket.gethostname(), "‹host›"),
    ]
    hidden += [(str(folder), "‹contests›") for folder in settings.contests]
    if settings.base_models is not None:
        hidden.append((str(settings.base_models), "‹base models›"))
    problems = [
        Problem(p.code, redact(p.where, hidden), redact(p.detail, hidden)) for p in fault.problems
    ]
    return problems, redact(fault.log, hidden)
