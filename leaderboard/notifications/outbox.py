"""Writing the outbox: recipients and content are decided when the event happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from leaderboard.core import doorbell
from leaderboard.models import Delivery, Evaluation, Membership, Team, Webhook, public_figures

Channel, Kind, Status = Delivery.Channel, Delivery.Kind, Evaluation.Status
ABOUT_TEAMS = (Kind.RULING, Kind.MERGE)
ENDINGS = {
    Status.SCORED: Kind.SCORED,
    Status.REJECTED: Kind.REJECTED,
    Status.FAILED: Kind.FAILED,
}


def evaluation_ended(evaluation_id: int) -> None:
    """Notify the team that an evaluation was scored, rejected or failed; call it in that transaction."""
    evaluation = Evaluation.objects.select_related("submission__team", "score").get(
        pk=evaluation_id
    )
    team, kind = evaluation.submission.team, ENDINGS.get(Status(evaluation.status))
    # Part of a batch that nobody has decided on: no notification before it is applied.
    if team and kind and evaluation.is_current:
        tell(team, kind, key=f"evaluation/{evaluation_id}", evaluation=evaluation)


def review_wanted(evaluation_id: int, flags: list[str]) -> int:
    """Ask staff by email to look at an entry: it is first, or has flagged checks. Teams are not told."""
    rows = Evaluation.objects.select_related("submission__team", "score")
    evaluation = rows.get(pk=evaluation_id)
    team = evaluation.submission.team
    assert team is not None, "only entries of teams are reviewed"
    staff = _confirmed(User.objects.filter(is_staff=True, is_active=True).exclude(email=""))
    targets = [
        Target(team.pk, Channel.MAIL, email, user)
        for email, user in staff.values_list("email", "pk")
    ]
    facts = {"flags": flags}
    return _write(Kind.REVIEW, [News(team, f"review/{evaluation_id}", evaluation, facts)], targets)


def _confirmed(people: QuerySet[User]) -> QuerySet[User]:
    """Those whose address is confirmed, where the site confirms addresses."""
    if settings.ACCOUNT_EMAIL_VERIFICATION != "mandatory":
        return people
    return people.filter(emailaddress__verified=True, emailaddress__email__iexact=F("email"))


class Target(NamedTuple):
    """A recipient: ``user`` owns the address, None for a webhook."""

    team: int
    channel: str
    address: str
    user: int | None


@dataclass(frozen=True, slots=True)
class News:
    """A notification for one team.

    Attributes:
        key: what happened (``batch/3/evaluation/12``); the same key, kind and target is sent once.
        evaluation: whose state and score belong to the message.
        facts: more members of the message's ``data``, as JSON (``{"before": 0.61, "after": 0.62}``).
    """

    team: Team
    key: str
    evaluation: Evaluation | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def tell(
    team: Team, kind: str, *, key: str, evaluation: Evaluation | None = None, **facts: Any
) -> int:
    """Write to the outbox for everybody who subscribed to ``kind`` (a ``Delivery.Kind``).

    Delivered after commit. The other arguments are those of :class:`News`.

    Returns:
        How many messages were addressed.
    """
    return tell_teams(kind, [News(team, key, evaluation, facts)])


def tell_teams(kind: str, news: Sequence[News]) -> int:
    """Like :func:`tell`, with one message per team, in a handful of statements."""
    teams = [one.team.pk for one in news]
    people = _people(Membership.objects.filter(team__in=teams, mail_kinds__contains=[kind]))
    hooks = _hooks(Webhook.objects.filter(team__in=teams, kinds__contains=[kind]))
    return _write(kind, news, people + hooks)


def tell_everybody(
    team: Team, kind: str, *, key: str, evaluation: Evaluation | None = None, **facts: Any
) -> int:
    """Like :func:`tell`, to every member and the webhook regardless of settings; for what nobody may miss."""
    people = _people(Membership.objects.filter(team=team))
    hooks = _hooks(Webhook.objects.filter(team=team))
    return _write(kind, [News(team, key, evaluation, facts)], people + hooks)


def tell_captain(team: Team, kind: str, *, key: str, **facts: Any) -> int:
    """Like :func:`tell`, by email to the captain, the only one who can respond."""
    captain = _people(Membership.objects.filter(team=team, is_captain=True))
    return _write(kind, [News(team, key, facts=facts)], captain)


def test(team: Team, user: User, *, key: str) -> int:
    """Send a test message to this member, if they want emails, and to the webhook; returns how many."""
    member = _people(Membership.objects.filter(team=team, user=user).exclude(mail_kinds=[]))
    hooks = _hooks(Webhook.objects.filter(team=team))
    return _write(Kind.TEST, [News(team, key)], member + hooks)


def _write(kind: str, news: Sequence[News], targets: Sequence[Target]) -> int:
    of_team = {one.team.pk: one for one in news}
    events = {team: _event(kind, of_team[team]) for team in {target.team for target in targets}}
    rows = [
        Delivery(
            team_id=target.team,
            evaluation=of_team[target.team].evaluation,
            user_id=target.user,
            kind=kind,
            key=of_team[target.team].key,
            channel=target.channel,
            target=target.address,
            event=events[target.team],
        )
        for target in targets
    ]
    if rows:
        with transaction.atomic():
            Delivery.objects.bulk_create(rows, ignore_conflicts=True)
            transaction.on_commit(doorbell.enqueue_delivery)
    return len(rows)


def _event(kind: str, news: News) -> dict[str, Any]:
    return {
        "type": f"team.{kind}" if kind in ABOUT_TEAMS else f"submission.{kind}",
        "timestamp": timezone.now().isoformat(),
        "data": {**_about(news.team, news.evaluation), **news.facts},
    }


def _hooks(asked: QuerySet[Webhook]) -> list[Target]:
    return [
        Target(team, Channel.WEBHOOK, url, None)
        for team, url in asked.values_list("team_id", "url")
    ]


def _people(asked: QuerySet[Membership]) -> list[Target]:
    """The members' addresses; only confirmed ones where the site confirms addresses."""
    asked = asked.filter(user__is_active=True).exclude(user__email="")
    if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory":
        asked = asked.filter(
            user__emailaddress__verified=True, user__emailaddress__email__iexact=F("user__email")
        )
    return [
        Target(team, Channel.MAIL, email, user)
        for team, email, user in asked.values_list("team_id", "user__email", "user_id")
    ]


def _about(team: Team, evaluation: Evaluation | None) -> dict[str, Any]:
    """The content of a message, as documented in docs/notifications.md."""
    about: dict[str, Any] = {
        "contest": team.contest_id,
        "team": {"id": team.pk, "name": team.name},
    }
    if evaluation is None:
        return about
    score = None
    if evaluation.score is not None and evaluation.status == Status.SCORED:
        score = public_figures(evaluation.score, team.contest)
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
