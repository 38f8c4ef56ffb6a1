"""Every refusal: the HTTP status of each code, and the texts of codes that only the site uses.

Texts of codes about submissions, teams and uploads are in ``grader.problems``, which checker, worker and CLI
share. Codes never change.
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from grader.problems.catalogue import CATALOGUE

Words = Promise | str

CONFLICT = 409  # the default status: the request conflicts with the current state

STATUS = {
    "BODY_TOO_LARGE": 413,
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

# The problem, then the fix.
WORDS: dict[str, tuple[Words, Words]] = {
    "BODY_TOO_LARGE": (
        _("The request is larger than %(limit)s bytes."),
        _("Send files to the upload addresses only, logged in or with a token."),
    ),
    "BATCH_REASON": (
        _("A batch needs a reason."),
        _("Explain why in one sentence; it is stored with the batch."),
    ),
    "BATCH_REPEATS": (
        _("The number of repeats must be between 1 and %(most)d."),
        _("Choose fewer."),
    ),
    "BATCH_WORKERS": (
        _("No such worker: %(names)s."),
        _("Worker names are listed in the admin."),
    ),
    "BATCH_TWO_WORKERS": (
        _("Comparing the top teams head to head takes at least two different workers."),
        _("Choose two or more, or leave the number of teams empty."),
    ),
    "BATCH_PARTIAL": (
        _("New rules are waiting to take effect, and the board always shows a single version."),
        _("Leave the filter empty: such a batch covers every entry."),
    ),
    "BATCH_EMPTY": (
        _("The filter matches no entries."),
        _("Widen it. A rescore needs scored entries; a regrade, scored or failed ones."),
    ),
    "BATCH_NEEDS_REGRADE": (
        _("Stored reports lack what the new rules need: %(keys)s."),
        _("Run a regrade instead: it measures again."),
    ),
    "BATCH_OVERLAP": (
        _("%(count)d of these entries are in another batch that is still undecided: %(others)s."),
        _("Apply or cancel that batch first, or choose other entries."),
    ),
    "BATCH_STATE": (
        _("Batch #%(batch)d is in the state “%(state)s”; this needs “%(needed)s”."),
        _("Reload the page; someone else may have acted first."),
    ),
    "BATCH_RUNNING": (
        _("Batch #%(batch)d is still running."),
        _("Wait until it is ready for a decision, or cancel it."),
    ),
    "BATCH_FINAL": (
        _("The contest is finalized."),
        _("Its board can no longer change."),
    ),
    "BATCH_VERSION": (
        _("The current or waiting rules differ from those that batch #%(batch)d was made for."),
        _("If it is not applied yet, cancel it. A new batch uses the rules loaded last."),
    ),
    "BATCH_LATE_ENTRIES": (
        _("%(count)d entries were scored after batch #%(batch)d started."),
        _("Click “Include new entries”, wait until the batch is ready again, then apply it."),
    ),
    "BATCH_UNMEASURED": (
        _("%(count)d entries could not be measured, and the board always shows a single version."),
        _(
            "Measure them again with “Retry”, or disqualify them: they then fail under the new rules."
        ),
    ),
    "BATCH_COVERED": (
        _("Another batch has changed these entries since, or is about to: %(others)s."),
        _("Undo or cancel that batch first."),
    ),
    "BATCH_NEWCOMERS": (
        _(
            "%(count)d entries have since been measured under the rules of batch #%(batch)d, not the old ones."
        ),
        _(
            "Load the old contest file and apply a regrade: it measures every entry under those rules."
        ),
    ),
    "BATCH_MOVED": (
        _("The current scores of %(count)d entries have changed since batch #%(batch)d was made."),
        _("Nothing was changed. Cancel the batch and start a new one."),
    ),
    "CLOSING_REASON": (
        _("Finalizing needs a reason."),
        _("Explain in one sentence why the result is final; it is stored with the result."),
    ),
    "CLOSING_FINAL": (
        _("The contest is already finalized."),
        _("Its board can no longer change."),
    ),
    "CLOSING_NOT_FINAL": (
        _("The contest is not finalized."),
        _("Evidence can be exported only once the result is final."),
    ),
    "CLOSING_PHASE": (
        _("The last phase, including the grace period for uploads, ends at %(until)s."),
        _("Wait until then, or load a contest file with earlier dates."),
    ),
    "CLOSING_CHOOSING": (
        _("Teams can choose their final entries until %(until)s."),
        _("Wait until then, or load a contest file with an earlier date."),
    ),
    "CLOSING_QUEUE": (
        _("%(count)d entries are waiting or being graded."),
        _("Wait until the queue is empty, or cancel what should not be graded."),
    ),
    "CLOSING_BATCH": (
        _("Some batches are still undecided: %(batches)s."),
        _("Apply or cancel them."),
    ),
    "CLOSING_PENDING": (
        _("Rules have been loaded that are not in effect yet: %(version)s."),
        _("Apply the batch that moves the board to them, or load the current file again."),
    ),
    "CLOSING_HELD": (
        _("Entries in the first places are under review: %(entries)s."),
        _("Look at them on the desk, or wait until the contest's hours have passed."),
    ),
    "CLOSING_EMPTY": (
        _("No team has a score."),
        _("There is no result to finalize."),
    ),
    "CSRF": (
        _("This page has expired."),
        _("Reload the page."),
    ),
    "LOGS_CLOSED": (
        _("Only the submission's team can see its logs."),
        _("Ask the organizers."),
    ),
    "NOT_REVEALED": (
        _("The private board is not revealed yet."),
        _("See the contest's phases."),
    ),
    "NOT_SCORED": (
        _("This submission has no score."),
        _("Check its status."),
    ),
    "NO_TEAM": (
        _("You are not in a team of this contest."),
        _("Create or join one."),
    ),
    "RATE_LIMITED": (
        _("More than %(n)s requests per minute."),
        _("Wait %(seconds)s s and send requests less often; see the RateLimit headers."),
    ),
    "STALE_ATTEMPT": (  # for workers, whose logs are in English
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
        _("This token has the scopes %(scopes)s, but needs %(needed)s."),
        _("Create a new token on your account page."),
    ),
}


def words_of(code: str) -> tuple[str, str]:
    """Sentence and hint in the reader's language, with placeholders unfilled."""
    if code in WORDS:
        sentence, hint = WORDS[code]
        return str(sentence), str(hint)
    kind, language = CATALOGUE[code], get_language() or "en"
    return kind.sentence(language), kind.hint(language)
