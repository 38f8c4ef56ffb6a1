"""One checkpoint entered 72 times, in the hope of one lucky grade."""

from __future__ import annotations

import statistics

from tests.bench import bench_lottery as simulation
from tests.cheats import Outcome

TRIALS = 1000


def play() -> Outcome:
    """Play every strategy against pooling and confirming, with the project's own scores and pools."""
    checkpoint = simulation.build()
    singles = checkpoint.scores([[checkpoint.grade()] for _ in range(TRIALS)])
    values = [one.value for one in singles]
    truth, sd = statistics.fmean(values), statistics.stdev(values)
    drawn = checkpoint.generator.choices
    before = statistics.fmean(
        max(drawn(values, k=simulation.ENTRIES)) - truth for _ in range(TRIALS)
    )
    gains = [simulation.stopped(checkpoint, TRIALS, truth)]
    gains += [simulation.placed(checkpoint, TRIALS, truth + z * sd) for z in (0.0, 1.0, 2.0)]
    half_width = statistics.fmean(one.half_width for one in singles)
    return Outcome(
        gain=max(gains),
        caught_by="pooling and confirmation",
        figures={
            "entries": simulation.ENTRIES,
            "gain_before": round(before, 4),
            "in_half_widths": round(max(gains) / half_width, 3),
        },
    )
