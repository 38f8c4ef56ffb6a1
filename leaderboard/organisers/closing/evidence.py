"""The contents of an evidence archive: everything the result depends on, and no secrets.

Only for a finalized contest, and only what can no longer change, so that every export is identical. Sample
answers and replicates are included as digests, email addresses and tokens not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import translation

from leaderboard import lifecycle
from leaderboard.board import export, ranking
from leaderboard.board.documents import board_json
from leaderboard.core.errors import Refused
from leaderboard.models import (
    Attempt,
    AuditEntry,
    Batch,
    BatchItem,
    Contest,
    Evaluation,
    FinalChoice,
    Result,
    Ruling,
    Score,
    Submission,
    Team,
    TeamEvent,
    Transition,
)
from leaderboard.models.sentences import say
from leaderboard.organisers.closing import lines
from leaderboard.organisers.closing.archive import Member
from leaderboard.organisers.closing.lines import sha256

README = """Evidence of the contest {slug}, finalised at {finalised_at}.

    contest/         the versions of the rules by digest, and which one is in force
    board/           public.json and public.csv by the public questions; final.json by the private ones,
                     over the entries of the final
    submissions      every entry of a team or of the organisers, with the digest of its archive
    evaluations      each grading of each entry; attempts and transitions are its history
    scores           every score ever computed, with the rules it was computed under
    reports/         what was measured, evaluation by evaluation, with the system it was measured on
    batches          rescoring and regrading; batch_items: entry by entry, before and after
    rulings, final_choices, teams, team_events, audit

Tables are JSON, one row a line. Check the files with

    sha256sum --check {manifest}

and the archive against the site's audit log with `manage.py evidence verify FILE`.
"""
MANIFEST = "MANIFEST.sha256"
CHUNK = 100  # rows in memory: an evaluation's facts list a thousand tensors


def members(contest: Contest) -> Iterator[Member]:
    """Every file of the archive, in a fixed order.

    Raises:
        Refused: the contest is not finalized.
    """
    if contest.finalised_at is None:
        raise Refused("CLOSING_NOT_FINAL")
    facts = {
        "slug": contest.slug,
        "finalised_at": contest.finalised_at.isoformat(),
        "version": contest.rules.sha256,
    }
    yield "README.txt", [README.format(**facts, manifest=MANIFEST).encode()]
    yield "contest/contest.json", [lines.line(facts)]
    for version in contest.versions.order_by("pk"):
        yield f"contest/versions/{version.sha256}.toml", [version.source.encode()]
    yield from _boards(contest)
    for name, rows in _tables(contest):
        yield f"{name}.jsonl", map(lines.line, rows)
    yield from _reports(contest)


def _boards(contest: Contest) -> Iterator[Member]:
    with translation.override("en"):
        public = ranking.board(contest, with_hidden=True)
        final = ranking.board(contest, "private", with_hidden=True, only_final=True)
        yield "board/public.json", [lines.line(board_json(public))]
        yield "board/public.csv", [line.encode() for line in export.csv_lines(public, {})]
        yield "board/final.json", [lines.line(board_json(final))]


COLUMNS = {
    "submissions": "created kind team title note archive_name archive_sha256 archive_bytes hub",
    "evaluations": "created submission status stage batch score attempt faults problems facts "
    "started finished",
    "attempts": "evaluation number started ended outcome problems log stages",
    "transitions": "created evaluation old new code parameters by",
    "scores": "created evaluation formula value half_width terms safetensors_bytes speedup accuracy "
    "replicates private private_replicates reason by",
    "batches": "created kind reason filter code_version repeats workers noise by decided_by "
    "started ready applied ended",
    "batch_items": "batch submission old old_score new new_score note",
    "rulings": "created kind team submission reason evidence by lifted lifted_by lifted_reason",
    "teams": "created name merged_into",
    "team_events": "created team kind by detail",
    "final_choices": "created team submission by",
    "audit": "created by_name action target target_id before after reason",
}
RULES, WORKER = {"rules": F("version__sha256")}, {"on": F("worker__name")}
# Foreign keys written under another name, with a value that means something outside the database.
NAMES: dict[str, dict[str, F]] = {
    "submissions": {"by": F("user__username")},
    "evaluations": {**RULES, **WORKER, "counts": F("is_current")},
    "attempts": WORKER,
    "scores": RULES,
    "batches": {**RULES, "state": F("status"), "old_rules": F("old_version__sha256")},
}


def _tables(contest: Contest) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    entries = Submission.objects.filter(contest=contest).without_selftest()
    graded = Evaluation.objects.filter(submission__in=entries)
    batches = Batch.objects.filter(contest=contest)
    teams = Team.objects.filter(contest=contest)
    rows: dict[str, QuerySet[Any]] = {
        "submissions": entries,
        "evaluations": graded,
        "attempts": Attempt.objects.filter(evaluation__in=graded),
        "transitions": Transition.objects.filter(evaluation__in=graded),
        "scores": Score.objects.filter(evaluation__in=graded),
        "batches": batches,
        "batch_items": BatchItem.objects.filter(batch__in=batches),
        "rulings": Ruling.objects.filter(contest=contest),
        "teams": teams,
        "team_events": TeamEvent.objects.filter(team__in=teams),
        "final_choices": FinalChoice.objects.filter(team__in=teams),
        "audit": _acts(contest),
    }
    for name, columns in COLUMNS.items():
        found = rows[name].order_by("pk").values("id", *columns.split(), **NAMES.get(name, {}))
        table = found.iterator(chunk_size=CHUNK)
        yield name, map(_in_words if name == "transitions" else _digested, table)


def _acts(contest: Contest) -> QuerySet[AuditEntry]:
    """Staff actions on the contest, up to its finalization."""
    about = Q(contest=contest.slug) | Q(target="contest", target_id=contest.slug)
    last = AuditEntry.objects.filter(about, action="contest.finalise").order_by("pk").last()
    return AuditEntry.objects.filter(about, pk__lte=last.pk if last else 0)


def _reports(contest: Contest) -> Iterator[Member]:
    graded = Evaluation.objects.of_contest(contest).without_selftest()
    found = Result.objects.filter(evaluation__in=graded).order_by("pk")
    rows = found.iterator(chunk_size=CHUNK)
    while chunk := list(islice(rows, CHUNK)):
        measured = lifecycle.score_inputs([row.pk for row in chunk if row.is_packed])
        for row in chunk:
            row.report["samples"] = [
                {name: sha256(str(text).encode()) for name, text in sample.items()}
                for sample in row.report.get("samples", ())
            ]
            yield f"reports/{row.pk}.json", lines.of_report(row, measured.get(row.pk))


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    """A transition with its reason in English, whatever the requester's language."""
    with translation.override("en"):
        reason = say(Transition.Code, row.pop("code"), row.pop("parameters"))
    return {**row, "reason": reason}


def _digested(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: sha256(bytes(value)) if name.endswith("replicates") and value is not None else value
        for name, value in row.items()
    }
