"""The differences between two versions of a contest file, and what they mean for scores."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any

from grader.contest.rules import Contest
from grader.schema import encode


class Effect(enum.StrEnum):
    """What has to be done before the new version can rank."""

    NOTHING = "nothing"
    RESCORE = "rescore"
    REGRADE = "regrade"


@dataclass(frozen=True, slots=True)
class Change:
    """One key with its old and new value (None: the key does not exist)."""

    key: str
    old: Any
    new: Any
    effect: Effect


# The first matching pattern decides. Unmatched keys are assumed to change the measurement.
_EFFECTS = [
    (r"scoring\.(formula|accuracy_cap)", Effect.RESCORE),
    (r"scoring\.formulas\.FORMULA\.(accuracy|memory|speed)", Effect.RESCORE),
    (r"scoring\..*", Effect.NOTHING),  # a formula that does not rank
    (r"benchmarks\.[^.]+\.(weight|public_share|exclude_docs)", Effect.RESCORE),
    (r"speed\.shapes\.[^.]+\.weight", Effect.RESCORE),
    (r"split_salt", Effect.RESCORE),
    (r"(benchmarks|speed\.shapes)\.[^.]+\.(title\..*|dataset)", Effect.NOTHING),
    (r"(title|summary|timezone|schema|limits|checkpoint|phases)(\..*)?", Effect.NOTHING),
    (r"(references|sample_prompts)(\..*)?", Effect.NOTHING),
    (r"hardware\.sandbox|base_model\.revision", Effect.NOTHING),
]  # fmt: skip


def changes(old: Contest, new: Contest) -> list[Change]:
    """Return every key that differs, in file order. List items are matched by the ids of their tables."""
    before, after = _flat(encode(old)), _flat(encode(new))
    keys = [*after, *(key for key in before if key not in after)]
    return [
        Change(key, *_told(key, before, after), _effect(key, before, after, new))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def effect_of(found: list[Change]) -> Effect:
    """Return the greatest effect among changes."""
    order = list(Effect)
    return max((change.effect for change in found), key=order.index, default=Effect.NOTHING)


def _told(key: str, before: dict[str, Any], after: dict[str, Any]) -> tuple[Any, Any]:
    """Return the two values as people may read them; a salt is not shown to anybody."""
    if key == "split_salt":
        return tuple("…" if values.get(key) else "" for values in (before, after))  # type: ignore[return-value]
    return before.get(key), after.get(key)


def _effect(key: str, before: dict[str, Any], after: dict[str, Any], new: Contest) -> Effect:
    part = re.match(r"(benchmarks|speed\.shapes)\.[^.]+", key)
    if part and not any(other.startswith(f"{part[0]}.") for other in after):
        return Effect.RESCORE  # removed: the stored reports contain more than is needed
    name = key.replace(f"scoring.formulas.{new.scoring.formula}.", "scoring.formulas.FORMULA.")
    if part and not any(other.startswith(f"{part[0]}.") for other in before):
        return Effect.REGRADE
    return next((effect for p, effect in _EFFECTS if re.fullmatch(p, name)), Effect.REGRADE)


def _flat(value: Any, where: str = "") -> dict[str, Any]:
    """Flatten to dotted keys and values. A list of tables with ids becomes a table of them."""
    if isinstance(value, list) and value and all(isinstance(v, dict) and "id" in v for v in value):
        value = {item["id"]: item for item in value}
    if not isinstance(value, dict) or not value:
        return {where: value}
    return {
        key: leaf
        for name, item in value.items()
        for key, leaf in _flat(item, f"{where}.{name}" if where else str(name)).items()
    }
