"""Rewrites grade-school word problems with other numbers and names: fresh twins of a public benchmark.

For questions in GSM8K's format, whose solutions hold their arithmetic (``<<48/2=24>>``, or lines like
``48 / 2 = 24``) and end in ``#### 72``. Numbers of the question are drawn anew and everything that follows from
them is computed again, so an answer is right or there is no twin: a question is left out whose solution says
something that its arithmetic does not, or in which one number could mean two things.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

ATTEMPTS = 300
MOST_DECIMALS = 2
NAMES = Path(__file__).with_name("first_names.txt")

_NUMBER = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\d|[.,]\d)")
# In a question, a number that stands by itself: not in 1/5, 5:9, 8:30, 15kg or 3rd.
_ALONE = re.compile(rf"(?<![\w/:]){_NUMBER.pattern}(?![\w/:])")
_STEP = re.compile(r"<<([^<>=]+)=([^<>=]+)>>")
_LINE = re.compile(
    r"^([\d\s.,()+*/-]+)=\s*([\d.,]+)$", re.M
)  # a solution that is nothing but arithmetic
_FINAL = re.compile(r"\n#### (\S+)\s*$")
_WORD = re.compile(r"\b[A-Z][a-z]+\b")
# What a number is part of, or counts, where another one would make no sense: 50 %, 7 days, 5 a.m.
_FIXED_AFTER = re.compile(
    r"\s*-?\s*(?:%|percent|st\b|nd\b|rd\b|th\b|a\.?m\b|p\.?m\b|o'clock|(?:second|minute|hour|day|week|month|year)s?\b)",
    re.I,
)
# Conditions that may hold for the old numbers and not for new ones, and coins, which have numbers of their own.
_CONDITION = re.compile(
    r"\b(?:overtime|exceed\w*|at least|at most|up to|limit\w*|maximum|minimum|additional|regular|first \d)\b"
    r"|\bover \$?\d|\b(?:penn|nickel|dime|quarter)",
    re.I,
)
_SPELLED = {
    "five": 5, "six": 6, "eight": 8, "nine": 9, "eleven": 11, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "forty": 40, "fifty": 50,
    "seventy": 70, "eighty": 80,
}  # fmt: skip
# Numbers that a solution may have from elsewhere: half, workdays, a dozen, minutes of an hour, per cent.
_CONSTANTS = frozenset(
    {0, 1, 2, 3, 4, 5, 7, 10, 12, 16, 24, 30, 31, 36, 52, 60, 90, 100, 180, 360, 365, 1000}
)


class NoTwinError(Exception):
    """This question cannot be rewritten."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A rewritten question and its solution, in the format of the original."""

    question: str
    answer: str


def rewrite_all(rows: Iterable[Mapping[str, str]], generator: random.Random) -> Iterator[Twin]:
    """Yield a twin of every question that has one."""
    for row in rows:
        try:
            yield rewrite(row["question"], row["answer"], generator)
        except NoTwinError:
            continue


def rewrite(question: str, answer: str, generator: random.Random) -> Twin:
    """Draw other numbers and names, and compute the solution again.

    Raises:
        NoTwinError: the question is not understood well enough, or no other numbers fit.
    """
    steps = _steps(answer)
    if _CONDITION.search(question):
        raise NoTwinError("a condition")
    drawn = _drawable(question, steps)
    spelled = {_SPELLED.get(word) for word in re.findall(r"[a-z]+", f"{question} {answer}".lower())}
    if drawn & spelled:
        raise NoTwinError("a number that is also spelled out")
    for _ in range(ATTEMPTS):
        new = {value: _other(value, generator) for value in drawn}
        values = _follow(new, question, steps)
        if values is None:
            continue
        names = _names(f"{question}\n{answer}", generator)
        made = Twin(*(_rename(_replace(text, values), names) for text in (question, answer)))
        _require_right(made, values)
        return made
    raise NoTwinError("no other numbers fit")


def _steps(answer: str) -> list[tuple[str, Fraction]]:
    """Return each computation with its result, after checking that it is one."""
    written = _STEP.findall(answer) or _LINE.findall(answer)
    steps = [(text, _value(result)) for text, result in written]
    final = _FINAL.search(answer)
    if not steps or final is None:
        raise NoTwinError("a solution without arithmetic or without a final answer")
    if any(_compute(text) != result for text, result in steps):
        raise NoTwinError("a result that its computation does not have")
    if _value(final[1]) not in {result for _, result in steps}:
        raise NoTwinError("a final answer that nothing computes")
    return steps


def _drawable(question: str, steps: list[tuple[str, Fraction]]) -> set[Fraction]:
    """Return the numbers of the question that the solution computes with and that may be others."""
    used = {_value(text) for expression, _ in steps for text in _NUMBER.findall(expression)}
    free: set[Fraction] = set()
    fixed: set[Fraction] = set()
    alone = {found.span() for found in _ALONE.finditer(question)}
    for found in _NUMBER.finditer(question):
        value = _value(found[0])
        is_fixed = value in _CONSTANTS or value.denominator != 1 or found.span() not in alone
        is_fixed |= _FIXED_AFTER.match(question, found.end()) is not None
        (fixed if is_fixed else free).add(value)
    if not (found_values := (free - fixed) & used):
        raise NoTwinError("no number that may be another one")
    return found_values


