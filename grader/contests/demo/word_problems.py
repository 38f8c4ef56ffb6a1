"""Grade-school word problems with worked answers in gsm8k's format.

Everything uses only the standard library and one ``random.Random``, so a seed determines
a data set. A problem is a text and a list of steps; keeping the steps symbolic (a step may use
the result of an earlier one) lets ``choice_item`` make a mistake in any step and carry it through
to the end, as in a real wrong solution.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from operator import add, mul, sub

NAMES = ("Mina", "Jun", "Sora", "Tom", "Anna", "Ben", "Hana", "Leo", "Yuna", "Max")
THINGS = ("apples", "books", "cards", "coins", "eggs", "pens", "shells", "stamps")
PLACES = ("farm", "school", "shop", "club")
OPERATIONS: dict[str, Callable[[int, int], int]] = {"+": add, "-": sub, "*": mul}
# Mistakes people make: a counting error, a lost or invented carry, or both.
SLIPS = (1, -1, 2, -2, 10, -10, 9, -9, 20, -20)


@dataclass(frozen=True)
class Result:
    """The result of an earlier step, counted from 0, used as an operand."""

    step: int


Step = tuple[int | Result, str, int | Result]


@dataclass(frozen=True)
class Problem:
    """A question and the steps that solve it."""

    question: str
    steps: tuple[Step, ...]

    def lines(self, slips: dict[int, int] | None = None) -> list[tuple[str, int]]:
        """Return each step as written (``12 + 5 = 17``) with its result.

        ``slips`` maps a step's index to the error added to its result; later steps use the
        wrong result.
        """
        slips = slips or {}
        done: list[tuple[str, int]] = []
        for index, (left, sign, right) in enumerate(self.steps):
            a, b = (done[x.step][1] if isinstance(x, Result) else x for x in (left, right))
            value = OPERATIONS[sign](a, b) + slips.get(index, 0)
            done.append((f"{a} {sign} {b} = {value}", value))
        return done

    def answer(self, slips: dict[int, int] | None = None) -> str:
        """Return the worked answer, ending in gsm8k's ``#### number`` line."""
        lines = self.lines(slips)
        return "\n".join([text for text, _ in lines] + [f"#### {lines[-1][1]}"])


