"""Drafts a contest's folder from a base model: complete, commented, and ready to load."""

from leaderboard.contests.drafting.draft import Draft, Wishes, draft
from leaderboard.contests.drafting.notices import Notice

__all__ = ["Draft", "Notice", "Wishes", "draft"]
