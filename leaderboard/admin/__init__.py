"""The Django admin: view everything, change what is safe to change."""

from __future__ import annotations

from django.contrib import admin

from leaderboard.admin import audit, contests, evaluations, evidence, people, rulings, workers

admin.site.site_header = "paretoboard"
admin.site.site_title = "paretoboard"

__all__ = ["audit", "contests", "evaluations", "evidence", "people", "rulings", "workers"]
