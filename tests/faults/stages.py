"""Where a grade stands, exactly: a test that kills something at a stage must not come too early or too late."""

from __future__ import annotations

from tests.faults.rig import Entry, Rig

# Seen in the worker's requests, which a proxy can hold; the other stages are made long enough by the engine.
REQUESTS = {"fetch": b"/archive ", "report": b"/report "}
STAGES = ("fetch", "load", "quality", "speed", "report")
WITH_ENGINES = ("load", "quality", "speed")
SLOW = {"load": {"start_s": 4}, "speed": {"token_s": 0.05}}


def enter_and_reach(rig: Rig, stage: str) -> tuple[Entry, str]:
    """A new entry whose grade has reached ``stage``, and the worker that grades it."""
    for name in rig.workers:
        rig.set_knobs(name, **SLOW.get(stage, {}))
        if piece := REQUESTS.get(stage):
            rig.roads[name].set_trap(piece)
    entry = rig.enter()
    return entry, reach(rig, entry, stage)


def reach(rig: Rig, entry: Entry, stage: str) -> str:
    """The worker that has reached ``stage``."""
    if stage in REQUESTS:
        name = rig.wait_until(
            lambda: next((n for n in rig.workers if rig.roads[n].trapped.is_set()), "")
        )
    else:
        name = rig.wait_until(lambda: rig.grading(entry, stage))
    for other in rig.workers:  # the others, who get the entry next, are not held up
        rig.set_knobs(other)
        if other != name:
            rig.roads[other].release()
    return name


def being_checked(rig: Rig, entry: Entry) -> bool:
    row = rig.evaluation(entry)
    return bool(row.check_attempts) or row.is_checked
