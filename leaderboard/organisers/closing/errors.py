"""Why a contest cannot be finalised, or its evidence not be had; nothing was changed."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from leaderboard.core.errors import Refusal

TEXTS = {
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
}


class ClosingError(Refusal):
    texts = TEXTS
