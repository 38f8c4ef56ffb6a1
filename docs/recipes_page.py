"""The generated part of the tutorial "five recipes compared", in both languages, and its plot.

Everything comes from ``docs/recipes.json``, which ``python docs/compare_recipes.py`` measures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from baseline.checkpoint.contests import rules
from baseline.measurement import history
from baseline.terminal.svg import Point, scatter

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS / "recipes.json"
PAIRS = (  # what the second did that the first did not
    ("w4a16-rtn", "w4a16-gptq"),
    ("w4a16-rtn", "awq-w4a16"),
    ("w8a8-rtn", "w8a8-gptq"),
    ("w8a8-gptq", "smoothquant-w8a8"),
    ("w8a8-gptq", "prune-w8a8"),
    ("w8a8-gptq", "w4a16-gptq"),
)
WORDS = {
    "en": {
        "head": "| Recipe | Scheme | Bytes | Accuracy | Speed | Score | Compressed in |",
        "base": "the base model, by definition", "pairs": "| From | To | Accuracy | 95 % interval | |",
        "clear": "clear", "noise": "within the noise", "seconds": "s",
        "where": "Measured on {device} with {versions}, contest `demo`, formula `{formula}` "
                 "({accuracy:g} accuracy + {memory:g} memory + {speed:g} speed), {questions} questions, "
                 "{rounds} rounds a load shape.",
        "plot": "Bytes and accuracy of every recipe on the demo model",
        "x": "bytes of the safetensors", "y": "accuracy relative to the base model",
    },
    "ko": {
        "head": "| 레시피 | 방식 | 바이트 | 정확도 | 속도 | 점수 | 압축 시간 |",
        "base": "원본 모델(정의상)", "pairs": "| 이전 | 이후 | 정확도 | 95 % 구간 | |",
        "clear": "뚜렷한 차이", "noise": "오차 범위", "seconds": "초",
        "where": "{device}에서 {versions}, 대회 `demo`, 점수식 `{formula}`(정확도 {accuracy:g} + "
                 "메모리 {memory:g} + 속도 {speed:g}), 문항 {questions}개, "
                 "부하 형태마다 {rounds}라운드로 측정했습니다.",
        "plot": "데모 모델에서 레시피별 바이트와 정확도",
        "x": "safetensors 바이트", "y": "원본 모델 대비 정확도",
    },
}  # fmt: skip


def results() -> dict[str, Any]:
    """Best score first; answers as numbers again."""
    found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    for result in found.values():
        for answers in result["questions"].values():
            answers["values"] = [float(value) for value in answers["values"]]
    return dict(sorted(found.items(), key=lambda item: -item[1]["score"]))


def plot(language: str) -> str:
    """Bytes × accuracy as SVG, the base model hollow."""
    found, contest, words = results(), rules("demo"), WORDS[language]
    base = words["base"].partition(",")[0].partition("(")[0]
    points = [Point(base, contest.base_model.safetensors_bytes, 1.0, hollow=True)]
    for name, result in found.items():
        accuracy = _term(result, "accuracy")
        size, value = result["safetensors_bytes"], accuracy["value"]
        points.append(Point(name, size, value, accuracy["half_width"]))
    return scatter(points, words["plot"], words["x"], words["y"])


def part(language: str) -> Iterator[str]:
    """Table, plot and pairwise differences."""
    found, contest, words = results(), rules("demo"), WORDS[language]
    base = contest.base_model.safetensors_bytes
    yield words["head"]
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    yield f"| {words['base']} | bf16 | {base:,} | 1.0000 | 0.0000 | {contest.formula.accuracy:.4f} | |"
    for name, result in found.items():
        accuracy, speed = _term(result, "accuracy"), _term(result, "speed")
        size = result["safetensors_bytes"]
        yield (
            f"| `{name}` | {result['scheme']} | {size:,} (−{1 - size / base:.0%}) | {_interval(accuracy)} | "
            f"{_interval(speed)} | **{result['score']:.4f}** ± {result['half_width']:.4f} | "
            f"{result['compress_s']:.0f} {words['seconds']} |"
        )
    yield ""
    suffix = "" if language == "en" else ".ko"
    yield f"![{words['plot']}](images/recipes{suffix}.svg)"
    yield ""
    yield words["pairs"]
    yield "| --- | --- | ---: | ---: | --- |"
    for first, second in PAIRS:
        if first not in found or second not in found:
            continue  # a comparison that is still running
        difference = history.compare(found[first], found[second])[0]
        says = words["clear" if difference.clear else "noise"]
        yield (
            f"| `{first}` | `{second}` | {difference.value:+.4f} | ± {difference.half_width:.4f} | {says} |"
        )
    yield ""
    yield _where(found, words)


def _where(found: dict[str, Any], words: dict[str, str]) -> str:
    contest = rules("demo")
    one = next(iter(found.values()))
    names = ("llmcompressor", "compressed-tensors", "torch")
    rounds = sorted({shape["rounds"] for result in found.values() for shape in result["speed"]})
    return words["where"].format(
        device=one["device"],
        versions=", ".join(f"{name} {one['versions'][name]}" for name in names),
        formula=contest.scoring.formula,
        accuracy=contest.formula.accuracy,
        memory=contest.formula.memory,
        speed=contest.formula.speed,
        questions=sum(benchmark["questions"] for benchmark in one["benchmarks"]),
        rounds=f"{rounds[0]}–{rounds[-1]}" if len(rounds) > 1 else rounds[0],
    )


def _interval(term: dict[str, Any]) -> str:
    return f"{term['value']:.4f} ± {term['half_width']:.4f}"


def _term(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(term for term in result["terms"] if term["name"] == name)
