"""``baseline check --remote``: the site's own check of an archive or a Hub repository, without an entry."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from baseline.remote import submitting
from baseline.remote.client import Site, part
from baseline.terminal.errors import site as site_error
from baseline.terminal.output import note

POLL_S = 2.0
PATIENCE_S = 1800.0


def run(
    contest_site: Site,
    contest: str,
    path: Path | None,
    repo: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Return the site's check document once it is finished. Does not count toward the team's daily quota.

    Raises:
        CliError: the site refuses the check, or does not get to it in time (CHECK_WAITS).
    """
    if path is None:
        document = contest_site.post(f"/api/contests/{part(contest)}/checks", {"repo": repo})
    else:
        with submitting.archive_of(path) as (archive, sha256):
            document = submitting.send(contest_site, contest, archive, {"only_check": "1"}, sha256)
    note(f"Being checked: {document.get('url', '')}")
    begun = clock()
    while document.get("state") == "waiting":
        if clock() - begun > PATIENCE_S:
            raise site_error(
                "CHECK_WAITS",
                "The site has not come to this check yet.",
                f"Look there later: {document.get('url', '')}",
            )
        sleep(POLL_S)
        document = contest_site.get(f"/api/checks/{part(document['key'])}")
    return document
