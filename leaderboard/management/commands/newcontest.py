"""manage.py newcontest --base ORG/NAME[@REV]|FOLDER [--id ID] [--gpu L4] [--benchmarks …] [--out DIR]"""

from __future__ import annotations

import json
import zoneinfo
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import override

from leaderboard.contests import drafting
from leaderboard.core.errors import Refused

LANGUAGES = ("en", "ko")


class Command(BaseCommand):
    help = (
        "Write a contest over a base model: its file with every key explained, header table, tokenizer, "
        "benchmarks with pinned data sets, speed prompts, and references that the GPU can run."
    )
    requires_system_checks = ()  # needs no database

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--base", required=True, metavar="ORG/NAME[@REV]|FOLDER",
            help="the base model: a repository of the Hub, of which only headers are read, or a folder",
        )  # fmt: skip
        parser.add_argument("--id", default="", help="id of the contest (default: after the model)")
        parser.add_argument(
            "--benchmarks", nargs="+", default=[], metavar="ID",
            help="gsm8k ifeval arc-challenge … (default: what suits GPU and model); "
            "word-problems and choose-solution need no network",
        )  # fmt: skip
        parser.add_argument(
            "--twins", type=Path, metavar="FILE",
            help="questions of gsm8k or word-problems as JSON lines: a fresh twin is made of them",
        )  # fmt: skip
        parser.add_argument(
            "--gpu", default="L4", help="L4, A100-80GB, 4xH100, …, or cpu (default: L4)"
        )
        parser.add_argument(
            "--out", type=Path, metavar="DIR", help="folder to write (default: ./ID)"
        )
        parser.add_argument(
            "--timezone", default=settings.TIME_ZONE, type=_timezone,
            help=f"in which times are shown (default: {settings.TIME_ZONE})",
        )  # fmt: skip
        parser.add_argument(
            "--no-chat-template",
            action="store_true",
            help="for a base model without a chat template",
        )
        parser.add_argument(
            "--headers-only", action="store_true",
            help="leave a folder's weights where they are; graders find them in GRADER_BASE_MODELS",
        )  # fmt: skip
        parser.add_argument(
            "--force", action="store_true", help="replace the contest in that folder"
        )
        parser.add_argument("--json", action="store_true", help="print what was written as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        wishes = drafting.Wishes(
            base=options["base"],
            contest_id=options["id"],
            gpu=options["gpu"],
            benchmarks=tuple(
                name for text in options["benchmarks"] for name in text.split(",") if name
            ),
            folder=options["out"],
            timezone=options["timezone"],
            template=not options["no_chat_template"],
            with_weights=not options["headers_only"],
            force=options["force"],
            twins=options["twins"],
        )
        try:
            written = drafting.draft(wishes)
        except Refused as error:
            if options["json"]:
                self.stdout.write(json.dumps({"error": _in_both(error)}, ensure_ascii=False))
            with override("en"):
                raise CommandError(f"{error.code}: {error.message}. {error.hint}") from error
        if options["json"]:
            self.stdout.write(json.dumps(_document(written), ensure_ascii=False))
        else:
            self._tell(written)

    def _tell(self, written: drafting.Draft) -> None:
        contest = written.contest
        model, references = contest.base_model, ", ".join(r.recipe for r in contest.references)
        at = f" at {model.revision[:12]}" if model.revision else ""
        self.stdout.write(f"{written.folder}")
        self.stdout.write(
            f"  base model  {model.id}{at}, {model.architecture}, {model.safetensors_bytes:,} bytes"
        )
        self.stdout.write(f"  hardware    {contest.hardware.name}")
        self.stdout.write(f"  benchmarks  {', '.join(b.id for b in contest.benchmarks)}")
        self.stdout.write(f"  references  {references or 'none'}")
        with override("en"):
            for notice in written.notices:
                self.stdout.write(
                    self.style.WARNING(f"  {notice.code}: {notice.message}. {notice.hint}")
                )
        self.stdout.write("Next:")
        for command in _next(written):
            self.stdout.write(f"  {command}")


def _next(written: drafting.Draft) -> list[str]:
    commands = ("loadcontest", "prefetch", "trycontest")
    return [f"manage.py {command} {written.file}" for command in commands]


def _document(written: drafting.Draft) -> dict[str, Any]:
    contest = written.contest
    return {
        "contest": contest.id,
        "folder": str(written.folder),
        "file": str(written.file),
        "sha256": contest.sha256,
        "base_model": {
            "id": contest.base_model.id,
            "revision": contest.base_model.revision,
            "architecture": contest.base_model.architecture,
            "safetensors_bytes": contest.base_model.safetensors_bytes,
        },
        "gpu": contest.hardware.name,
        "benchmarks": [benchmark.id for benchmark in contest.benchmarks],
        "references": [reference.recipe for reference in contest.references],
        "notices": [_in_both(notice) for notice in written.notices],
        "next": _next(written),
    }


def _in_both(said: Refused | drafting.Notice) -> dict[str, Any]:
    """Code, sentence and hint, with the texts in both languages."""
    words: dict[str, dict[str, str]] = {"message": {}, "hint": {}}
    for language in LANGUAGES:
        with override(language):
            words["message"][language], words["hint"][language] = said.message, said.hint
    return {"code": said.code, **words}


def _timezone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise CommandError(f"no time zone {name!r}; names are like Asia/Seoul and Europe/Berlin")
    return name
