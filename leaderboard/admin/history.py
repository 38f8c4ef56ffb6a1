"""Read-only admin classes for history."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class ReadOnly:
    """Append-only rows can be viewed, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
