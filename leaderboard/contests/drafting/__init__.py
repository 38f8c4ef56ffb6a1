"""A contest's folder drafted from a base model: complete, commented, and loaded without a change."""

from leaderboard.contests.drafting.draft import Draft, Wishes, draft
from leaderboard.contests.drafting.notices import Notice

__all__ = ["Draft", "Notice", "Wishes", "draft"]
