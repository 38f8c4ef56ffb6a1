"""The database's clock, the only one that decides."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now


def soon(seconds: float) -> models.Expression:
    """The database's clock plus some seconds: no other clock decides about leases and retries."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )
