"""The Django admin: look at everything, change what is safe to change."""

from __future__ import annotations

from django.contrib import admin

from leaderboard.admin import contests, evaluations, people, workers

admin.site.site_header = "paretoboard"
admin.site.site_title = "paretoboard"

__all__ = ["contests", "evaluations", "people", "workers"]
