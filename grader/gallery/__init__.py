"""Bad, tricky and good submissions with their expected codes, for tests of the checker and live trials by
operators.

::

    for case in CASES:
        findings = judge(case, contest, empty_folder)   # builds the archive, unpacks and checks it
        fault = find_fault(case, findings)              # "" or what is wrong with the verdict

``LOADED`` contains those that pass the check but must be refused by a worker.
"""

from grader.gallery import (
    accepted,
    archives,
    configs,
    headers,
    loaded,
    organiser,
    quantisation,
    weights,
)
from grader.gallery.case import Bench, Case, find_fault, judge, verdict
from grader.gallery.tiny import tiny_contest

CASES: tuple[Case, ...] = (
    *accepted.cases(),
    *archives.cases(),
    *configs.cases(),
    *organiser.cases(),
    *headers.cases(),
    *weights.cases(),
    *quantisation.cases(),
)

LOADED: tuple[Case, ...] = tuple(loaded.cases())

__all__ = ["CASES", "LOADED", "Bench", "Case", "find_fault", "judge", "tiny_contest", "verdict"]
