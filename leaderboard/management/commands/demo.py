"""manage.py demo [--contest NAME] [--once]"""

from __future__ import annotations

import json
import signal
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from rich.console import Console
from rich.table import Table

from grader.contest import ContestError
from leaderboard.board import ranking
from leaderboard.board.documents import board_json
from leaderboard.local import demo, stack
from leaderboard.local.processes import Died, Processes
from leaderboard.local.progress import Say
from leaderboard.operations.references import PublishError


class Command(BaseCommand):
    help = "Run a whole contest on this machine and show its board."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--contest", default="demo",
            help="a contest that a CPU can grade: demo, smollm2, or the path of a contest file",
        )  # fmt: skip
        parser.add_argument("--once", action="store_true", help="print the board and exit")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        # Both signals exit the same way; a shell starts background jobs with SIGINT ignored.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        say = Say()
        try:
            with Processes(settings.HOME / "log") as processes:
                complete = self._run(processes, say, options)
        except KeyboardInterrupt:
            say.done()
            say("stopped")
            raise SystemExit(130) from None
        except (ContestError, demo.DemoError, PublishError, Died, TimeoutError) as error:
            raise CommandError(str(error)) from error
        if options["once"] and not complete:
            raise CommandError("some entries are not ranked; see above")

    def _run(self, processes: Processes, say: Say, options: dict[str, Any]) -> bool:
        say("migrating the database")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
        contest, tokens = demo.prepare(options["contest"], say)
        base = demo.base_model(contest.rules, say)
        url = stack.start_site(processes, stack.free_port(options["port"]))
        stack.start_gpu_worker(processes, url, roots=demo.roots(options["contest"]))
        say(f"site at {url}, logs in {processes.logs}")
        try:
            complete = demo.run(processes, contest, base, tokens, url, say)
        finally:
            say.done()
        board = ranking.board(contest)
        console = Console()
        # A log file has no width, and the numbers need this much.
        console.width = max(console.width, 132)
        console.print(table(board))
        if options["once"]:
            body = json.dumps(board_json(board), cls=DjangoJSONEncoder, ensure_ascii=False)
            self.stdout.write(body)
            return complete
        say(
            f"open {url}{contest.get_absolute_url()}  ({demo.ORGANISER} / {demo.PASSWORD}; Ctrl-C stops)"
        )
        while True:
            processes.check()
            time.sleep(1)


def table(board: ranking.Board) -> Table:
    """The board for a terminal."""
    made = Table(title=f"{board.contest.rules.title.en} · {board.formula}")
    for heading in (
        "#",
        "entry",
        "kind",
        "score",
        "accuracy",
        "bytes",
        "memory",
        "speed-up",
        "speed",
    ):
        made.add_column(heading, justify="left" if heading in ("entry", "kind") else "right")
    for entry in board.entries:
        terms = entry.terms
        made.add_row(
            f"{entry.rank}{'=' if entry.tied else ''}",
            entry.entrant,
            entry.kind,
            f"{entry.score.value:.4f} ± {entry.score.half_width:.4f}",
            f"{entry.score.accuracy:.3f} → {terms['accuracy']['value']:.3f}",
            f"{entry.score.safetensors_bytes:,}",
            f"{terms['memory']['value']:.3f}",
            f"×{entry.score.speedup:.2f}",
            f"{terms['speed']['value']:.3f}",
        )
    return made


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
