"""The life of an evaluation. The only package that writes ``Evaluation.status``.

    queued → running → scored
       │        ├────→ rejected    the checkpoint breaks a rule: the team's to fix
       │        ├────→ failed      the grader broke: ours to fix, retried, never costs a team anything
       │        └────→ queued      a lost or broken attempt goes back; so does what failed for our sake
       ├──────→ rejected           found before any worker was used
       └──────→ cancelled          by the team while queued; by preflight if the team entered the same before

Each verb does a guarded update (exactly one row, or nothing happens), appends a ``Transition``, and defers side
effects to commit. A worker's message carries its attempt number; an older number updates no row.
"""

from __future__ import annotations

from leaderboard.lifecycle.attempts import claim, fail, progress, record, reject, return_lost_work
from leaderboard.lifecycle.board import board_moves
from leaderboard.lifecycle.entering import (
    CHECK_LEASE_S,
    begin_check,
    cancel,
    fail_check,
    forget_held,
    give_up_check,
    hold,
    pass_check,
    release,
    renew_check,
    return_check,
    submit,
)
from leaderboard.lifecycle.guard import StaleAttempt, Status
from leaderboard.lifecycle.pooling import combine, join_pool, measure_to_confirm
from leaderboard.lifecycle.regrading import (
    fail_unmeasured,
    follow_version,
    pool,
    put_in_force,
    regrade,
    take_out_of_force,
    withdraw,
)
from leaderboard.lifecycle.reports import pack_old_reports, shared, whole_report
from leaderboard.lifecycle.returning import failed_for_our_sake, put_back, put_back_recovered
from leaderboard.lifecycle.review import end_all_reviews, end_reviews, graded_again, looked_at
from leaderboard.lifecycle.score_inputs import score_inputs
from leaderboard.lifecycle.scoring import (
    append_score,
    is_same,
    rescore,
    score_fields,
    score_fields_of_many,
    score_row,
)
from leaderboard.lifecycle.waiting import may_be_next, upcoming

__all__ = [
    "CHECK_LEASE_S",
    "StaleAttempt",
    "Status",
    "append_score",
    "begin_check",
    "board_moves",
    "cancel",
    "claim",
    "combine",
    "end_all_reviews",
    "end_reviews",
    "fail",
    "fail_check",
    "fail_unmeasured",
    "failed_for_our_sake",
    "follow_version",
    "forget_held",
    "give_up_check",
    "graded_again",
    "hold",
    "is_same",
    "join_pool",
    "looked_at",
    "may_be_next",
    "measure_to_confirm",
    "pack_old_reports",
    "pass_check",
    "pool",
    "progress",
    "put_back",
    "put_back_recovered",
    "put_in_force",
    "record",
    "regrade",
    "reject",
    "release",
    "renew_check",
    "rescore",
    "return_check",
    "return_lost_work",
    "score_fields",
    "score_fields_of_many",
    "score_inputs",
    "score_row",
    "shared",
    "submit",
    "take_out_of_force",
    "upcoming",
    "whole_report",
    "withdraw",
]