def _other(value: Fraction, generator: random.Random) -> Fraction:
    """Return another number of about the same size, as round as the old one."""
    number = int(value)
    step = next(s for s in (1000, 100, 10, 5, 1) if (number % s == 0 and number >= 4 * s) or s == 1)
    low, high = max(3, number * 6 // 10), number * 16 // 10 + 2
    return Fraction(generator.randrange(-(-low // step) * step, high + 1, step) or number)


def _follow(
    new: Mapping[Fraction, Fraction], question: str, steps: list[tuple[str, Fraction]]
) -> dict[Fraction, Fraction] | None:
    """Return what every number becomes; None if that is contradictory or makes no sense.

    A number means the same wherever it stands, in the question, a computation or a result. What does not change
    in the question is kept, so a result that equals it must stay too.
    """
    stated = {_value(text) for text in _NUMBER.findall(question)}
    values = {value: new.get(value, value) for value in stated}
    if len(set(values.values())) < len(values) or all(k == v for k, v in values.items()):
        return None
    for expression, result in steps:
        try:
            found = _compute(_replace(expression, values))
        except NoTwinError:
            return None
        if values.setdefault(result, found) != found or not _fits(found, result):
            return None
    return None if values[steps[-1][1]] == steps[-1][1] else values


def _fits(found: Fraction, before: Fraction) -> bool:
    """Return whether a result is as whole and as positive as it was."""
    if before.denominator == 1:
        return found.denominator == 1 and (found > 0) == (before > 0)
    return found > 0 and (found * 10**MOST_DECIMALS).denominator == 1


def _replace(text: str, values: Mapping[Fraction, Fraction]) -> str:
    def other(found: re.Match[str]) -> str:
        value = _value(found[0])
        return found[0] if values.get(value, value) == value else _written(values[value], found[0])

    return _NUMBER.sub(other, text)


def _written(value: Fraction, like: str) -> str:
    """Write a number in the style of the one it replaces."""
    whole = value.denominator == 1
    digits = 0 if whole and "." not in like else max(1, len(like.partition(".")[2]))
    digits = digits if (value * 10**digits).denominator == 1 else MOST_DECIMALS
    comma = "," if "," in like else ""
    return f"{float(value):{comma}.{digits}f}"


def _names(text: str, generator: random.Random) -> dict[str, str]:
    """Return other first names, each of the same list as the old one, for pronouns to stay right."""
    words = set(_WORD.findall(text))
    found: dict[str, str] = {}
    for line in NAMES.read_text("utf-8").splitlines():
        known = line.split()
        used = sorted(words.intersection(known))
        others = generator.sample([name for name in known if name not in words], len(used))
        found |= dict(zip(used, others, strict=True))
    return found


def _rename(text: str, names: Mapping[str, str]) -> str:
    return _WORD.sub(lambda found: names.get(found[0], found[0]), text)


def _require_right(made: Twin, values: Mapping[Fraction, Fraction]) -> None:
    """Read the new solution as if it were an old one. No number that was replaced may have stayed behind."""
    _steps(made.answer)
    gone = {old for old, new in values.items() if old != new} - set(values.values())
    if gone & {_value(text) for text in _NUMBER.findall(f"{made.question} {made.answer}")}:
        raise NoTwinError("a number that was not replaced everywhere")


def _value(text: str) -> Fraction:
    try:
        return Fraction(text.strip().lstrip("$").replace(",", ""))
    except (ValueError, ZeroDivisionError):
        raise NoTwinError(f"not a number: {text[:40]}") from None


def _compute(expression: str) -> Fraction:
    """Compute sums and products of numbers, and nothing else.

    Raises:
        NoTwinError: it is something else.
    """
    text = re.sub(r"[,$\s]", "", expression)
    if len(text) > 200:
        raise NoTwinError("a computation that is too long")
    try:
        return _evaluated(ast.parse(text, mode="eval").body, text)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        raise NoTwinError(f"not a computation: {expression[:40]}") from None


def _evaluated(node: ast.expr, source: str) -> Fraction:
    match node:
        case ast.BinOp(left, ast.Add(), right):
            return _evaluated(left, source) + _evaluated(right, source)
        case ast.BinOp(left, ast.Sub(), right):
            return _evaluated(left, source) - _evaluated(right, source)
        case ast.BinOp(left, ast.Mult(), right):
            return _evaluated(left, source) * _evaluated(right, source)
        case ast.BinOp(left, ast.Div(), right):
            return _evaluated(left, source) / _evaluated(right, source)
        case ast.UnaryOp(ast.USub(), operand):
            return -_evaluated(operand, source)
        case ast.Constant(int() | float()) if not isinstance(node.value, bool):
            return Fraction(ast.get_source_segment(source, node) or "")  # 0.1 is a tenth
    raise NoTwinError(f"not a computation: {source[:40]}")
