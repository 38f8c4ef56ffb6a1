"""A small contest whose rules are about to change."""

from __future__ import annotations

from pathlib import Path

from grader import contest as rules
from leaderboard.board import ranking as board_ranking
from leaderboard.contests import loading
from leaderboard.models import Batch, Contest, Evaluation
from tests import factories

WEIGHTS = "accuracy = 0.6\nmemory = 0.2\nspeed = 0.2"
SALT = "5c1f0a9be7d24c3388f61d7a90b2e645"
SALTED = ("[title]", f'split_salt = "{SALT}"\n\n[title]')
CHANGED_WEIGHTS = (WEIGHTS, "accuracy = 0.2\nmemory = 0.2\nspeed = 0.6")


def file_of(folder: Path, *changes: tuple[str, str]) -> Path:
    """The demo contest's file with parts replaced; relative paths still lead to its folder."""
    original = rules.find("demo")
    text = original.read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    for name in ("base_model", "tasks", "data"):
        if not (folder / name).exists():
            (folder / name).symlink_to(original.parent / name)
    path = folder / "contest.toml"
    path.write_text(text, "utf-8")
    return path


def build(folder: Path) -> Contest:
    """Loaded as an operator does; four teams, from fast and inaccurate to slow and accurate."""
    contest, _ = loading.load(str(file_of(folder)))
    Contest.objects.update(exact_figures=True)
    contest.refresh_from_db()
    base = {"kind": "base", "title": "base", "scheme": "bf16", "accuracy": 0.42, "speedup": 1.0}
    factories.scored(contest=contest, seed=3, **base)
    for name, accuracy, speedup in (
        ("accurate", 0.42, 1.1),
        ("middling", 0.38, 1.5),
        ("fast", 0.30, 2.6),
        ("slow", 0.36, 1.0),
    ):
        facts = {"contest": contest, "team": factories.team(contest=contest, name=name)}
        factories.scored(**facts, accuracy=accuracy, speedup=speedup, seed=len(name))
        factories.scored(**facts, accuracy=accuracy - 0.1, speedup=speedup, seed=9)
    return contest


def picture(contest: Contest) -> tuple[object, ...]:
    """Everything the board shows and depends on, exactly."""
    contest = Contest.objects.select_related("version").get(pk=contest.pk)
    counting = Evaluation.objects.filter(submission__contest=contest, is_current=True)
    return (
        str(contest.version),
        str(contest.version.rules.formula),
        board_ranking.board(contest).entries,
        board_ranking.board(contest, "private", with_hidden=True, only_final=True).entries,
        list(counting.order_by("pk").values_list("pk", "status", "score", "version")),
    )


def ranking(contest: Contest) -> list[str]:
    contest = Contest.objects.select_related("version").get(pk=contest.pk)
    return [e.entrant for e in board_ranking.board(contest).entries if e.is_ranked]


def measure(contest: Contest, batch: Batch, **facts: object) -> None:
    """Workers do everything that the batch has queued."""
    from leaderboard import lifecycle

    for evaluation in Evaluation.objects.filter(batch=batch, status="queued").order_by("pk"):
        worker = evaluation.only_worker or factories.worker()
        job = lifecycle.claim(worker, {contest.slug: batch.version.sha256})
        checkpoint = factories.facts(seed=job.submission)
        report = factories.report(
            contest=contest, worker_name=worker.name,
            **{"seed": job.evaluation, "checkpoint": checkpoint, **facts},
        )  # fmt: skip
        lifecycle.record(job.evaluation, job.attempt, report)
