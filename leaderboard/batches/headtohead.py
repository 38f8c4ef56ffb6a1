"""The same entries measured on several workers: each worker's scores, and whether they agree on the order."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from leaderboard.models import Batch


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry on one worker: mean score of its measurements, and its rank there among the batch's entries.

    Attributes:
        spread: sample standard deviation; 0 for a single measurement.
    """

    mean: float
    spread: float
    measurements: int
    place: int


@dataclass(frozen=True, slots=True)
class Row:
    """One entry; ``cells`` in the order of ``HeadToHead.workers``, None where it has not been measured."""

    submission_id: int
    entrant: str
    mean: float
    cells: list[Cell | None]

    @property
    def apart(self) -> float:
        """The largest difference between the workers' means."""
        means = [cell.mean for cell in self.cells if cell]
        return max(means) - min(means)

    @property
    def is_ordered_alike(self) -> bool:
        return len({cell.place for cell in self.cells if cell}) == 1


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """Entries by the mean of their workers' means, best first."""

    workers: list[str]
    rows: list[Row]

    @property
    def agrees(self) -> bool:
        """Whether all workers rank the entries in the same order."""
        return all(row.is_ordered_alike for row in self.rows)


def head_to_head(batch: Batch) -> HeadToHead | None:
    """None unless the batch measures on several workers and something has been measured."""
    if len(batch.workers) < 2:
        return None
    runs: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names: dict[int, str] = {}
    measured = batch.evaluations.filter(score__isnull=False, worker__name__in=batch.workers)
    for run in measured.select_related("submission__team", "score", "worker").order_by("pk"):
        assert run.score is not None and run.worker is not None
        runs[run.submission_id][run.worker.name].append(run.score.value)
        names[run.submission_id] = run.submission.entrant
    if not runs:
        return None
    means = {
        entry: {worker: statistics.fmean(values) for worker, values in by_worker.items()}
        for entry, by_worker in runs.items()
    }
    workers = sorted(batch.workers)
    places = {worker: _places(means, worker) for worker in workers}
    rows = [
        Row(
            entry,
            names[entry],
            statistics.fmean(means[entry].values()),
            [
                Cell(
                    means[entry][worker],
                    statistics.stdev(values) if len(values) > 1 else 0.0,
                    len(values),
                    places[worker][entry],
                )
                if (values := by_worker.get(worker))
                else None
                for worker in workers
            ],
        )
        for entry, by_worker in runs.items()
    ]
    return HeadToHead(workers, sorted(rows, key=lambda row: (-row.mean, row.submission_id)))


def _places(means: dict[int, dict[str, float]], worker: str) -> dict[int, int]:
    """1 for the worker's best entry."""
    there = [entry for entry in means if worker in means[entry]]
    ordered = sorted(there, key=lambda entry: (-means[entry][worker], entry))
    return {entry: place for place, entry in enumerate(ordered, 1)}
