"""Writing the outbox: who is told what, decided when it happens."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from leaderboard import bell
from leaderboard.models import Delivery, Evaluation, Membership, Team, Webhook

Target = tuple[str, str, int | None]  # channel, address and, for a person, whose it is
Channel, Kind, Status = Delivery.Channel, Delivery.Kind, Evaluation.Status
ABOUT_TEAMS = (Kind.RULING, Kind.MERGE)
ENDINGS = {
    Status.SCORED: Kind.SCORED,
    Status.REJECTED: Kind.REJECTED,
    Status.FAILED: Kind.FAILED,
}


def evaluation_ended(evaluation_id: int) -> None:
    """Tell the team that an evaluation has been scored, rejected or failed; call it in that transaction."""
    evaluation = Evaluation.objects.select_related("submission__team", "score").get(
        pk=evaluation_id
    )
    team, kind = evaluation.submission.team, ENDINGS.get(Status(evaluation.status))
    # Measured again in a batch that nobody has decided on: not a word of it before it is applied.
    if team and kind and evaluation.counts:
        tell(team, kind, key=f"evaluation/{evaluation_id}", evaluation=evaluation)


def tell(
    team: Team, kind: str, *, key: str, evaluation: Evaluation | None = None, **facts: Any
) -> int:
    """Write to the outbox for everybody who asked to hear of ``kind``; delivered after commit.

    Args:
        kind: one of ``Delivery.Kind``.
        key: what happened (``batch/3/evaluation/12``); the same key, kind and target is told once.
        evaluation: whose state and score belong to the message.
        facts: more members of the message's ``data``, as JSON (``before=0.61, after=0.62``).

    Returns:
        How many messages were addressed.
    """
    return _write(team, kind, key, _targets(team, kind), evaluation, facts)


def listening(teams: Collection[int], kind: str) -> set[int]:
    """Those of the teams (keys) in which somebody asked to hear of ``kind``: to ask each of many is slow."""
    members = Membership.objects.filter(team__in=teams, mail_kinds__contains=[kind])
    hooks = Webhook.objects.filter(team__in=teams, kinds__contains=[kind])
    return {*members.values_list("team", flat=True), *hooks.values_list("team", flat=True)}


def tell_everybody(
    team: Team, kind: str, *, key: str, evaluation: Evaluation | None = None, **facts: Any
) -> int:
    """Like :func:`tell`, to every member and the webhook, whatever they asked for: what nobody may miss."""
    targets = _people(Membership.objects.filter(team=team))
    if hook := Webhook.objects.filter(team=team).first():
        targets.append((Channel.WEBHOOK, hook.url, None))
    return _write(team, kind, key, targets, evaluation, facts)


def tell_captain(team: Team, kind: str, *, key: str, **facts: Any) -> int:
    """Like :func:`tell`, by mail to the captain, who alone can answer."""
    captain = _people(Membership.objects.filter(team=team, is_captain=True))
    return _write(team, kind, key, captain, None, facts)


def _write(
    team: Team,
    kind: str,
    key: str,
    targets: list[Target],
    evaluation: Evaluation | None,
    facts: dict[str, Any],
) -> int:
    if not targets:
        return 0
    event = {
        "type": f"team.{kind}" if kind in ABOUT_TEAMS else f"submission.{kind}",
        "timestamp": timezone.now().isoformat(),
        "data": {**_about(team, evaluation), **facts},
    }
    with transaction.atomic():
        Delivery.objects.bulk_create(
            [
                Delivery(
                    team=team,
                    evaluation=evaluation,
                    user_id=user,
                    kind=kind,
                    key=key,
                    channel=channel,
                    target=target,
                    event=event,
                )
                for channel, target, user in targets
            ],
            ignore_conflicts=True,
        )
        transaction.on_commit(bell.ring_outbox)
    return len(targets)


def test(team: Team, user: User, *, key: str) -> int:
    """A test message to this member, if mails are wanted, and to the webhook; returns how many."""
    member = team.memberships.filter(user=user).exclude(mail_kinds=[]).first()
    targets = _people(Membership.objects.filter(pk=member.pk)) if member else []
    hook = Webhook.objects.filter(team=team).first()
    if hook:
        targets.append((Channel.WEBHOOK, hook.url, None))
    return _write(team, Kind.TEST, key, targets, None, {})


def _targets(team: Team, kind: str) -> list[Target]:
    found = _people(Membership.objects.filter(team=team, mail_kinds__contains=[kind]))
    webhook = Webhook.objects.filter(team=team, kinds__contains=[kind]).first()
    if webhook:
        found.append((Channel.WEBHOOK, webhook.url, None))
    return found


def _people(asked: QuerySet[Membership]) -> list[Target]:
    """The addresses of members; where addresses are confirmed, only confirmed ones."""
    asked = asked.filter(user__is_active=True).exclude(user__email="")
    if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory":
        asked = asked.filter(
            user__emailaddress__verified=True, user__emailaddress__email__iexact=F("user__email")
        )
    return [
        (Channel.MAIL, email, user) for email, user in asked.values_list("user__email", "user_id")
    ]


def _about(team: Team, evaluation: Evaluation | None) -> dict[str, Any]:
    """The facts of a message, as documented in docs/notifications.md."""
    about: dict[str, Any] = {
        "contest": team.contest_id,
        "team": {"id": team.pk, "name": team.name},
    }
    if evaluation is None:
        return about
    score = evaluation.score if evaluation.status == Status.SCORED else None
    return {
        **about,
        "submission": evaluation.submission_id,
        "evaluation": evaluation.pk,
        "url": settings.SITE_URL + evaluation.submission.get_absolute_url(),
        "status": evaluation.status,
        "score": score.value if score else None,
        "half_width": score.half_width if score else None,
        "problems": [
            {"code": problem["code"], "where": problem.get("where", "")}
            for problem in evaluation.problems
        ],
    }
