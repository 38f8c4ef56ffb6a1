"""The GPU worker: claim, fetch, check, start two engines, measure, report.

:func:`grader.worker.grade.grade` grades one checkpoint and knows neither the site nor Celery, so the
participant's CLI calls the same function. :func:`grader.worker.run.run_pending` is the worker around it.
"""
