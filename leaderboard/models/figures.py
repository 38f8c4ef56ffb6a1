"""Who sees which figures of a score: staff the exact ones, everybody else not before the end of the contest."""

from __future__ import annotations

from grader.scoring import shown
from grader.scoring.parts import has_private
from leaderboard.models.contest import Contest
from leaderboard.models.evaluation import PartScore, Score


def are_exact(contest: Contest) -> bool:
    """Whether everybody sees exact figures: nothing is private (any more), or the organizers say so."""
    is_over = contest.revealed_at is not None or contest.finalised_at is not None
    return is_over or contest.exact_figures or not has_private(contest.rules)


def public_figures(score: Score, contest: Contest, *, exact: bool = False) -> PartScore:
    """The public score as it may be shown.

    Args:
        exact: for staff; otherwise what everybody sees.
    """
    found = score.of("public")
    if exact or are_exact(contest) or score.private is None:
        return found
    terms, value, half_width = shown.terms(found.terms, score.private["terms"], contest.rules)
    accuracy = next(term["measured"] for term in terms if term["name"] == "accuracy")
    return PartScore(value, half_width, terms, found.speedup, accuracy, found.safetensors_bytes)
