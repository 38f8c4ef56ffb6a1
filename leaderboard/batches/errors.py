"""Why a batch cannot do what was asked; the board is as it was."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from leaderboard.core.errors import Refusal

TEXTS = {
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
}


class BatchError(Refusal):
    texts = TEXTS