class Story:
    """The people, things and numbers of one problem, drawn from ``rng``."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.name, self.friend = rng.sample(NAMES, 2)
        self.thing, self.other = rng.sample(THINGS, 2)
        self.place = rng.choice(PLACES)

    def number(self) -> int:
        """Draw a number with two or, less often, three digits."""
        return self.rng.randint(100, 399) if self.rng.random() < 0.3 else self.rng.randint(11, 99)

    def less(self, than: int) -> int:
        """Draw a number of at least 3 that can be subtracted from ``than``, leaving at least 3."""
        return self.rng.randint(3, than - 3)

    def few(self) -> int:
        """Draw a number of boxes, days or prices: one digit."""
        return self.rng.randint(3, 9)

    def box(self) -> int:
        """Draw how many things fit in one box: two digits."""
        return self.rng.randint(11, 39)


Kind = Callable[[Story], tuple[list[str], str, list[Step]]]


def gain(s: Story) -> tuple[list[str], str, list[Step]]:
    """One step: a sum."""
    a, b = s.number(), s.number()
    facts = [f"{s.name} has {a} {s.thing}.", f"{s.friend} gives {s.name} {b} more."]
    return facts, f"How many {s.thing} does {s.name} have now?", [(a, "+", b)]


def loss(s: Story) -> tuple[list[str], str, list[Step]]:
    """One step: a difference."""
    a = s.number()
    b = s.less(a)
    facts = [f"{s.name} has {a} {s.thing}.", f"{s.name} gives {b} to {s.friend}."]
    return facts, f"How many {s.thing} does {s.name} have left?", [(a, "-", b)]


def gain_and_loss(s: Story) -> tuple[list[str], str, list[Step]]:
    """Two steps: a sum, then a difference."""
    a, b = s.number(), s.number()
    c = s.less(a + b)
    facts = [f"{s.name} has {a} {s.thing}.", f"{s.name} finds {b} more and then sells {c}."]
    ask = f"How many {s.thing} does {s.name} have left?"
    return facts, ask, [(a, "+", b), (Result(0), "-", c)]


def together(s: Story) -> tuple[list[str], str, list[Step]]:
    """Two steps: the second number is given relative to the first, and both are added."""
    a, b = s.number(), s.number()
    facts = [f"{s.name} has {a} {s.thing}.", f"{s.friend} has {b} more than {s.name}."]
    ask = f"How many {s.thing} do they have together?"
    return facts, ask, [(a, "+", b), (a, "+", Result(0))]


def boxes_and_more(s: Story) -> tuple[list[str], str, list[Step]]:
    """Two steps: a product, then a sum."""
    n, m, c = s.few(), s.box(), s.number()
    facts = [f"{s.name} has {n} boxes with {m} {s.thing} each.", f"{s.friend} brings {c} more."]
    return facts, f"How many {s.thing} are there?", [(n, "*", m), (Result(0), "+", c)]


def boxes_sold(s: Story) -> tuple[list[str], str, list[Step]]:
    """Three steps: a product, a sum, a difference."""
    n, m, c = s.few(), s.box(), s.number()
    d = s.less(n * m + c)
    facts = [
        f"{s.name} buys {n} boxes with {m} {s.thing} each.",
        f"{s.name} had {c} {s.thing} before and then sells {d}.",
    ]
    ask = f"How many {s.thing} does {s.name} have left?"
    return facts, ask, [(n, "*", m), (Result(0), "+", c), (Result(1), "-", d)]


def two_sorts(s: Story) -> tuple[list[str], str, list[Step]]:
    """Three steps: two products and their sum."""
    n, m, k, p = s.few(), s.box(), s.few(), s.box()
    facts = [f"{s.name} buys {n} {s.thing} for {m} won each.", f"{k} {s.other} cost {p} won each."]
    ask = f"How many won do the {s.thing} and the {s.other} cost?"
    return facts, ask, [(n, "*", m), (k, "*", p), (Result(0), "+", Result(1))]


KINDS: tuple[Kind, ...] = (
    gain, loss, gain_and_loss, together, boxes_and_more, boxes_sold, two_sorts,
)  # fmt: skip


def problem(rng: random.Random) -> Problem:
    """Draw one problem. A third of them contain a number that is not needed."""
    story = Story(rng)
    facts, ask, steps = rng.choice(KINDS)(story)
    if rng.random() < 1 / 3:
        useless = (
            f"The {story.place} is {rng.randint(11, 99)} years old.",
            f"{story.friend} also has {story.number()} {story.other}.",
        )
        facts.insert(rng.randint(0, len(facts)), rng.choice(useless))
    return Problem(" ".join([*facts, ask]), tuple(steps))


def problems(seed: int, exclude: Set[str] = frozenset()) -> Iterator[Problem]:
    """Yield problems of one seed indefinitely, skipping questions in ``exclude``."""
    rng = random.Random(seed)
    while True:
        if (drawn := problem(rng)).question not in exclude:
            yield drawn


def choice_item(item: Problem, rng: random.Random) -> dict[str, object]:
    """Build a four-way choice between the correct worked solution and three with one mistake each.

    Returns ``question``, ``choices`` (four whole solutions) and ``label`` (index of the correct
    one). Mistakes that would make a result negative are redrawn.
    """
    right = item.answer()
    choices = [right]
    while len(choices) < 4:
        slips = {rng.randrange(len(item.steps)): rng.choice(SLIPS)}
        wrong = item.answer(slips)
        if wrong not in choices and all(value >= 0 for _, value in item.lines(slips)):
            choices.append(wrong)
    rng.shuffle(choices)
    return {"question": item.question, "choices": choices, "label": choices.index(right)}
