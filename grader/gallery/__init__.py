"""Bad, tricky and good submissions by expected code: what the tests hold the checker to and operators try live.

::

    for case in CASES:
        findings = judge(case, contest, empty_folder)   # builds the archive, unpacks and checks it
        fault = find_fault(case, findings)              # "" or what is wrong with the verdict

``LOADED`` are those that pass the check and that a worker must refuse.
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
