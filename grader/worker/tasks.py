"""The worker's Celery task."""

from __future__ import annotations

from grader.worker import doorbell
from grader.worker.celery import app
from grader.worker.settings import Settings


@app.task(name="grader.ring", acks_late=False, ignore_result=True)
def ring() -> None:
    """Wake the process that asks for work. It is safe to call this at any time and any number of times."""
    doorbell.ring(Settings.from_env().scratch)
