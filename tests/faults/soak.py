"""``python -m tests.faults.soak [--minutes M] [--seed N]``: random faults against continuous entries.

Several teams keep entering through the API while the nemesis breaks what the seed says. Then everything is
healed, the queue drains, and the invariants are checked. The last line says what was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time

TEAMS = 4
ENTER_EVERY_S = 4.0
WAITING = 12  # entries at most in the queue, so that it drains in a few minutes
FACTOR_S = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="0: a new one")
    asked = parser.parse_args()
    seed = asked.seed or random.SystemRandom().randrange(1, 10**6)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    os.environ["DATABASE_URL"] = (
        "postgresql://postgres@127.0.0.1:1/unused"  # the rig brings its own
    )
    import django

    django.setup()
    return run(asked.minutes, seed)


def run(minutes: float, seed: int) -> int:
    from tests.faults import invariants
    from tests.faults.nemesis import Nemesis
    from tests.faults.rig import Rig

    say(f"seed {seed}")
    with Rig(workers=3) as rig:
        started = time.monotonic()
        over = threading.Event()
        entering = threading.Thread(target=_enter, args=(rig, over, seed))
        entering.start()
        try:
            faults = _break(rig, Nemesis(rig, seed), started, minutes * FACTOR_S)
        finally:
            over.set()
            entering.join()
        say("everything is healed; waiting for the queue to drain")
        rig.heal()
        try:
            rig.wait_until(rig.site_answers)
            invariants.drain(rig)
        except AssertionError as error:
            say(f"the queue does not drain: {error}")
        wrong = invariants.violations(rig)
        for sentence in wrong:
            say(sentence)
        lost = f"{len(wrong)} violations, logs: {rig.keep_logs()}" if wrong else "0 lost"
        print(f"soak: {minutes:g} minutes, {faults} faults, {len(rig.accepted)} entries, {lost}")
    return int(bool(wrong))


def _break(rig, nemesis, started: float, seconds: float) -> int:  # type: ignore[no-untyped-def]
    count = 0
    while True:
        fault = nemesis.draw()
        time.sleep(fault.pause_s)
        if time.monotonic() - started > seconds:
            return count
        count += 1
        say(f"{time.monotonic() - started:6.1f} s  {fault.name}, {fault.lasts_s:.1f} s")
        fault.begin()
        time.sleep(fault.lasts_s)
        fault.end()


def _enter(rig, over: threading.Event, seed: int) -> None:  # type: ignore[no-untyped-def]
    """Teams that enter all the time. What the site did not accept is entered again later, as people do."""
    import httpx
    from django.db import Error, connection

    from leaderboard.models import Evaluation

    dice = random.Random(seed + 1)
    teams: list[tuple[int, str]] = []
    while not over.wait(dice.uniform(0.5, 1.5) * ENTER_EVERY_S):
        try:
            if Evaluation.objects.unfinished().count() >= WAITING:
                continue
            if len(teams) < TEAMS:
                teams.append(rig.team())
            rig.enter(dice.choice(teams))
        except (httpx.HTTPError, Error) as error:
            say(f"          not accepted: {type(error).__name__} {str(error)[:80]}")
            connection.close()
    connection.close()


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
