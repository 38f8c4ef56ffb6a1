"""manage.py batch rescore|regrade|finals|list|show|update|retry|apply|cancel|undo"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import override

from leaderboard import batches
from leaderboard.batches import Filter
from leaderboard.core.errors import Refused
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Batch, Contest
from leaderboard.templatetags.numbers import about

BY = "manage.py batch"
MAKING = {
    "rescore": "rescore",
    "regrade": "regrade",
    "finals": "regrade of the top teams' final entries, head to head on the workers given with --on",
}
TOP = 10  # teams


class Command(DatabaseCommand):
    help = "Rescore (apply the formula again) or regrade (measure again) entries as a batch."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb in MAKING:
            made = verbs.add_parser(verb, help=f"prepare and run a {MAKING[verb]}")
            made.add_argument("contest")
            made.add_argument("--reason", required=True)
            made.add_argument(
                "--dry-run", action="store_true", help="only print how many and how long"
            )
            made.add_argument(
                "--apply", action="store_true", help="wait until it is ready, then apply it"
            )
            made.add_argument(
                "--noise", type=float, default=0.002, help="score changes up to this count as none"
            )
            _filter_arguments(made)
            if verb != Batch.Kind.RESCORE:
                made.add_argument("--repeats", type=int, default=3 if verb == "finals" else 1)
                made.add_argument(
                    "--on", nargs="*", default=[], metavar="WORKER", help="measure on each of these"
                )
                made.add_argument("--wait", action="store_true", help="wait until all is measured")
            made.add_argument("--json", action="store_true")
        for verb, text in (
            ("list", "list a contest's batches"),
            ("show", "show what applying would change"),
            ("update", "add entries that were scored since"),
            ("retry", "measure or compute entries without an outcome again"),
            ("apply", "make the new scores current"),
            ("cancel", "end the batch; the board does not change"),
            ("undo", "restore what applying changed"),
        ):
            other = verbs.add_parser(verb, help=text)
            other.add_argument(
                "contest" if verb == "list" else "batch", type=str if verb == "list" else int
            )
            other.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        verb = options["verb"]
        with override("en"):
            try:
                if verb == "finals":
                    options["top"] = options["top"] or TOP
                    document = self._make(Batch.Kind.REGRADE, options)
                elif verb in MAKING:
                    document = self._make(verb, options)
                elif verb == "list":
                    found = _contest(options["contest"]).batches.all()
                    document = {"batches": [_about(batch) for batch in found]}
                else:
                    document = self._decide(verb, options["batch"])
            except Refused as error:
                raise CommandError(str(error)) from error
            if options["json"]:
                self.stdout.write(json.dumps(document, ensure_ascii=False, cls=DjangoJSONEncoder))
            else:
                self._print(document)

    def _make(self, kind: str, options: dict[str, Any]) -> dict[str, Any]:
        contest = _contest(options["contest"])
        wanted = _filter(options)
        repeats, workers = options.get("repeats", 1), options.get("on") or []
        estimate = batches.estimate(contest, kind, wanted, repeats=repeats, workers=workers)
        if options["dry_run"]:
            return {"estimate": asdict(estimate)}
        batch = batches.prepare(
            contest, kind, wanted, reason=options["reason"], by=BY, repeats=repeats, workers=workers,
            noise=options["noise"],
        )  # fmt: skip
        batches.start(batch, by=BY)
        while not batches.advance(batch) and (options["apply"] or options.get("wait")):
            time.sleep(2)
        if options["apply"]:
            batches.apply(batch, by=BY)
        return {"estimate": asdict(estimate), **_about(batch), **_review(batch)}

    def _decide(self, verb: str, pk: int) -> dict[str, Any]:
        batch = (
            Batch.objects.select_related("contest", "version", "old_version").filter(pk=pk).first()
        )
        if batch is None:
            raise CommandError(f"no batch #{pk}; see manage.py batch list CONTEST")
        if verb == "show":
            batches.advance(batch)
        else:
            getattr(batches, verb)(batch, by=BY)
            if verb in ("update", "retry"):
                batches.advance(batch)
        return {**_about(batch), **_review(batch)}

    def _print(self, document: dict[str, Any]) -> None:
        if "batches" in document:
            for one in document["batches"]:
                self.stdout.write(
                    "#{batch} {kind} {state}: {reason} ({entries} entries, {by})".format(**one)
                )
            return
        if estimate := document.get("estimate"):
            self.stdout.write(f"{estimate['entries']} entries, about {about(estimate['seconds'])}")
        if "batch" not in document:
            return
        self.stdout.write("#{batch} {kind}: {state}; {done} of {entries} done".format(**document))
        for old, new, count in document["verdicts"]:
            self.stdout.write(f"  {old} → {new}: {count}")
        self.stdout.write(
            "  {changed} scores change by more than {noise}, {quiet} do not".format(**document)
        )
        if duel := document["head_to_head"]:
            said = "agree" if duel["agrees"] else "do NOT agree"
            self.stdout.write(f"  the workers {said} on the order of the entries")
        for move in document["moves"]:
            self.stdout.write("  {team}: rank {old_rank} → {new_rank}".format(**move))


def _filter_arguments(parser: CommandParser) -> None:
    parser.add_argument("--phase", default="")
    parser.add_argument("--team", type=int)
    parser.add_argument("--status", default="")
    parser.add_argument("--score-min", type=float)
    parser.add_argument("--score-max", type=float)
    parser.add_argument("--worker", default="", help="measured by this worker")
    parser.add_argument("--since", type=_moment, help="entered at or after, ISO 8601 with offset")
    parser.add_argument("--until", type=_moment, help="entered before")
    parser.add_argument("--problem", default="", help="with this problem code")
    parser.add_argument("--of-version", default="", help="first characters of its sha256")
    parser.add_argument("--submissions", type=int, nargs="*", default=[])
    parser.add_argument("--best", action="store_true", help="only entries on the board")
    parser.add_argument("--final", action="store_true", help="only entries in the final")
    parser.add_argument(
        "--top", type=int, default=0, help="only final entries of this many top teams"
    )


def _filter(options: dict[str, Any]) -> Filter:
    names = {field.name for field in fields(Filter)} - {"version", "submissions"}
    return Filter(
        **{name: options[name] for name in names},
        version=options["of_version"],
        submissions=tuple(options["submissions"]),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time needs an offset such as +09:00")
    return moment


def _contest(slug: str) -> Contest:
    contest = Contest.objects.select_related("version", "pending").filter(slug=slug).first()
    if contest is None or contest.version is None:
        raise CommandError(f"no contest {slug!r}; load one with manage.py loadcontest")
    return contest


def _about(batch: Batch) -> dict[str, Any]:
    return {
        "batch": batch.pk,
        "contest": batch.contest_id,
        "kind": batch.kind,
        "state": batch.status,
        "reason": batch.reason,
        "by": batch.by,
        "entries": batch.items.count(),
        "noise": batch.noise,
        "version": batch.version.sha256,
        "old_version": batch.old_version.sha256,
        "code_version": batch.code_version,
        "created": batch.created,
        "applied": batch.applied,
    }


def _review(batch: Batch) -> dict[str, Any]:
    found = batches.review(batch)
    return {
        "done": found.done,
        "verdicts": found.matrix,
        "changed": found.changed,
        "quiet": found.quiet,
        "changes": [{**asdict(change), "delta": change.delta} for change in found.changes],
        "moves": [
            {"team": m.entrant, "old_rank": m.old_rank, "new_rank": m.new_rank, "old_score": m.old_score,
             "new_score": m.new_score, "medal": m.is_medal}
            for m in found.moves
        ],
        "workers": [asdict(spread) for spread in found.workers],
        "head_to_head": {**asdict(found.duel), "agrees": found.duel.agrees} if found.duel else None,
        "problems": found.problems,
    }  # fmt: skip
