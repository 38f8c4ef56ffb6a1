"""Celery's view of the worker."""

from __future__ import annotations

from grader.worker.celery import app
from grader.worker.run import run_pending
from grader.worker.settings import Settings


@app.task(name="grader.ring", acks_late=False, ignore_result=True)
def ring() -> None:
    """Look for work. How often and how many times it is called does not matter."""
    run_pending(Settings.from_env())
