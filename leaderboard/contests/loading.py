"""Loading a contest file: what it would change, and bringing it into force.

A board always follows one version. Rules that change no score come into force immediately. Rules that change
scores wait as ``Contest.pending`` until the batch that rescores the whole board under them is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import translation

from grader import contest as rules
from grader.checkpoint.contest_faults import ContestFault, find_contest_faults
from grader.contest import Change, Effect
from leaderboard import lifecycle
from leaderboard.contests import faults, lm_eval_tasks, phases, salts
from leaderboard.core import audit
from leaderboard.models import Contest, ContestVersion, Evaluation


@dataclass(frozen=True, slots=True)
class Plan:
    """The effect of loading a file.

    Attributes:
        is_new: no contest with this id exists yet.
        changes: against the rules in force.
        effect: what the board needs before the file can come into force; nothing while there are no scores.
    """

    loaded: rules.Contest
    is_new: bool
    changes: list[Change]
    effect: Effect

    @property
    def waits(self) -> bool:
        """Whether it comes into force with a batch rather than immediately."""
        return self.effect != Effect.NOTHING


def plan(name_or_path: str, *, any_task: bool = False) -> Plan:
    """Read a contest file (a path or a bundled contest's id) and compare it with the rules in force.

    Args:
        any_task: accept benchmarks that neither the contest's tasks nor the pinned lm-eval know.

    Raises:
        grader.contest.ContestError: the file cannot be used.
        Refused: the contest is final.
    """
    path = Path(name_or_path)
    if not path.is_file():
        path = rules.find(name_or_path, *settings.CONTEST_ROOTS)
    loaded = rules.load(path)
    if not any_task:
        _refuse_unknown_tasks(path, loaded)
    contest = Contest.objects.select_related("version").filter(slug=loaded.id).first()
    refuse(path, loaded, [*find_contest_faults(loaded), *salts.faults(loaded, contest)])
    if contest:
        phases.refuse_final(contest)
    found: list[Change] = []
    effect = Effect.NOTHING
    if contest and contest.version and contest.version.sha256 != loaded.sha256:
        loaded = salts.with_salt(loaded, contest, has_scores=_has_scores(contest))
        found = rules.changes(contest.version.rules, loaded)
        if _has_scores(contest):
            effect = rules.effect_of(found)
    return Plan(loaded, contest is None, found, effect)


def load(name_or_path: str, *, by: str = "manage.py loadcontest") -> tuple[Contest, bool]:
    """Bring a contest file into force, or make it pending if scores differ under it.

    Returns the contest and whether anything changed.

    Raises:
        grader.contest.ContestError: the file cannot be used. Nothing was changed.
        Refused: the contest is final. Nothing was changed.
    """
    return put(plan(name_or_path), by=by)


def put(planned: Plan, *, by: str) -> tuple[Contest, bool]:
    """Carry out a plan. Scores that have appeared since can still make it wait."""
    loaded = planned.loaded
    with transaction.atomic():
        Contest.objects.get_or_create(slug=loaded.id)
        contest = Contest.objects.select_for_update(no_key=True, of=("self",)).get(slug=loaded.id)
        has_scores = _has_scores(contest)  # checked again, under the lock
        loaded = salts.with_salt(loaded, contest, has_scores=has_scores)
        generated = salts.kept_by_the_site(loaded)
        before = {"version": str(contest.version), "pending": str(contest.pending)}
        version, is_new = ContestVersion.objects.get_or_create(
            contest=contest,
            sha256=loaded.sha256,
            defaults={
                "source": loaded.source,
                "folder": str(loaded.folder),
                "split_salt": generated,
            },
        )
        # The folder is the file's location on this machine, not a rule, so it is updated when the file moves.
        ContestVersion.objects.filter(pk=version.pk).update(
            folder=str(loaded.folder), grading_sha256=loaded.grading_sha256
        )
        if not has_scores:
            version.split_salt = generated
            ContestVersion.objects.filter(pk=version.pk).update(split_salt=generated)
        waits = False
        if contest.version and has_scores:
            changed_keys = rules.changes(contest.version.rules, version.rules)
            waits = rules.effect_of(changed_keys) != Effect.NOTHING
        force = {"pending": version} if waits else {"version": version, "pending": None}
        changed = is_new or any(
            getattr(contest, f"{k}_id") != (v and v.pk) for k, v in force.items()
        )
        if contest.version_id != version.pk and not waits:
            lifecycle.board_moves(contest.pk)
        Contest.objects.filter(pk=contest.pk).update(**force)
        contest.refresh_from_db()
        if not waits:
            lifecycle.follow_version(contest, by=by)
        if changed:
            after = {"version": str(contest.version), "pending": str(contest.pending)}
            audit.record(
                by, "contest.load", contest, contest=contest.slug, before=before, after=after
            )
    return Contest.objects.select_related("version", "pending").get(pk=contest.pk), changed


def _refuse_unknown_tasks(path: Path, loaded: rules.Contest) -> None:
    for i, benchmark in enumerate(loaded.benchmarks):
        if not lm_eval_tasks.is_known(benchmark.task, loaded):
            key = f"benchmarks[{i}].task"
            line = rules.line_of(loaded.source, key)
            known = (
                f"neither lm-eval nor the folder {loaded.tasks or 'tasks'!r} has {benchmark.task!r}"
            )
            raise rules.ContestError(f"{path}:{line}: {key}: {known}", line)


def refuse(path: Path, loaded: rules.Contest, found: list[ContestFault]) -> None:
    """Reject what would fail for every entry, with all faults in one message in English.

    Raises:
        grader.contest.ContestError: ``found`` is not empty.
    """
    if not found:
        return
    with translation.override("en"):
        lines = [rules.line_of(loaded.source, fault.where) for fault in found]
        said = [
            f"{path}:{line}: {fault.where}: {fault.code}: {faults.sentence(fault)}. {faults.hint(fault)}"
            for line, fault in zip(lines, found, strict=True)
        ]
    raise rules.ContestError("\n".join(said), lines[0])


def _has_scores(contest: Contest) -> bool:
    current = Evaluation.objects.current().of_contest(contest).without_selftest()
    return current.scored().exists()
