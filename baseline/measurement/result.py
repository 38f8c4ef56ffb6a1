"""A measurement as one JSON document in the site's format, for ``--json``, history and screen."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baseline.measurement import history
from baseline.terminal.errors import CliError, Exit

if TYPE_CHECKING:
    from grader.contest import Contest, Formula
    from grader.protocol.documents import Report


def as_document(report: Report, contest: Contest, formula: Formula) -> dict[str, Any]:
    """Return the measurement in the format of the site's API. ``score`` is None unless every term is there.

    ``board`` is what the public board would show: the same, from its share of the questions.
    """
    from grader.scoring.parts import has_private
    from grader.scoring.score import score, terms

    whole = bool(contest.benchmarks and contest.speed.shapes)
    result = score(report, contest, formula) if whole else None
    found = terms(report, contest, formula)
    public = score(report, contest, formula, "public") if whole and has_private(contest) else None
    weights = {benchmark.id: benchmark.weight for benchmark in contest.benchmarks}
    return {
        "contest": contest.id,
        "contest_sha256": contest.sha256,
        "score": result.value if result else None,
        "half_width": result.half_width if result else None,
        "terms": [
            {"name": t.name, "weight": t.weight, "value": t.value, "half_width": t.half_width,
             "points": t.points, "measured": t.measured, "base": t.base, "capped": t.capped}
            for t in found
        ],
        "board": public and {"score": public.value, "half_width": public.half_width},
        "benchmarks": [
            {"name": q.benchmark, "value": q.value, "stderr": q.stderr, "base_value": q.base_value,
             "questions": len(q.items), "weight": weights[q.benchmark]}
            for q in report.quality
        ],
        "speed": [
            {"name": s.shape, "rounds": len(s.rounds), "pairing": s.pairing,
             "tpot_ms": s.candidate.mean_tpot_ms,
             "base_tpot_ms": s.base.mean_tpot_ms, "output_tokens_per_s": s.candidate.output_tokens_per_s,
             "base_output_tokens_per_s": s.base.output_tokens_per_s}
            for s in report.speed
        ],
        "scheme": report.checkpoint.scheme,
        "safetensors_bytes": report.checkpoint.safetensors_bytes,
        "content_sha256": report.checkpoint.content_sha256,
        "device": report.system.device_name,
        "contest_hardware": contest.hardware.name,
        "questions": history.questions(report),
    }  # fmt: skip


def memory_only(path: Path, contest: Contest, formula: Formula, spoken: str) -> dict[str, Any]:
    """The memory term needs no engine: the checker's byte count is enough."""
    from baseline.checkpoint import local_check

    found = local_check.find(path, contest)
    if found["problems"]:
        words = local_check.in_words(found["problems"][0], spoken)
        message = " ".join(filter(None, (words["sentence"], words["where"], words["detail"])))
        raise CliError(words["code"], message, words["hint"], Exit.PROBLEM)
    facts, base = found["facts"], contest.base_model.safetensors_bytes
    value = 1 - facts.safetensors_bytes / base
    term = {"name": "memory", "weight": formula.memory, "value": value, "half_width": 0.0,
            "points": formula.memory * value, "measured": facts.safetensors_bytes, "base": base}  # fmt: skip
    return {
        "contest": contest.id, "contest_sha256": contest.sha256, "score": None, "half_width": None,
        "terms": [term], "board": None, "benchmarks": [], "speed": [], "scheme": facts.scheme,
        "safetensors_bytes": facts.safetensors_bytes, "content_sha256": facts.content_sha256,
        "device": "", "contest_hardware": contest.hardware.name, "questions": {},
    }  # fmt: skip


def spread(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return how much repeated measurements of one checkpoint differ, for the score and every term."""
    values: dict[str, list[float]] = {}
    for run in runs:
        if run.get("score") is not None:
            values.setdefault("score", []).append(run["score"])
        for term in run["terms"]:
            values.setdefault(term["name"], []).append(term["value"])
    return {
        name: {
            "mean": statistics.fmean(found),
            "sd": statistics.stdev(found) if len(found) > 1 else 0.0,
            "least": min(found),
            "most": max(found),
        }
        for name, found in values.items()
    }
