"""Texts for the speed test, generated for each contest so that they are private and not from a benchmark."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

COUNT = 256
SENTENCES = 12  # about 250 tokens per text; the grader joins and cuts them


@dataclass(frozen=True, slots=True)
class _Words:
    """One language: sentence templates, and the words for their gaps."""

    sentences: tuple[str, ...]
    names: tuple[str, ...]
    places: tuple[str, ...]
    things: tuple[str, ...]
    moods: tuple[str, ...]

    def text(self, chance: random.Random) -> str:
        return " ".join(self._sentence(chance) for _ in range(SENTENCES))

    def _sentence(self, chance: random.Random) -> str:
        name, other = chance.sample(self.names, 2)
        return chance.choice(self.sentences).format(
            name=name,
            other=other,
            place=chance.choice(self.places),
            things=chance.choice(self.things),
            mood=chance.choice(self.moods),
            count=chance.randrange(3, 900),
        )


_ENGLISH = _Words(
    sentences=(
        "{name} works at {place} and sorts {count} {things} {mood}.",
        "Of the {things} that {name} keeps, {count} came from {place}.",
        "{other} asked {name} why the {things} were moved {mood}, and wrote the answer down.",
        "Nobody at {place} had expected {count} visitors, so {name} opened the second door {mood}.",
        "The report of {name} describes {place} in {count} short paragraphs.",
    ),
    names=("Mina", "Jun", "Sora", "Leo", "Hana", "Ben", "Yuna", "Max"),
    places=("the harbor", "a bakery", "the library", "a small clinic", "the night market"),
    things=("letters", "bicycles", "old maps", "lamps", "seeds", "radios"),
    moods=("slowly", "before sunrise", "without a word", "every other week", "after the rain"),
)
_KOREAN = _Words(
    sentences=(
        "{name} 씨는 {place}에서 {things} {count}개를 {mood} 정리합니다.",
        "{other} 씨가 {place}에 도착했을 때 남은 {things}의 수는 {count}개였습니다.",
        "{name} 씨의 기록에 따르면 {place}에는 {count}명이 {mood} 찾아왔습니다.",
        "{name} 씨가 {other} 씨에게 건넨 {things} 가운데 {count}개는 {place}에서 왔습니다.",
    ),
    names=("민아", "준호", "소라", "하나", "유나", "지훈", "서연"),
    places=("부산의 시장", "도서관", "작은 공방", "제주도의 농장", "강가의 카페"),
    things=("편지", "자전거", "지도", "씨앗", "라디오", "사진"),
    moods=("천천히", "비가 그친 뒤에", "아무 말 없이", "해가 뜨기 전에"),
)


def write(path: Path) -> None:
    """JSON lines ``{"text": …}``, half of them in each language."""
    chance = random.SystemRandom()
    texts = [(_ENGLISH, _KOREAN)[number % 2].text(chance) for number in range(COUNT)]
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
