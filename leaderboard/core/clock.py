"""The database's clock, the only one that counts."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now


def soon(seconds: float) -> models.Expression:
    """The database's clock plus some seconds; leases and retries use no other clock."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )
