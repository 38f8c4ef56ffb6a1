"""Base class shared by models."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Created(models.Model):
    """Rows timestamped by the database's clock, the only one that counts."""

    created = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        abstract = True
