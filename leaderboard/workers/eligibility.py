"""Which worker may grade which contest, and why not."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.utils.translation import gettext as _

from grader.contest import Hardware
from grader.contest.parts import SANDBOX_LEVELS
from leaderboard.models import ContestVersion, Worker


def obstacles(worker: Worker, hardware: Hardware, gpus_needed: int = 1) -> list[str]:
    """Requirements in the contest's ``[hardware]`` that the worker does not meet, one sentence each.

    ``gpus_needed`` is the contest's ``tensor_parallel``; if it is 1, any device will do.
    """
    found = []
    if hardware.devices and worker.device not in hardware.devices:
        wanted = ", ".join(hardware.devices)
        found.append(
            _("device is %(device)s, accepted: %(wanted)s")
            % {"device": worker.device or "?", "wanted": wanted}
        )
    if hardware.gpus and not any(_names(gpu, worker.device_name) for gpu in hardware.gpus):
        wanted = ", ".join(hardware.gpus)
        found.append(
            _("device name is %(name)s, accepted: %(wanted)s")
            % {"name": worker.device_name or "?", "wanted": wanted}
        )
    if gpus_needed > max(1, worker.gpu_count):
        found.append(
            _("has %(n)d GPUs, the engines need %(wanted)d")
            % {"n": worker.gpu_count, "wanted": gpus_needed}
        )
    if _level(worker.sandbox) < _level(hardware.sandbox):
        found.append(
            _("sandbox is %(level)s, at least %(wanted)s is needed")
            % {"level": worker.sandbox or "?", "wanted": hardware.sandbox}
        )
    return found


def why_not(worker: Worker, version: ContestVersion) -> list[str]:
    """Why the worker may not grade under this version of a contest; empty if it may."""
    has = worker.contests.get(version.contest_id)
    if has is None:
        return [_("has no file for this contest")]
    if has != version.sha256 and has not in version.equivalent_digests:
        return [
            _("has another version of the contest file: %(has)s, current: %(wanted)s")
            % {"has": str(has)[:12], "wanted": version.sha256[:12]}
        ]
    rules = version.rules
    return obstacles(worker, rules.hardware, rules.engine.tensor_parallel)


def able(workers: Iterable[Worker], version: ContestVersion) -> list[Worker]:
    """Those of ``workers`` that may grade under this version."""
    return [worker for worker in workers if not why_not(worker, version)]


def _names(gpu: str, device_name: str) -> bool:
    """Whether a name matches as whole words: ``L4`` matches ``NVIDIA L4``, not ``NVIDIA L40S``."""
    return re.search(rf"(?<!\w){re.escape(gpu)}(?!\w)", device_name, re.IGNORECASE) is not None


def _level(name: str) -> int:
    return SANDBOX_LEVELS.index(name) if name in SANDBOX_LEVELS else 0
