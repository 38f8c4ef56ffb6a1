"""What participants see of a score while the contest runs: as much as the questions' interval supports.

Exact figures add up to the split: whoever chooses which questions an entry gets right learns from each exact
accuracy how many of those are public, and a few hundred entries give the whole split away. Rounding alone
does not help, because an entry can be made to lie on the edge between two steps. So the accuracy is also
moved by a random amount in proportion to its interval, which grows with the number of questions that the
entry answers otherwise than the base model. The amount follows from the salt and the answers: equal answers
always get equal figures.

Nothing else may depend on which questions are public. The interval is taken over both parts, and a score is
computed from the accuracy that is shown.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from typing import Any

from grader.contest import Contest
from grader.scoring.stats import Z975

SHIFT = 1.15  # standard deviation, in half-widths: 256 entries then tell 58 % of 512 questions; chance is 50 %
PER_DECADE = 10  # how finely intervals are told apart
BASE_STEP = 0.01

Term = Mapping[str, Any]


def terms(
    public: Sequence[Term], private: Sequence[Term], contest: Contest
) -> tuple[list[dict[str, Any]], float, float]:
    """Return the terms as participants see them, their sum, and its half-width.

    Args:
        public, private: the exact terms over each part, as stored.
    """
    other = {term["name"]: term for term in private}
    found = [
        _accuracy(term, other[term["name"]], contest) if term["name"] == "accuracy" else dict(term)
        for term in public
    ]
    half_width = math.hypot(*(term["weight"] * term["half_width"] for term in found))
    value = max(0.0, math.fsum(term["points"] for term in found))
    return found, rounded(value, half_width), half_width


def rounded(value: float, half_width: float) -> float:
    """Round to the largest step of 1, 2 or 5 times a power of ten that is at most half of the interval."""
    if half_width <= 0:
        return round(value, 4)
    power = math.floor(math.log10(half_width / 2))
    step = max(s * 10.0**power for s in (1, 2, 5) if s * 10.0**power <= half_width / 2 * (1 + 1e-9))
    return round(round(value / step) * step, 12)


def _accuracy(public: Term, private: Term, contest: Contest) -> dict[str, Any]:
    width = _width(public, private, contest)
    base = max(BASE_STEP, rounded(public["base"], 2 * BASE_STEP))
    half_width = width * math.sqrt(1 + (Z975 * SHIFT) ** 2)
    moved = public["measured"] + SHIFT * width * _normal(public, private, contest.split_salt)
    measured = min(1.0, max(0.0, rounded(moved, half_width))) if width else base
    ratio = measured / base
    cap = public.get("cap")
    value = min(ratio, round(cap, 2)) if cap is not None else ratio
    shown = {
        "name": "accuracy",
        "value": value,
        "half_width": half_width / base,
        "measured": measured,
        "base": base,
        "weight": public["weight"],
        "points": public["weight"] * value,
    }
    return shown | ({"capped": True} if value < ratio else {})


def _width(public: Term, private: Term, contest: Contest) -> float:
    """Return the half-width of the public accuracy as the answers to all questions tell it, coarsely.

    Weighted so that every question counts alike, whichever part it is in.
    """
    share = _share(contest)
    squares = [
        (term["base"] * (term.get("open_half_width") or term["half_width"])) ** 2
        for term in (public, private)
    ]
    width = math.sqrt(share * squares[0] + (1 - share) ** 2 / share * squares[1])
    return 10.0 ** (math.ceil(math.log10(width) * PER_DECADE) / PER_DECADE) if width else 0.0


def _share(contest: Contest) -> float:
    """Return the share of the public questions in benchmarks that have any."""
    split = [b for b in contest.benchmarks if b.public_share > 0]
    weight = math.fsum(b.weight for b in split)
    return math.fsum(b.weight * b.public_share for b in split) / weight if weight else 1.0


def _normal(public: Term, private: Term, salt: str) -> float:
    """Return a number from the normal distribution that only the salt and the answers determine."""
    told = f"figures\0{public['measured']!r}\0{private['measured']!r}".encode()
    digest = hmac.digest(salt.encode(), told, hashlib.sha256)
    one, other = (int.from_bytes(digest[i : i + 8], "big") / 2.0**64 for i in (0, 8))
    return math.sqrt(-2.0 * math.log(1.0 - one)) * math.cos(math.tau * other)
