"""Generates the contest's data: sums, records, calibration samples and speed prompts.

    python make_data.py

It uses only the standard library and always writes the same bytes. ``data/choice.jsonl`` was written by hand
and is kept.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
NAMES = (
    "Anna", "Ben", "Carla", "David", "Elena", "Felix", "Grace", "Hugo", "Irene", "Jack", "Kate",
    "Leo", "Maria", "Nina", "Oscar", "Paula", "Rosa", "Sam", "Tina", "Victor",
)  # fmt: skip
CITIES = (
    "Paris", "London", "Rome", "Tokyo", "Berlin", "Madrid", "Oslo", "Cairo", "Lima", "Delhi",
    "Boston", "Dublin",
)  # fmt: skip
THINGS = (
    "apples", "pens", "books", "coins", "eggs", "cards", "stamps", "shells", "lamps", "cups",
)  # fmt: skip
Row = dict[str, str]


def main() -> None:
    generator = random.Random(135)
    sums, records = unequal(sum_problem, generator), unequal(order, generator)
    write("sums_train", take(sums, 64))
    write("sums", take(sums, 400))
    write("records_train", take(records, 64))
    write("records", take(records, 400))
    write("calibration", [conversation(row) for row in take(sums, 64) + take(records, 192)])
    write("speed_prompts", [{"text": story(records)} for _ in range(96)])


def sum_problem(generator: random.Random) -> Row:
    """One step with numbers below ten, which a model of this size gets right about half of the time."""
    name, other = generator.sample(NAMES, 2)
    things = generator.choice(THINGS)
    few, more = sorted(generator.choices(range(2, 10), k=2))
    kind = generator.randrange(4)
    if kind == 0:
        text = f"{name} has {few} {things}. {other} gives {name} {more} more."
        return solved(f"{text} How many {things} does {name} have now?", few, "+", more)
    if kind == 1:
        total = few + more
        text = f"{name} has {total} {things}. {name} gives {few} to {other}."
        return solved(f"{text} How many {things} does {name} have left?", total, "-", few)
    if kind == 2:
        text = f"{name} has {more} {things} and {other} has {few} {things}."
        return solved(f"{text} How many {things} do they have together?", more, "+", few)
    text = f"{name} buys {few} {things} for {more} dollars each."
    return solved(f"{text} How many dollars does {name} pay?", few, "*", more)


def solved(question: str, left: int, sign: str, right: int) -> Row:
    result = {"+": left + right, "-": left - right, "*": left * right}[sign]
    return {"question": question, "answer": f"{left} {sign} {right} = {result}\n#### {result}"}


def order(generator: random.Random) -> Row:
    """A sentence about an order, and its facts in a fixed form."""
    name, city = generator.choice(NAMES), generator.choice(CITIES)
    things = generator.choice(THINGS)
    count, price = generator.sample(range(2, 100), 2)
    text = generator.choice(
        (
            f"{name} from {city} ordered {count} {things} for {price} dollars.",
            f"For {price} dollars, {name} in {city} bought {count} {things}.",
            f"{count} {things} were sent to {name} in {city}; the bill was {price} dollars.",
        )
    )
    record = f"name={name}; city={city}; item={things}; count={count}; price={price}"
    return {"text": text, "record": record}


def unequal(make: Callable[[random.Random], Row], generator: random.Random) -> Iterator[Row]:
    """Yield rows indefinitely, without repeats."""
    seen = set()
    while True:
        row = make(generator)
        key = row.get("question") or row["text"]
        if key not in seen:
            seen.add(key)
            yield row


def take(rows: Iterator[Row], count: int) -> list[Row]:
    return [next(rows) for _ in range(count)]


def conversation(row: Row) -> dict[str, list[Row]]:
    if "question" in row:
        asked, answer = f"Question: {row['question']}\nAnswer:", row["answer"]
    else:
        asked, answer = f"Text: {row['text']}\nRecord:", row["record"]
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": turns}


def story(records: Iterator[Row]) -> str:
    return " ".join(row["text"] for row in take(records, 5))


def write(name: str, rows: list[Row] | list[dict[str, list[Row]]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (DATA / f"{name}.jsonl").write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
