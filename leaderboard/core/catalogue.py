"""What the site refuses with: the HTTP status of every code, and the words of those that are the site's own.

The words of codes about submissions, teams and uploads are in ``grader.problems``, which checker, worker and
CLI share. Codes are stable for ever.
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from grader.problems.catalogue import CATALOGUE

Words = Promise | str

CONFLICT = (
    409  # what is asked for contradicts how things are: the status of every code that is not listed
)

STATUS = {
    "CSRF": 403,
    "HUB_AWAY": 503,
    "HUB_GATED": 403,
    "HUB_GONE": 404,
    "HUB_NOT_FOUND": 404,
    "HUB_OFF": 403,
    "HUB_REPO_ID": 400,
    "HUB_REVISION": 404,
    "LOGS_CLOSED": 403,
    "NOT_REVEALED": 403,
    "NOT_SCORED": 404,
    "NO_TEAM": 404,
    "RATE_LIMITED": 429,
    "RULING_REASON": 400,
    "TEAM_CAPTAIN_ONLY": 403,
    "TEAM_GONE": 404,
    "TEAM_INVITATION": 404,
    "TEAM_INVITATIONS": 429,
    "TEAM_NOT_MEMBER": 403,
    "TEAM_UNKNOWN": 404,
    "TOKEN_EXPIRED": 401,
    "TOKEN_REVOKED": 401,
    "TOKEN_SCOPE": 403,
    "UNAUTHENTICATED": 401,
    "UPLOAD_BUSY": 423,
    "UPLOAD_CHECKS": 429,
    "UPLOAD_CHECKSUM": 460,
    "UPLOAD_CLOSED": 403,
    "UPLOAD_DISK_FULL": 507,
    "UPLOAD_DISQUALIFIED": 403,
    "UPLOAD_EMPTY": 400,
    "UPLOAD_EXPIRED": 410,
    "UPLOAD_LENGTH_MISMATCH": 413,
    "UPLOAD_LOST": 410,
    "UPLOAD_NO_TEAM": 403,
    "UPLOAD_QUOTA": 429,
    "UPLOAD_TOO_LARGE": 413,
    "UPLOAD_TOO_MANY": 429,
}

# What is so, and what to do next.
WORDS: dict[str, tuple[Words, Words]] = {
    "BATCH_REASON": (
        _("A batch needs a reason."),
        _("Say in a sentence why; it is kept with the batch."),
    ),
    "BATCH_REPEATS": (
        _("The number of repeats is between 1 and %(most)d."),
        _("Choose fewer."),
    ),
    "BATCH_WORKERS": (
        _("No such worker: %(names)s."),
        _("The admin lists the workers by name."),
    ),
    "BATCH_TWO_WORKERS": (
        _("The first teams are compared head to head on at least two different workers."),
        _("Choose two or more, or leave the number of teams empty."),
    ),
    "BATCH_PARTIAL": (
        _("New rules are waiting to come into force, and a board is always of one version."),
        _("Leave the filter empty: such a batch takes every entry."),
    ),
    "BATCH_EMPTY": (
        _("The filter chooses no entry."),
        _("Widen it. A rescore needs scored entries, a regrade scored or failed ones."),
    ),
    "BATCH_NEEDS_REGRADE": (
        _("Stored reports do not hold what the new rules need: %(keys)s."),
        _("Measure again: run a regrade instead."),
    ),
    "BATCH_OVERLAP": (
        _("%(count)d of these entries are in a batch that is not decided yet: %(others)s."),
        _("Apply or cancel that batch first, or choose other entries."),
    ),
    "BATCH_STATE": (
        _("Batch #%(batch)d is in the state “%(state)s”; this needs “%(needed)s”."),
        _("Reload the page; somebody else may have been quicker."),
    ),
    "BATCH_RUNNING": (
        _("Batch #%(batch)d is still at work."),
        _("Wait until it is ready to decide, or cancel it."),
    ),
    "BATCH_FINAL": (
        _("The contest is finalised."),
        _("Its board does not change any more."),
    ),
    "BATCH_VERSION": (
        _(
            "The rules in force, or those that wait, are not those that batch #%(batch)d was made for."
        ),
        _(
            "If it is not applied yet, cancel it. A new batch takes the rules that were loaded last."
        ),
    ),
    "BATCH_LATE_ENTRIES": (
        _("%(count)d entries were scored after batch #%(batch)d had been started."),
        _("Use “take in new entries”, wait until the batch is ready again, then apply."),
    ),
    "BATCH_UNMEASURED": (
        _("%(count)d entries could not be measured, and a board is always of one version."),
        _(
            "Measure them again with “retry”, or disqualify them: they then fail under the new rules."
        ),
    ),
    "BATCH_COVERED": (
        _("Batch %(others)s has changed these entries since, or is about to."),
        _("Undo or cancel that one first."),
    ),
    "BATCH_NEWCOMERS": (
        _(
            "%(count)d entries were measured since, as batch #%(batch)d asks and not as the old rules do."
        ),
        _(
            "Load the file with the old rules and apply a regrade: it measures every entry under them."
        ),
    ),
    "BATCH_MOVED": (
        _("%(count)d entries count differently now than when batch #%(batch)d was made."),
        _("Nothing was changed. Cancel the batch and start a new one."),
    ),
    "CLOSING_REASON": (
        _("Finalising needs a reason."),
        _("Say in a sentence on what ground the result is final; it is kept with it."),
    ),
    "CLOSING_FINAL": (
        _("The contest is finalised already."),
        _("Its board does not change any more."),
    ),
    "CLOSING_NOT_FINAL": (
        _("The contest is not finalised."),
        _("Evidence is exported of a result that cannot change any more."),
    ),
    "CLOSING_PHASE": (
        _("Its last phase, with the grace for uploads, ends at %(until)s."),
        _("Wait until then, or load a contest file with earlier dates."),
    ),
    "CLOSING_CHOOSING": (
        _("Teams may choose their entries for the final until %(until)s."),
        _("Wait until then, or load a contest file with an earlier date."),
    ),
    "CLOSING_QUEUE": (
        _("%(count)d entries are waiting or being graded."),
        _("Wait until the queue is empty, or cancel what will not be graded."),
    ),
    "CLOSING_BATCH": (
        _("Batches are not decided yet: %(batches)s."),
        _("Apply or cancel them."),
    ),
    "CLOSING_PENDING": (
        _("Rules are loaded that are not in force: %(version)s."),
        _("Apply the batch that brings the board to them, or load the file in force again."),
    ),
    "CLOSING_EMPTY": (
        _("No team has a score."),
        _("There is no result to finalise."),
    ),
    "CSRF": (
        _("The page is too old to send from."),
        _("Reload the page."),
    ),
    "LOGS_CLOSED": (
        _("Logs are for the entry's team."),
        _("Ask the organisers."),
    ),
    "NOT_REVEALED": (
        _("The private board is not revealed yet."),
        _("See the contest's phases."),
    ),
    "NOT_SCORED": (
        _("This submission has no score."),
        _("Look at its status."),
    ),
    "NO_TEAM": (
        _("You are in no team of this contest."),
        _("Create or join one."),
    ),
    "RATE_LIMITED": (
        _("More than %(n)s requests in a minute."),
        _("Wait %(seconds)s s, and ask less often: see the RateLimit headers."),
    ),
    "STALE_ATTEMPT": (  # to a worker, whose log is English
        "This attempt no longer holds the lease; another one may have taken over.",
        "Stop the engines and ask for new work.",
    ),
    "TOKEN_EXPIRED": (
        _("This token expired on %(day)s."),
        _("Create a new token on your account page."),
    ),
    "TOKEN_REVOKED": (
        _("This token has been revoked."),
        _("Create a new token on your account page."),
    ),
    "TOKEN_SCOPE": (
        _("This token may %(scopes)s, not %(needed)s."),
        _("Create a new token on your account page."),
    ),
}


def words_of(code: str) -> tuple[str, str]:
    """Sentence and hint in the reader's language, values not filled in."""
    if code in WORDS:
        sentence, hint = WORDS[code]
        return str(sentence), str(hint)
    kind, language = CATALOGUE[code], get_language() or "en"
    return kind.sentence(language), kind.hint(language)
