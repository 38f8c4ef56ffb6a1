"""The worker's Celery tasks."""

from __future__ import annotations

from grader.worker.celery import app
from grader.worker.run import run_pending
from grader.worker.settings import Settings


@app.task(name="grader.ring", acks_late=False, ignore_result=True)
def ring() -> None:
    """Look for work. It is safe to call this at any time and any number of times."""
    run_pending(Settings.from_env())
