"""Weights carried past the memory term: into the engine's folder, but not into the bytes that are counted.

Each way hides ``HIDDEN_BYTES`` in an otherwise valid checkpoint. A way gains nothing if the checker refuses it,
if the bytes are dropped on the way to the engine, or if they are counted.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from grader.checkpoint import find_problems, rebuild, unpack
from grader.contest import find, load
from grader.gallery import tiny
from grader.gallery.case import Bench
from grader.gallery.tiny import Raw
from tests.cheats import Outcome

HIDDEN_BYTES = 1 << 18
TEXT = "w" * HIDDEN_BYTES
WEIGHTS = "model.safetensors"


def _metadata(bench: Bench) -> Path:
    data = bench.files()[WEIGHTS]
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = {"format": "pt", "more": TEXT}
    return _with_header(bench, json.dumps(header), data[8 + size :])


def _spaces(bench: Bench) -> Path:
    data = bench.files()[WEIGHTS]
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].decode() + " \t" * (HIDDEN_BYTES // 2)
    return _with_header(bench, header, data[8 + size :])


def _with_header(bench: Bench, header: str, rest: bytes) -> Path:
    text = header.encode()
    return bench.with_file(WEIGHTS, len(text).to_bytes(8, "little") + text + rest)


def _tensor(bench: Bench) -> Path:
    hidden = Raw("BF16", (HIDDEN_BYTES // 2,), bytes(HIDDEN_BYTES))
    return bench.with_weights(lambda tensors: tensors.update({"model.more.weight": hidden}))


def _second_file(bench: Bench) -> Path:
    hidden = {"model.more.weight": Raw("BF16", (HIDDEN_BYTES // 2,), bytes(HIDDEN_BYTES))}
    return bench.with_file("more.safetensors", tiny.safetensors(hidden))


WAYS: dict[str, Callable[[Bench], Path]] = {
    "metadata": _metadata,
    "spaces": _spaces,
    "tensor": _tensor,
    "second file": _second_file,
    "trailing bytes": lambda b: b.with_file(WEIGHTS, b.files()[WEIGHTS] + bytes(HIDDEN_BYTES)),
    "other file": lambda b: b.with_file("more.bin", bytes(HIDDEN_BYTES)),
    "config": lambda b: b.with_config(more=TEXT),
    "config, ignored key": lambda b: b.with_config(_name_or_path=TEXT),
    "tokenizer": lambda b: b.with_file("tokenizer.json", json.dumps({"more": TEXT}).encode()),
    "chat template": lambda b: b.with_file("chat_template.jinja", TEXT.encode()),
    "index": lambda b: b.with_file(
        f"{WEIGHTS}.index.json", json.dumps({"metadata": {"more": TEXT}, "weight_map": {}}).encode()
    ),
}


def play() -> Outcome:
    contest = load(find("demo"))
    figures, escaped = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        honest = _carried(
            Bench(contest, _new(folder, "honest")), lambda bench: bench.zip(bench.files())
        )
        if isinstance(honest, str):
            raise AssertionError(f"the honest checkpoint is refused: {honest}")
        for name, way in WAYS.items():
            found = _carried(Bench(contest, _new(folder, name)), way)
            if isinstance(found, str):
                figures[name] = found
                continue
            counted, carried = (own - usual for own, usual in zip(found, honest, strict=True))
            escaped = max(escaped, carried - max(0, counted))
            figures[name] = (
                "counted" if counted >= HIDDEN_BYTES else "dropped" if carried <= 0 else carried
            )
    gain = contest.formula.memory * escaped / contest.base_model.safetensors_bytes
    return Outcome(gain, "the checker, the rebuilt folder", figures)


def _new(folder: str, name: str) -> Path:
    path = Path(folder) / name.replace(" ", "-")
    path.mkdir()
    return path


def _carried(bench: Bench, way: Callable[[Bench], Path]) -> tuple[int, int] | str:
    """The bytes that are counted and those that the engine's folder has; or the code it is refused with."""
    unpacked, rebuilt = bench.folder / "unpacked", bench.folder / "rebuilt"
    problems = unpack(way(bench), unpacked, bench.contest.limits)
    problems = problems or find_problems(unpacked, bench.contest).problems
    if problems:
        return problems[0].code
    facts = rebuild(unpacked, rebuilt, bench.contest)
    return facts.safetensors_bytes, sum(f.stat().st_size for f in rebuilt.iterdir() if f.is_file())
