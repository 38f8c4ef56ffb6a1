"""Combines several measurements of one checkpoint: answers averaged by question, and all rounds together."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from grader.protocol.documents import QualityResult, Report, ServingMetrics, SpeedResult, StageTime
from grader.scoring.inputs import Measurements


def pool(reports: Sequence[Report]) -> Report:
    """Combine reports of the same checkpoint under the same rules, possibly from several workers.

    A question's value is the mean of its values, so questions stay the unit that is resampled. Every round of
    every measurement counts equally. Serving metrics are averaged over the measurements, including percentiles.

    Raises:
        ValueError: no reports, or reports of different checkpoints, benchmarks or questions.
    """
    if not reports:
        raise ValueError("nothing to pool")
    first = reports[0]
    for other in reports[1:]:
        if other.checkpoint.content_sha256 != first.checkpoint.content_sha256:
            raise ValueError("the reports are about different checkpoints")
    workers = dict.fromkeys(report.system.worker for report in reports)
    return dataclasses.replace(
        first,
        quality=tuple(
            _quality(list(same)) for same in zip(*(r.quality for r in reports), strict=True)
        ),
        speed=tuple(_speed(list(same)) for same in zip(*(r.speed for r in reports), strict=True)),
        system=dataclasses.replace(first.system, worker=" + ".join(workers)),
        stages=tuple(
            StageTime(same[0].stage, sum(time.duration_s for time in same))
            for same in zip(*(r.stages for r in reports), strict=False)
        ),
    )


def pool_inputs(found: Sequence[Measurements]) -> Measurements:
    """Return what the formula reads of :func:`pool`, from what it reads of each report."""
    first = found[0]
    if len(found) == 1:
        return first
    return dataclasses.replace(
        first,
        answers={
            name: dataclasses.replace(
                answers,
                values=_means([one.answers[name].values for one in found]),
                base_values=_means([one.answers[name].base_values for one in found]),
            )
            for name, answers in first.answers.items()
        },
        log_ratios={
            shape: [ratio for one in found for ratio in one.log_ratios[shape]]
            for shape in first.log_ratios
        },
    )


def _means(columns: Sequence[Sequence[float]]) -> Sequence[float]:
    if all(column is columns[0] for column in columns):
        return columns[0]
    return [statistics.fmean(same) for same in zip(*columns, strict=True)]


def _quality(results: list[QualityResult]) -> QualityResult:
    first = results[0]
    if any(
        [(i.doc_id, i.doc_hash) for i in other.items]
        != [(i.doc_id, i.doc_hash) for i in first.items]
        or other.benchmark != first.benchmark
        for other in results[1:]
    ):
        raise ValueError(f"{first.benchmark}: the reports hold different questions")
    items = tuple(
        dataclasses.replace(
            same[0],
            value=statistics.fmean(item.value for item in same),
            base_value=statistics.fmean(item.base_value for item in same),
        )
        for same in zip(*(r.items for r in results), strict=True)
    )
    own, base = [i.value for i in items], [i.base_value for i in items]
    return dataclasses.replace(
        first,
        value=statistics.fmean(own),
        stderr=_stderr(own),
        base_value=statistics.fmean(base),
        base_stderr=_stderr(base),
        items=items,
        duration_s=sum(r.duration_s for r in results),
    )


def _stderr(values: Sequence[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def _speed(results: list[SpeedResult]) -> SpeedResult:
    first = results[0]
    if any((other.shape, other.pairing) != (first.shape, first.pairing) for other in results[1:]):
        raise ValueError(f"{first.shape}: the reports hold different load shapes")
    return dataclasses.replace(
        first,
        rounds=tuple(one for result in results for one in result.rounds),
        blocks=tuple(one for result in results for one in result.blocks),
        candidate=_metrics([r.candidate for r in results]),
        base=_metrics([r.base for r in results]),
    )


def _metrics(all_of: list[ServingMetrics]) -> ServingMetrics:
    names = [field.name for field in dataclasses.fields(ServingMetrics)]
    return ServingMetrics(
        **{name: statistics.fmean(getattr(m, name) for m in all_of) for name in names}
    )
