"""manage.py trycontest CONTEST [--reference CHECKPOINT] [--quick] [--teams N] [--gpus N] [--from FILE]"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser, no_translations

from grader import contest as rules
from leaderboard.management.base import DatabaseCommand
from leaderboard.operations import trials
from leaderboard.operations.references import PublishError


class Command(DatabaseCommand):
    help = (
        "Try a contest before its event: grade base model and a reference here, look at every prompt, and say "
        "what the contest costs and which score difference it can tell apart."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "contest", help="path to a TOML file or its folder, or demo, aimers8, …"
        )
        parser.add_argument(
            "--reference", default="", help="a checkpoint (default: the contest's first reference)"
        )
        parser.add_argument(
            "--quick", action="store_true", help="40 questions, 4 rounds; not recorded"
        )
        parser.add_argument("--teams", type=int, default=30, help="to plan GPU hours for")
        parser.add_argument("--gpus", type=int, default=1, help="that will grade")
        parser.add_argument(
            "--from", dest="file", default="", help="record what a GPU box wrote with --report"
        )
        parser.add_argument("--lang", default="", help="of the table: en or ko")
        parser.add_argument("--json", action="store_true", help="print the assessment as JSON")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        before = signal.signal(signal.SIGTERM, _end)  # as when a container is stopped
        try:
            path = trials.find(options["contest"])
            loaded = rules.load(path)
            file = Path(options["file"]) if options["file"] else trials.place(loaded)
            self._try(path, loaded, file, options)
        except (rules.ContestError, PublishError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted; nothing was recorded", returncode=130) from None
        finally:
            signal.signal(signal.SIGTERM, before)

    def _try(self, path: Path, loaded: rules.Contest, file: Path, options: dict[str, Any]) -> None:
        shown = ["--teams", str(options["teams"]), "--gpus", str(options["gpus"])]
        if options["lang"]:
            shown += ["--lang", options["lang"]]
        if not options["file"]:
            measured = [str(path), "--report", str(file), *self._checkpoint(loaded, options)]
            code, printed = trials.run(*measured, *shown, as_json=options["json"])
            self._stop_at(code, printed)
        # Read again, and as JSON, whatever was shown: what is recorded is what the file holds.
        again = [str(path), "--from", str(file), *shown]
        if options["file"] and not options["json"]:
            self._stop_at(*trials.run(*again, as_json=False))
        code, printed = trials.run(*again, as_json=True)
        self._stop_at(code, printed)
        document = json.loads(printed)
        entry = None
        if not document["quick"]:
            entry = trials.record(loaded, trials.read(file), document, "manage.py trycontest")
        if options["json"]:
            document |= {"recorded": entry and entry.pk, "report": str(file)}
            self.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True))
        elif entry:
            self.stdout.write(f"recorded for rules {loaded.grading_sha256[:12]}; kept in {file}")
        else:
            self.stdout.write("a quick trial is not recorded")

    def _checkpoint(self, loaded: rules.Contest, options: dict[str, Any]) -> list[str]:
        quick = ["--quick"] if options["quick"] else []
        if options["reference"]:
            return [*quick, "--reference", options["reference"]]
        found = trials.reference(loaded, self.stderr.write)
        return [*quick, "--reference", str(found[0]), "--name", found[1]] if found else quick

    def _stop_at(self, code: int, printed: str) -> None:
        """The child has said why; with ``--json`` on its stdout, which is ours to pass on."""
        if code:
            if printed:
                self.stdout.write(printed)
            raise CommandError("the contest was not tried", returncode=code)


def _end(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)
