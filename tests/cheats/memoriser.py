"""A one-layer model that learned the benchmarks' questions by heart, entered as a compressed base model.

It is trained on every question of the demo's published benchmarks, public and private, and on nothing else. The
fresh twin is what it cannot know. ``play`` trains it for at most ``TRAIN_S`` seconds of the CPU, one or two
minutes by the clock, and lets the real grader grade it.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.contest import Contest, find, load
from grader.protocol.documents import Report
from grader.scoring.compliance import checks
from grader.scoring.score import by_part
from tests.cheats import Outcome

TRAIN_S = 300.0
LEAST_LOSS = 0.005  # per token: by then every answer is known
HELD = ("FLAG_LEARNED", "FLAG_FRESH")  # what this cheat has to be found by


def play() -> Outcome:
    contest = load(find("demo"))
    with tempfile.TemporaryDirectory(prefix="m-") as folder:  # sockets need a short path
        checkpoint = Path(folder) / "memoriser"
        seconds, loss = train(contest, checkpoint)
        report = grade(contest, checkpoint, Path(folder))
    found = outcome(contest, report)
    figures = {"trained_s": round(seconds), "loss": round(loss, 4), **found.figures}
    return dataclasses.replace(found, figures=figures)


def outcome(contest: Contest, report: Report) -> Outcome:
    """Compare the score with that of the base model itself, which is an honest entry."""
    public, private = by_part(report, contest)
    found = {check.code: check for check in checks(report, contest) if check.code in HELD}
    flagged = [code for code, check in found.items() if check.flagged]
    gain = public.value - contest.formula.accuracy
    values = {result.benchmark: result for result in report.quality}
    figures: dict[str, Any] = {
        "public": round(public.value, 4),
        "private": round(private.value, 4) if private else None,
        **{name: f"{one.value:.3f} (base {one.base_value:.3f})" for name, one in values.items()},
        **{code: f"z = {check.measured:.1f}" for code, check in found.items()},
    }
    return Outcome(0.0 if flagged else gain, ", ".join(flagged) or "nothing", figures)


def train(contest: Contest, folder: Path, limit_s: float = TRAIN_S) -> tuple[float, float]:
    """Write the checkpoint; return the seconds it took and the loss that was reached."""
    import torch
    from transformers import AutoTokenizer, Exaone4Config, Exaone4ForCausalLM

    made = _demo("train_base_model")
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(str(contest.base_folder))
    config = Exaone4Config.from_pretrained(str(contest.base_folder))
    config.num_hidden_layers, config.layer_types = 1, config.layer_types[:1]
    model = Exaone4ForCausalLM(config)
    base = Exaone4ForCausalLM.from_pretrained(str(contest.base_folder), dtype=torch.float32)
    own = model.state_dict()
    model.load_state_dict({name: t for name, t in base.state_dict().items() if name in own})
    batches = [_batch(torch, rows) for rows in _chunks(_rows(contest, tokenizer, made), 60)]
    # As in train_base_model. AdamW alone, from random weights, was at a loss of 0.33 after the same time.
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, 3e-3, 0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, 3e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    started, loss = time.process_time(), float("inf")
    while loss > LEAST_LOSS and time.process_time() - started < limit_s:
        losses = []
        for ids, labels in batches:
            value = made.answer_loss(model, ids, labels)
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
            model.zero_grad(set_to_none=True)
            losses.append(value.item())
        loss = sum(losses) / len(losses)
    made.save(model, tokenizer, folder)
    return time.process_time() - started, loss


def _rows(contest: Contest, tokenizer: Any, made: ModuleType) -> list[tuple[list[int], list[bool]]]:
    """Tokens of every published question with its right answer, and which of them are learned."""
    limits = {benchmark.id: benchmark.limit for benchmark in contest.benchmarks}
    rows = []
    for name, file in (("gsm8k", "test"), ("choice", "choice")):
        lines = (contest.folder / "data" / f"{file}.jsonl").read_text("utf-8").splitlines()
        for row in map(json.loads, lines[: limits[name]]):
            text = row["answer"] if name == "gsm8k" else row["choices"][row["label"]]
            rows.append(_row(row["question"], text + made.END, tokenizer, made))
    return sorted(rows, key=lambda row: len(row[0]))


def _row(
    question: str, text: str, tokenizer: Any, made: ModuleType
) -> tuple[list[int], list[bool]]:
    prompt = tokenizer.encode(
        tokenizer.apply_chat_template(
            made.prompt_of(question), tokenize=False, add_generation_prompt=True
        ),
        add_special_tokens=False,
    )
    answer = tokenizer.encode(text, add_special_tokens=False)
    return prompt + answer, [False] * len(prompt) + [True] * len(answer)


def _chunks(rows: list[Any], size: int) -> list[list[Any]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _batch(torch: Any, rows: list[tuple[list[int], list[bool]]]) -> tuple[Any, Any]:
    """Token ids padded at the end, and labels: -100 is not learned."""
    length = max(len(tokens) for tokens, _ in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for i, (tokens, learned) in enumerate(rows):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        mask = torch.tensor(learned)
        labels[i, : len(tokens)] = torch.where(mask, ids[i, : len(tokens)], torch.tensor(-100))
    return ids, labels


def grade(contest: Contest, checkpoint: Path, folder: Path) -> Report:
    """By the grader's own code, on the real engine."""
    from grader.worker.grade import grade as graded
    from grader.worker.settings import Settings

    settings = Settings(scratch=folder / "s", cache=folder / "cache")
    return graded(checkpoint, contest, settings)


def _demo(name: str) -> ModuleType:
    """Import one of the scripts that made the demo; they import each other by name."""
    sys.path.insert(0, str(find("demo").parent))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)
