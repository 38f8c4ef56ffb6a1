"""The smallest difference of two scores that a contest's design can tell apart, from a pair of graded entries.

The board calls two entries apart when their scores differ by more than z(0.975) standard errors of that
difference, which is paired by question (:mod:`grader.scoring.ranking`). A true difference d is therefore found
with power Φ(d/se − z(0.975)), and the smallest one that is found in four of five cases is

    d = (z(0.975) + z(0.80)) · se,        se² = a²·Var(Δaccuracy) + s²·Var(Δspeed)

(the minimum detectable effect of a two-sided test; for evaluations with paired questions: Miller, "Adding Error
Bars to Evals", arXiv 2411.00640, section on power). The variances are those of the board's own bootstrap
replicates; memory is counted in bytes and has none. With m times the questions Var(Δaccuracy) is 1/m of what it
was; with m times the rounds Var(Δspeed) shrinks as the squared half-width of the trimmed mean's interval does.

Where the two entries got the same n questions right, it is not known how many another pair answers differently:
at most 3 of them, at 95 % (the rule of three), so their variance is taken to be 3/n².
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from grader.contest import Contest
from grader.protocol.documents import Report
from grader.scoring import score
from grader.scoring.parts import Part, questions
from grader.scoring.stats import Z975, kept, t_quantile_975, trimmed_interval

Z80 = 0.841621


@dataclass(frozen=True, slots=True)
class Resolution:
    """How finely one board can tell entries apart.

    Attributes:
        part: which questions it counts.
        accuracy_error, speed_error: standard errors of two entries' difference, each term times its weight.
        bounded: no question came out differently, so ``accuracy_error`` is an upper limit.
    """

    part: Part
    accuracy_error: float
    speed_error: float
    bounded: bool = False

    @property
    def error(self) -> float:
        return math.hypot(self.accuracy_error, self.speed_error)

    @property
    def tie(self) -> float:
        """Closer entries are never called apart; a true difference of this size is in half of the cases."""
        return Z975 * self.error

    @property
    def smallest(self) -> float:
        """A true difference of this size is called one in four of five cases."""
        return (Z975 + Z80) * self.error

    @property
    def accuracy_share(self) -> float:
        """Of the variance; the rest is the speed test's."""
        return self.accuracy_error**2 / self.error**2 if self.error else 0.0


def resolution(first: Report, second: Report, contest: Contest, part: Part) -> Resolution:
    """Of a board with entries that differ as these two do.

    Raises:
        ScoreError: a report lacks what the formula needs.
    """
    one, other = (score.replicates(report, contest, part) for report in (first, second))
    formula = contest.formula
    paired = float((one["accuracy"] - other["accuracy"]).std())
    apart = math.hypot(float(one["speed"].std()), float(other["speed"].std()))
    bounded = formula.accuracy > 0 and paired == 0
    if bounded:
        paired = _rule_of_three(first, contest, part)
    return Resolution(part, formula.accuracy * paired, formula.speed * apart, bounded)


def _rule_of_three(report: Report, contest: Contest, part: Part) -> float:
    """Standard error of the difference of two accuracy terms, were 3 questions of every benchmark different."""
    variance = base = 0.0
    results = {result.benchmark: result.items for result in report.quality}
    for benchmark in contest.benchmarks:
        asked = questions(contest, benchmark, results[benchmark.id], part)
        if asked:
            variance += 3 * (benchmark.weight / len(asked)) ** 2
            base += benchmark.weight * math.fsum(i.base_value for i in asked) / len(asked)
    return math.sqrt(variance) / base


def with_more(
    found: Resolution, first: Report, second: Report, contest: Contest,
    *, times: float = 1, rounds: int = 1,
) -> Resolution:  # fmt: skip
    """The same with so many ``times`` the questions, and ``rounds`` times the rounds."""
    shrink = 1.0
    if rounds > 1:
        before = after = 0.0
        weights = {shape.id: shape.weight for shape in contest.speed.shapes}
        for result in (*first.speed, *second.speed):
            k = len(result.rounds)
            half = trimmed_interval([one.log_ratio for one in result.rounds])[1]
            variance = (weights.get(result.shape, 0.0) * half) ** 2
            before += variance
            after += variance * (interval_factor(rounds * k) / interval_factor(k)) ** 2
        shrink = math.sqrt(after / before) if before else 1.0
    return dataclasses.replace(
        found,
        accuracy_error=found.accuracy_error / math.sqrt(times),
        speed_error=found.speed_error * shrink,
    )


def interval_factor(rounds: int) -> float:
    """Half-width of the trimmed mean's 95 % interval over ``rounds`` values, in winsorised deviations."""
    middle = kept(rounds)
    h = middle.stop - middle.start
    return float(t_quantile_975(h - 1) * math.sqrt(rounds) / h)
