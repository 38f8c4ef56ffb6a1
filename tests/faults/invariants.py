"""What has to be true after any fault, read from the database, the disk and the table of processes.

Nothing here knows which fault it was. ``check`` waits until the queue is empty and then collects everything
that is wrong, each as a sentence.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import psutil

from tests.faults.contest import SLUG
from tests.faults.rig import PATIENCE_S, Rig

FINAL = ("scored", "rejected", "failed", "cancelled")
ENDED = {"scored": "submission.scored", "rejected": "submission.rejected"}


def check(rig: Rig) -> None:
    """Raise ``AssertionError`` with every violation."""
    drain(rig)
    wrong = violations(rig)
    assert not wrong, "\n".join(wrong)


def drain(rig: Rig) -> None:
    """Wait until nothing is queued or running and every message to a team has been delivered."""
    from leaderboard.models import Delivery, Evaluation

    def is_quiet() -> bool:
        if Evaluation.objects.unfinished().exists():
            return False
        waiting = Delivery.objects.filter(status=Delivery.Status.WAITING)
        waiting.update(
            not_before="2000-01-01T00:00:00Z"
        )  # the pause after a try that broke is over
        return not waiting.exists()

    rig.wait_until(is_quiet)


def violations(rig: Rig) -> list[str]:
    parts = (_entries, _attempts, _history, _results, _quotas, _messages, _board, _files)
    found = [sentence for part in parts for sentence in part(rig)]
    return found + _settled(rig, _orphans)


def _settled(rig: Rig, part: Any) -> list[str]:
    """What is still wrong after a while: a process needs a moment to end, and files are removed at the end."""
    deadline = time.monotonic() + PATIENCE_S / 5
    while (found := list(part(rig))) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def _entries(rig: Rig) -> Iterator[str]:
    """Every accepted entry exactly once, with one final outcome that no fault of ours has changed."""
    from leaderboard.models import Submission

    accepted = Counter(entry.submission for entry in rig.accepted)
    stored = set(Submission.objects.values_list("pk", flat=True))
    yield from (f"entry {pk} was accepted {n} times" for pk, n in accepted.items() if n > 1)
    yield from (f"entry {pk} was accepted and is gone" for pk in accepted.keys() - stored)
    for row in Submission.objects.filter(pk__in=accepted).prefetch_related("evaluations"):
        outcomes = [e.status for e in row.evaluations.all() if e.is_current]
        if outcomes != ["scored"]:  # the rig enters nothing that a grader could refuse
            problems = [e.problems for e in row.evaluations.all()]
            yield f"entry {row.pk} ended as {outcomes} {problems}"


def _attempts(rig: Rig) -> Iterator[str]:
    """Numbered without a gap, one after the other, and the last one is the one that counts."""
    from leaderboard.models import Evaluation

    for row in Evaluation.objects.prefetch_related("attempts"):
        found = sorted(row.attempts.all(), key=lambda attempt: attempt.number)
        numbers = [attempt.number for attempt in found]
        if numbers != list(range(1, row.attempt + 1)):
            yield f"evaluation {row.pk}: attempts {numbers}, the last should be {row.attempt}"
        if unended := [a.number for a in found if a.ended is None or not a.outcome]:
            yield f"evaluation {row.pk}: attempts {unended} have not ended"
        for one, two in pairwise(found):
            if one.ended is None or two.started < one.ended:
                yield f"evaluation {row.pk}: attempt {two.number} began before {one.number} ended"
        scored = [a.number for a in found if a.outcome == "scored"]
        if scored != ([row.attempt] if row.status == "scored" else []):
            yield f"evaluation {row.pk} is {row.status}, attempts {scored} of {numbers} were scored"


def _history(rig: Rig) -> Iterator[str]:
    """Each transition begins where the one before ended, and nothing follows a final one but a put-back."""
    from leaderboard.models import Evaluation

    for row in Evaluation.objects.prefetch_related("transitions"):
        steps = list(row.transitions.all())
        chain = [(step.old, step.new) for step in steps]
        if any(two[0] != one[1] for one, two in pairwise(chain)):
            yield f"evaluation {row.pk}: broken history {chain}"
        if chain and chain[-1][1] != row.status:
            yield f"evaluation {row.pk} is {row.status}, its history ends with {chain[-1]}"
        for step in steps:
            if step.old in FINAL and step.code != "put_back":
                yield f"evaluation {row.pk}: {step.old} was not final"


def _results(rig: Rig) -> Iterator[str]:
    from leaderboard.models import Evaluation, Result

    attempts = dict(Result.objects.values_list("evaluation", "attempt"))
    for row in Evaluation.objects.prefetch_related("scores"):
        expected = row.attempt if row.status == "scored" else None
        if attempts.get(row.pk) != expected:
            yield f"evaluation {row.pk}: a result of attempt {attempts.get(row.pk)}, not {expected}"
        scores = [score.pk for score in row.scores.all()]
        if scores != ([row.score_id] if row.status == "scored" else []):
            yield f"evaluation {row.pk}: scores {scores}, current {row.score_id}"


def _quotas(rig: Rig) -> Iterator[str]:
    """Each accepted entry has cost its team one, whatever happened on the way."""
    from leaderboard.models import Team
    from leaderboard.submissions import quota

    accepted = Counter(entry.team for entry in rig.accepted)
    for team in Team.objects.filter(pk__in=accepted):
        found = quota.of(team)
        unknown = team.submissions.exclude(pk__in=[e.submission for e in rig.accepted]).count()
        if found.used != accepted[team.pk] + unknown or found.rejected:
            yield f"team {team.pk}: {accepted[team.pk]} + {unknown} entries used {found}"


def _messages(rig: Rig) -> Iterator[str]:
    """Each team heard of each ending: one message, whose repeats have the same id."""
    from leaderboard.models import Evaluation

    heard: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for evaluation, kind, uid in list(rig.receiver.heard):
        heard[evaluation][kind].add(uid)
    for row in Evaluation.objects.filter(submission__team__webhook__isnull=False):
        expected = {ENDED[row.status]: 1} if row.status in ENDED else {}
        found = {kind: len(uids) for kind, uids in heard[row.pk].items()}
        if found != expected:
            yield f"evaluation {row.pk} is {row.status}; its team heard {found}"


def _board(rig: Rig) -> Iterator[str]:
    """The board that the site serves, against the stored reports scored anew."""
    from grader.protocol.documents import Report
    from grader.schema import decode
    from leaderboard.board import ranking
    from leaderboard.lifecycle.reports import whole_report
    from leaderboard.lifecycle.scoring import score_fields
    from leaderboard.models import Evaluation

    best: dict[str, float] = {}
    scored = Evaluation.objects.scored().select_related("submission__team", "score", "version")
    for row in scored:
        anew = score_fields(decode(Report, whole_report(row.result)), row.version)
        assert row.score is not None
        if not math.isclose(anew["value"], row.score.value, rel_tol=1e-9):
            yield f"evaluation {row.pk} has {row.score.value}, its report gives {anew['value']}"
        name = str(row.submission.team)
        best[name] = max(best.get(name, -math.inf), anew["value"])
    url = f"http://127.0.0.1:{rig.site_port}/api/contests/{SLUG}/board"
    served = httpx.get(url, timeout=60).raise_for_status().json()["entries"]
    # what participants see is rounded and moved, so the exact figures are compared here
    exact = [(entry.entrant, entry.score.value) for entry in ranking.board(rig.contest).entries]
    if [entry["team"] for entry in served] != [name for name, _ in exact]:
        yield f"the board shows {[entry['team'] for entry in served]} instead of {exact}"
    wrong = {name for name, value in exact if not math.isclose(best.get(name, -1), value)}
    if wrong or len(exact) != len(best):
        yield f"the board shows {len(exact)} of {len(best)} teams, and {wrong} with other scores"


def _files(rig: Rig) -> Iterator[str]:
    """Of each entry its archive, of each unfinished upload its part, and nothing else."""
    from leaderboard.models import Submission, Upload

    site = rig.home / "site"
    kept = set(
        Submission.objects.filter(evaluations__status="scored").values_list("archive", flat=True)
    )
    stored = {f"archives/{file.name}" for file in (site / "uploads" / "archives").glob("*")}
    if stored != kept:
        yield f"archives missing: {kept - stored}; left over: {stored - kept}"
    parts = {f"{key}.part" for key in Upload.objects.unfinished().values_list("key", flat=True)}
    incoming = {file.name for file in (site / "incoming").glob("*")}
    if incoming - parts:
        yield f"left over in incoming: {incoming - parts}"
    yield from _settled(rig, _scratch)


def _scratch(rig: Rig) -> Iterator[str]:
    left = [file.name for file in (rig.home / "site" / "scratch").glob("*")]
    if left:
        yield f"left over in the site's scratch: {left}"
    for name in rig.workers:
        grades = [one for one in rig.scratch(name).glob("g-*") if (one / "source").exists()]
        if grades:
            yield f"left over in the scratch of {name}: {grades}"


def _orphans(rig: Rig) -> Iterator[str]:
    """Every process belongs to a main process that was started and is alive."""
    family = {one.pid for member in rig.members.values() for one in member.family()}
    for one in rig.processes():
        if one.pid not in family and one.is_running():
            try:
                yield f"orphan {one.pid}: {' '.join(one.cmdline())[:160] or one.name()}"
            except psutil.NoSuchProcess:
                continue
