"""What a team gains by entering one checkpoint many times, before and after repeats are pooled and confirmed.

Simulated with the project's own scores, pools and ranks. Answers are the same in every grade, so all of a
score's interval is noise from grade to grade: the worst case. Gains are in half-widths of one grade's score.

gain_before: the best of ``entries`` grades; ``gain_before_sd``: the same in standard deviations of a grade.
gain_after: the largest gain that is left, over all strategies; ``gains_after`` lists them.
false_first: how often the board calls a first place clearly better than the second although all are equal;
    ``false_first_before``: the same where the first team keeps its best of ``entries``, the other enters once.
curve: number of entries, and the gain in half-widths before and after.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader import contest as rules
from grader.contest import Contest
from grader.scoring import example, inputs, repeats
from grader.scoring.inputs import Measurements
from grader.scoring.pooling import pool_inputs
from grader.scoring.ranking import Contender, rank
from grader.scoring.score import Score, many
from tests.bench.harness import say

ENTRIES, MEASUREMENTS, PLACES = 72, 3, 3
ROUNDS, ROUND_SD = 20, 0.03
CURVE = (1, 2, 4, 8, 16, 32, ENTRIES)
CHUNK = 2000
Runs = list[Measurements]


@dataclass
class Checkpoint:
    """A checkpoint that can be graded any number of times."""

    contest: Contest
    generator: random.Random
    pattern: Measurements

    def grade(self) -> Measurements:
        ratios = {
            shape: [self.generator.gauss(0.2, ROUND_SD) for _ in range(ROUNDS)]
            for shape in self.pattern.log_ratios
        }
        answers = {  # of its own, as in a stored report
            name: replace(one, values=list(one.values))
            for name, one in self.pattern.answers.items()
        }
        return replace(self.pattern, answers=answers, log_ratios=ratios)

    def scores(self, pools: Sequence[Runs]) -> list[Score]:
        found = [pool_inputs(runs) for runs in pools]
        return [
            public
            for at in range(0, len(found), CHUNK)
            for public, _ in many(found[at : at + CHUNK], self.contest)
        ]


def run(quick: bool) -> dict[str, object]:
    trials = 1000 if quick else 6000
    checkpoint = build()
    singles = checkpoint.scores([[checkpoint.grade()] for _ in range(trials)])
    values = [one.value for one in singles]
    truth, sd = statistics.fmean(values), statistics.stdev(values)
    half_width = statistics.fmean(one.half_width for one in singles)
    say(f"  one grade: {truth:.4f} ± {half_width:.4f}, standard deviation {sd:.4f}")
    drawn = checkpoint.generator.choices
    before = {
        n: statistics.fmean(max(drawn(values, k=n)) - truth for _ in range(trials)) / half_width
        for n in CURVE
    }
    stopping = stopped(checkpoint, trials, truth) / half_width
    gains = {"stops while ahead, below the first places": stopping}
    for z in (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0):
        name = f"reaches a place {z:+.1f} standard deviations from its quality"
        gains[name] = placed(checkpoint, trials, truth + z * sd) / half_width
    for name, gain in gains.items():
        say(f"  {name}: {gain:+.3f} half-widths")
    before_false = _false_first_before(checkpoint.generator, singles, trials)
    after_false = max(_false_first(checkpoint, trials // 3, n) for n in (2, 8))
    return {
        "gain_before": round(before[ENTRIES], 3),
        "gain_after": round(max(0.0, *gains.values()), 3),
        "false_first": round(after_false, 3),
        "gain_before_sd": round(before[ENTRIES] * half_width / sd, 2),
        "false_first_before": round(before_false, 3),
        "gains_after": {name: round(one, 3) for name, one in gains.items()},
        "curve": [[n, round(before[n], 2), round(stopping if n > 1 else 0.0, 2)] for n in CURVE],
        "entries": ENTRIES,
        "trials": trials,
    }


def build() -> Checkpoint:
    contest = rules.load(rules.find("demo"))
    pattern = inputs.of(example.report(contest))
    right = {
        name: replace(one, values=[1.0] * len(one.hashes), base_values=[1.0] * len(one.hashes))
        for name, one in pattern.answers.items()
    }
    return Checkpoint(contest, random.Random(14), replace(pattern, answers=right))


def stopped(checkpoint: Checkpoint, trials: int, truth: float) -> float:
    """Mean gain of a team outside the places that enters again until its pool is above its true quality.

    A third measurement and all that follow do not count. The first one's own luck averages out and is left out.
    """
    own = [[checkpoint.grade() for _ in range(repeats.MOST_OWN)] for _ in range(trials)]
    first = checkpoint.scores([repeats.counted(runs[:1], [], None, MEASUREMENTS) for runs in own])
    again = checkpoint.scores([repeats.counted(runs, [], None, MEASUREMENTS) for runs in own])
    return statistics.fmean(
        b.value - a.value if a.value < truth else 0.0 for a, b in zip(first, again, strict=True)
    )


def placed(checkpoint: Checkpoint, trials: int, place: float) -> float:
    """Mean gain of a team that enters until its pool reaches a place, which is then confirmed."""
    own = [[checkpoint.grade() for _ in range(repeats.MOST_OWN)] for _ in range(trials)]
    truth = statistics.fmean(s.value for s in checkpoint.scores([runs[:1] for runs in own]))
    ended: list[Score] = []
    for entries in range(1, repeats.MOST_OWN + 1):
        pools = [repeats.counted(runs[:entries], [], None, MEASUREMENTS) for runs in own]
        scores = checkpoint.scores(pools)
        there = [runs[:entries] for runs, s in zip(own, scores, strict=True) if s.value >= place]
        ended += _confirmed(checkpoint, there)
        short = [(runs, s) for runs, s in zip(own, scores, strict=True) if s.value < place]
        own = [runs for runs, _ in short]
    ended += [score for _, score in short]
    return statistics.fmean(score.value for score in ended) - truth


def _confirmed(checkpoint: Checkpoint, owns: Sequence[Runs]) -> list[Score]:
    pools = []
    for own in owns:
        left = repeats.counted(own, [], own[-1], MEASUREMENTS)
        more = repeats.missing(len(left), 0, 0, MEASUREMENTS)
        fresh = [checkpoint.grade() for _ in range(more)]
        pools.append(repeats.counted(own, fresh, own[-1], MEASUREMENTS))
    return checkpoint.scores(pools)


def _false_first(checkpoint: Checkpoint, trials: int, teams: int) -> float:
    """How often one of equal teams is shown as clearly better, once the first places are confirmed."""
    owns = [[[checkpoint.grade()] for _ in range(teams)] for _ in range(trials)]
    boards = [checkpoint.scores(own) for own in owns]
    confirmed: list[set[int]] = [set() for _ in boards]
    while todo := [
        (at, team)
        for at, board in enumerate(boards)
        for team in sorted(range(teams), key=lambda i, board=board: -board[i].value)[:PLACES]
        if team not in confirmed[at]
    ]:
        scores = _confirmed(checkpoint, [owns[at][team] for at, team in todo])
        for (at, team), score in zip(todo, scores, strict=True):
            boards[at][team] = score
            confirmed[at].add(team)
    return statistics.fmean(map(_first_is_clear, boards))


def _false_first_before(generator: random.Random, singles: Sequence[Score], trials: int) -> float:
    boards = [
        [
            max(generator.choices(singles, k=ENTRIES), key=lambda s: s.value),
            generator.choice(singles),
        ]
        for _ in range(trials)
    ]
    return statistics.fmean(map(_first_is_clear, boards))


def _first_is_clear(board: Sequence[Score]) -> bool:
    ordered = sorted(board, key=lambda score: -score.value)
    rows = [Contender(s.value, s.half_width, s.replicates) for s in ordered]
    return not rank(rows, [True] * len(rows))[1].tied
