"""Draws faults from a seed: which, whom, how long, when the next one comes; the same for the same seed."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass

from celery import Celery

from tests.faults.member import send
from tests.faults.rig import LEASE_S, Rig

PAUSES_S = (0.5, 6.0)  # between the end of a fault and the next
LASTS_S = (0.5, 1.5 * LEASE_S)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: ``begin`` makes it, ``end`` undoes it after ``lasts_s``."""

    name: str
    pause_s: float
    lasts_s: float
    begin: Callable[[], object]
    end: Callable[[], object]


class Nemesis:
    def __init__(self, rig: Rig, seed: int) -> None:
        self._rig, self._dice = rig, random.Random(seed)

    def draw(self) -> Fault:
        """The next fault. The same dice are thrown whatever the rig looks like at this moment."""
        dice, rig = self._dice, self._rig
        kind = dice.choice(sorted(self._kinds()))
        member = dice.choice(sorted(rig.members))
        road = dice.choice(sorted(rig.roads))
        share = dice.random()
        pause_s, lasts_s = dice.uniform(*PAUSES_S), dice.uniform(*LASTS_S)
        whom = {"m": member, "r": road}.get(kind[0], "")
        begin, end = self._kinds()[kind](member, road, share)
        return Fault(f"{kind[2:]} {whom}".strip(), pause_s, lasts_s, begin, end)

    def _kinds(self) -> dict[str, Callable[..., tuple[Callable[[], object], Callable[[], object]]]]:
        """By name; the first letter says whether it hits a member, a road, or neither."""
        rig = self._rig
        members, roads = rig.members, rig.roads
        return {
            "m kill": lambda m, r, s: (members[m].kill, members[m].start),
            "m power cut": lambda m, r, s: (members[m].power_cut, members[m].start),
            "m stop": lambda m, r, s: (members[m].freeze, members[m].thaw),
            "m deploy": lambda m, r, s: (members[m].terminate, lambda: _again(rig, m)),
            "m kill a descendant of": lambda m, r, s: (lambda: _kill_one(rig, m, s), _nothing),
            "r cut": lambda m, r, s: (roads[r].cut, roads[r].heal),
            "r refuse": lambda m, r, s: (roads[r].refuse, roads[r].heal),
            "r hang up": lambda m, r, s: (roads[r].hang_up, _nothing),
            "- restart the broker": lambda m, r, s: (rig.broker.stop, rig.broker.start),
            "- flush the broker": lambda m, r, s: (rig.broker.flush, _nothing),
            "- crash the database": lambda m, r, s: (rig.postgres.crash, rig.postgres.start),
            "- repeat messages": lambda m, r, s: (lambda: _repeat(rig), _nothing),
            "- break an engine": lambda m, r, s: (lambda: _break_engine(rig, s), _nothing),
        }


def _nothing() -> None:
    pass


def _again(rig: Rig, name: str) -> None:
    """After SIGTERM: it has ended, or is taking longer than a deployment waits."""
    rig.members[name].power_cut()
    rig.members[name].start()


def _kill_one(rig: Rig, name: str, share: float) -> None:
    family = sorted(rig.members[name].family()[1:], key=lambda one: one.pid)
    if family:
        send([family[int(share * len(family))]], signal.SIGKILL)


def _break_engine(rig: Rig, share: float) -> None:
    engines = [
        one for name in rig.workers for one in rig.members[name].find("engine_stub.py", "--uds")
    ]
    if engines:
        send([engines[int(share * len(engines))]], signal.SIGKILL)


def _repeat(rig: Rig) -> None:
    from leaderboard.models import Evaluation

    if not rig.broker.is_up:
        return
    known = list(Evaluation.objects.order_by("-pk").values_list("pk", flat=True)[:10])
    app = Celery(broker=f"redis://127.0.0.1:{rig.broker.port}/0")
    with app.connection_for_write() as connection:
        for pk in known * 10:
            app.send_task("leaderboard.check", [pk], queue="checks", connection=connection)
            app.send_task("grader.ring", queue="gpu", connection=connection)
