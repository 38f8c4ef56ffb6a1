"""manage.py loadcontest NAME|FILE [--dry-run] [--json] [--any-task] [--skip-prompts]"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from grader.contest import ContestError, Effect
from leaderboard.contests import loading
from leaderboard.core.errors import Refused
from leaderboard.management.base import DatabaseCommand
from leaderboard.operations import trials

NEXT = (
    "The board does not change until a {effect} of all entries is applied:\n"
    "  manage.py batch {effect} {slug} --reason …"
)


class Command(DatabaseCommand):
    help = "Check a contest file, show what it changes and its effect, and bring it into force."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("contest", help="path to a TOML file, or a bundled contest")
        parser.add_argument("--dry-run", action="store_true", help="only show what would change")
        parser.add_argument("--json", action="store_true", help="print the plan as JSON")
        parser.add_argument(
            "--any-task",
            action="store_true",
            help="accept benchmarks that lm-eval is not known to have",
        )

        parser.add_argument(
            "--skip-prompts", action="store_true", help="do not build and count the prompts"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = loading.plan(options["contest"], any_task=options["any_task"])
            prompts = None if options["skip_prompts"] else self._prompts(options["contest"], plan)
            changed = False
            if not options["dry_run"]:
                _, changed = loading.put(plan, by="manage.py loadcontest")
        except (ContestError, Refused) as error:
            with override("en"):
                raise CommandError(str(error)) from error
        if options["json"]:
            document = _document(plan, changed) | {
                "prompts": prompts and {"unknown": prompts.unknown, "doubts": prompts.doubts}
            }
            self.stdout.write(json.dumps(document, ensure_ascii=False, default=str))
        else:
            self._tell(plan, changed, dry=options["dry_run"])
            for text in _of_prompts(prompts) if prompts else ():
                self.stdout.write(self.style.WARNING(f"  {text}"))

    def _prompts(self, name_or_path: str, plan: loading.Plan) -> trials.PromptCheck:
        """Built and counted by lm-eval, in a child: seconds, so it says that it does."""
        path = trials.find(name_or_path)
        self.stderr.write(f"{plan.loaded.id}: counting the prompts' tokens …")
        found = trials.check_prompts(path, plan.loaded)
        loading.refuse(path, plan.loaded, found.faults)
        return found

    def _tell(self, plan: loading.Plan, changed: bool, *, dry: bool) -> None:
        rules = plan.loaded
        for change in plan.changes:
            mark = "" if change.effect == Effect.NOTHING else f"  → {change.effect}"
            self.stdout.write(f"  {change.key}: {_short(change.old)} → {_short(change.new)}{mark}")
        if dry:
            state = "not loaded (dry run)"
        elif not changed:
            state = "unchanged"
        elif plan.waits:
            state = "loaded, pending"
        else:
            state = "in force"
        self.stdout.write(f"{rules.id}: {rules.title.en}: {state} ({rules.id}@{rules.sha256[:12]})")
        for repo in rules.unpinned:
            text = f"  not pinned: {repo}; manage.py prefetch {rules.id} --pin prints its commit"
            self.stdout.write(self.style.WARNING(text))
        if plan.waits:
            self.stdout.write(NEXT.format(effect=plan.effect, slug=rules.id))


def _document(plan: loading.Plan, changed: bool) -> dict[str, Any]:
    return {
        "contest": plan.loaded.id,
        "sha256": plan.loaded.sha256,
        "new": plan.is_new,
        "changed": changed,
        "effect": plan.effect,
        "waits": plan.waits,
        "unpinned": list(plan.loaded.unpinned),
        "changes": [asdict(change) for change in plan.changes],
    }


def _of_prompts(found: trials.PromptCheck) -> list[str]:
    said = list(found.doubts)
    for why in dict.fromkeys(found.unknown.values()):
        names = ", ".join(name for name, other in found.unknown.items() if name and other == why)
        said.append(f"prompts {f'of {names} ' if names else ''}not counted here: {why}")
    return said


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
