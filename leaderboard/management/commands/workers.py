"""manage.py workers [list|drain|resume|retire] [NAME] [--why TEXT] [--json]"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser, no_translations
from django.core.serializers.json import DjangoJSONEncoder

from leaderboard import workers
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Worker

BY = "manage.py"


class Command(DatabaseCommand):
    help = "List the workers, or drain, resume or retire one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "verb", nargs="?", default="list", choices=("list", "drain", "resume", "retire")
        )
        parser.add_argument("name", nargs="?", default="")
        parser.add_argument("--why", default="", help="reason, kept in the audit log")
        parser.add_argument("--json", action="store_true", help="print the workers as JSON")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] != "list":
            self._act(options["verb"], options["name"], options["why"])
        views = [v for v in workers.overview() if options["name"] in ("", v.worker.name)]
        if options["json"]:
            rows = [document(view) for view in views]
            self.stdout.write(json.dumps(rows, cls=DjangoJSONEncoder, ensure_ascii=False))
            return
        for view in views:
            self.stdout.write(line(view))

    def _act(self, verb: str, name: str, why: str) -> None:
        worker = Worker.objects.registered().filter(name=name).first()
        if worker is None:
            known = ", ".join(v.worker.name for v in workers.overview(charted=0)) or "none"
            raise CommandError(f"no worker named {name!r}; registered: {known}")
        changed = {
            "drain": lambda: workers.drain(worker, why or "by hand", by=BY),
            "resume": lambda: workers.resume(worker, by=BY, reason=why),
            "retire": lambda: workers.retire(worker, by=BY, reason=why),
        }[verb]()
        if not changed:
            state = "already drained" if verb == "drain" else "not drained"
            raise CommandError(f"{name} is {state}; nothing changed")
        self.stderr.write(f"{name}: {verb} done")


def line(view: workers.View) -> str:
    """One worker as a line for a terminal."""
    worker, test = view.worker, view.latest_test
    parts = [
        f"{worker.name}: {view.state}",
        worker.device_name or worker.device or "device unknown",
    ]
    parts.append(f"sandbox {worker.sandbox or 'unknown'}")
    parts.append(f"busy {view.busy_share:.0%} of the day")
    if view.evaluation:
        parts.append(f"grading submission {view.evaluation.submission_id}, {view.evaluation.stage}")
    if test:
        parts.append(f"A/A {test.status}")
    if worker.drain_reason:
        parts.append(f"drained: {worker.drain_reason}")
    parts += [f"no jobs from {slug}: {'; '.join(why)}" for slug, why in view.reasons.items()]
    return " · ".join(parts)


def document(view: workers.View) -> dict[str, Any]:
    """One worker as JSON."""
    worker, test = view.worker, view.latest_test
    return {
        "name": worker.name,
        "state": view.state.value,
        "device": worker.device,
        "device_name": worker.device_name,
        "memory_bytes": worker.memory_bytes,
        "compute_capability": worker.compute_capability,
        "gpu_count": worker.gpu_count,
        "sandbox": worker.sandbox,
        "versions": worker.versions,
        "last_seen": worker.last_seen,
        "drained": worker.drained,
        "drain_reason": worker.drain_reason,
        "busy_share": round(view.busy_share, 4),
        "submission": view.evaluation.submission_id if view.evaluation else None,
        "progress": view.progress,
        "aa": {"state": test.status, "finished": test.finished, "outcomes": test.outcomes}
        if test
        else None,
        "no_work": view.reasons,
    }
