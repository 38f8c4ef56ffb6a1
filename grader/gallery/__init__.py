"""Bad, tricky and good submissions by expected code: tests hold the checker to them, operators can try them live.

::

    for case in CASES:
        findings = judge(case, contest, empty_folder)   # builds the archive, unpacks and checks it
        fault = find_fault(case, findings)              # "" or what is wrong with the verdict
"""

from grader.gallery import accepted, archives, configs, tensors
from grader.gallery.case import Bench, Case, find_fault, judge
from grader.gallery.tiny import tiny_contest

CASES: tuple[Case, ...] = (*accepted.cases(), *archives.cases(), *configs.cases(), *tensors.cases())

__all__ = ["CASES", "Bench", "Case", "find_fault", "judge", "tiny_contest"]
