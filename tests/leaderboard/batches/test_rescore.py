"""Rescoring: the board does not change until apply, follows one version, and undo restores it exactly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.protocol.documents import Report
from grader.schema import decode
from grader.scoring import inputs
from leaderboard import batches, lifecycle, teams
from leaderboard.batches import Filter
from leaderboard.contests import loading
from leaderboard.core.errors import Refused
from leaderboard.models import (
    AuditEntry,
    Batch,
    BatchItem,
    Contest,
    Delivery,
    Evaluation,
    Result,
    Score,
    ScoreInputs,
)
from tests import factories
from tests.leaderboard.batches import town

pytestmark = pytest.mark.django_db
Status = Batch.Status


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    from grader.scoring import score

    if hasattr(score, "RESAMPLES"):
        monkeypatch.setattr("grader.scoring.score.RESAMPLES", 50)


@pytest.fixture
def contest(tmp_path):
    return town.build(tmp_path)


@pytest.fixture
def changed(contest, tmp_path):
    """Other weights are loaded and pending."""
    loading.load(str(town.file_of(tmp_path, town.CHANGED_WEIGHTS)))
    contest.refresh_from_db()
    return contest


def made(contest, kind="rescore", wanted=None, **options):
    batch = batches.prepare(
        contest, kind, wanted or Filter(), reason="a weight was wrong", by="organiser", **options
    )
    batches.start(batch, by="organiser")
    batches.advance(batch)
    return batch


def refused(code, act):
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.code == code
    assert caught.value.message and caught.value.hint
    assert "%(" not in str(caught.value)


def test_new_weights_wait_and_the_board_does_not_move(contest, tmp_path):
    before = town.picture(contest)
    _, is_changed = loading.load(str(town.file_of(tmp_path, town.CHANGED_WEIGHTS)))
    contest.refresh_from_db()
    assert is_changed
    assert contest.pending is not None and contest.pending != contest.version
    assert town.picture(contest) == before
    batch = made(contest)
    assert batch.status == Status.READY
    assert town.picture(contest) == before


def test_apply_moves_the_whole_board_to_the_new_version_at_once(changed):
    batch = made(changed)
    assert town.ranking(changed)[0] == "accurate"
    count = batches.apply(batch, by="organiser")
    changed.refresh_from_db()
    assert count == 9
    assert (changed.version, changed.pending) == (batch.version, None)
    assert town.ranking(changed)[0] == "fast"
    counted = Score.objects.filter(current_for__isnull=False)
    assert set(counted.values_list("version", flat=True)) == {batch.version_id}


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10)).filter(any))
def test_apply_then_undo_is_the_identity_on_the_board(contest, tmp_path, weights):
    before, total = town.picture(contest), sum(weights)
    accuracy, memory = (round(w / total, 6) for w in weights[:2])
    new = (
        f"accuracy = {accuracy}\nmemory = {memory}\nspeed = {abs(round(1 - accuracy - memory, 6))}"
    )
    loading.load(str(town.file_of(tmp_path, (town.CHANGED_WEIGHTS[0], new))))
    contest.refresh_from_db()
    batch = made(contest)
    batches.apply(batch, by="organiser")
    batches.undo(batch, by="organiser")
    assert town.picture(contest) == before
    assert batch.status == Status.UNDONE


def test_a_broken_question_is_left_out_by_a_rescore_and_comes_back_with_the_undo(contest, tmp_path):
    before = town.picture(contest)
    one = Result.objects.filter(evaluation__submission__kind="team").first()
    items = lifecycle.whole_report(one)["quality"][0]["items"]
    broken = [i["doc_id"] for i in items if i["value"] > i["base_value"]]
    line = f"limit = 160\nexclude_docs = {broken}"
    loading.load(str(town.file_of(tmp_path, ("limit = 160", line))))
    contest.refresh_from_db()
    assert contest.pending is not None, "scores differ, so the rules wait"
    batch = made(contest)
    assert town.picture(contest) == before
    old = Score.objects.get(current_for=one.evaluation_id)
    batches.apply(batch, by="organiser")
    new = Score.objects.get(current_for=one.evaluation_id)
    assert new.accuracy < old.accuracy, "what it alone got right does not count any more"
    assert (new.speedup, new.safetensors_bytes) == (old.speedup, old.safetensors_bytes)
    assert Result.objects.get(pk=one.pk).report == one.report, "measured, and kept as it was"
    batches.undo(batch, by="organiser")
    assert town.picture(contest) == before


def test_scores_from_stored_json_are_those_of_the_report(contest):
    for result in Result.objects.all():
        whole = lifecycle.whole_report(result)
        report = decode(Report, whole)
        measured = inputs.of_document(whole)
        assert measured == inputs.of(report)
        fields = lifecycle.score_fields(report, contest.version)
        assert lifecycle.score_fields(measured, contest.version) == fields
        (packed,) = lifecycle.score_inputs([result.pk]).values()
        assert lifecycle.score_fields(packed, contest.version) == fields
        Result.objects.filter(pk=result.pk).update(report=whole, is_packed=None)
    ScoreInputs.objects.all().delete()  # as an earlier release left it
    found = lifecycle.score_inputs(list(Result.objects.values_list("pk", flat=True)))
    together = lifecycle.score_fields_of_many(found, contest.version)
    for result in Result.objects.all():
        report = decode(Report, result.report)
        assert together[result.pk] == lifecycle.score_fields(report, contest.version)
    assert ScoreInputs.objects.count() == len(found) == Result.objects.count()


def test_cancel_leaves_everything_as_it_was(changed):
    before = town.picture(changed)
    batch = made(changed)
    batches.cancel(batch, by="organiser")
    assert town.picture(changed) == before
    assert batch.status == Status.CANCELLED
    made(changed)  # the entries are free for the next one


@pytest.mark.parametrize("undone", [False, True])
def test_scores_that_will_never_count_keep_no_replicates(changed, undone):
    before = town.picture(changed)
    batch = made(changed)
    new = set(batch.items.values_list("new_score", flat=True))
    assert len(Score.objects.get(pk=min(new)).replicates) == 4000
    if undone:
        batches.apply(batch, by="organiser")
        batches.undo(batch, by="organiser")
    else:
        batches.cancel(batch, by="organiser")
    for score in Score.objects.all():
        kept = 0 if score.pk in new else 4000
        assert (len(score.replicates), len(score.private_replicates)) == (kept, kept)
    assert town.picture(changed) == before
    assert batches.review(batch).done == 9


def test_entries_scored_after_the_start_come_along_when_it_is_applied(changed):
    batch = made(changed)
    late = factories.scored(contest=changed, speedup=3.0, accuracy=0.4)
    assert late.score.version == changed.version
    batches.apply(batch, by="organiser")
    late.refresh_from_db()
    assert late.score.version == batch.version
    batches.undo(batch, by="organiser")
    late.refresh_from_db()
    assert late.score.version == batch.old_version


def test_entries_scored_after_applying_go_back_with_the_undo(changed):
    batch = made(changed)
    batches.apply(batch, by="organiser")
    changed.refresh_from_db()
    late = factories.scored(contest=changed, speedup=3.0)
    assert late.score.version == batch.version
    batches.undo(batch, by="organiser")
    late.refresh_from_db()
    assert late.score.version == batch.old_version
    assert set(
        Evaluation.objects.filter(is_current=True).values_list("score__version", flat=True)
    ) == {batch.old_version_id}


def test_newer_rules_that_wait_are_not_lost(changed, tmp_path):
    """Loaded while a batch for earlier rules was running: that batch can no longer be applied."""
    batch, before = made(changed), town.picture(changed)
    newer = (town.WEIGHTS, "accuracy = 0.1\nmemory = 0.1\nspeed = 0.8")
    loading.load(str(town.file_of(tmp_path, newer)))
    changed.refresh_from_db()
    assert changed.pending != batch.version
    refused("BATCH_VERSION", lambda: batches.apply(batch, by="organiser"))
    batch.refresh_from_db()
    assert batch.status == Status.READY and town.picture(changed) == before
    batches.cancel(batch, by="organiser")
    fresh = made(changed)
    batches.apply(fresh, by="organiser")
    assert Contest.objects.get(pk=changed.pk).version == changed.pending == fresh.version


def test_undo_keeps_what_was_loaded_since(changed, tmp_path):
    batch = made(changed)
    batches.apply(batch, by="organiser")
    newer = (town.WEIGHTS, "accuracy = 0.1\nmemory = 0.1\nspeed = 0.8")
    contest, _ = loading.load(str(town.file_of(tmp_path, newer)))
    batches.undo(batch, by="organiser")
    after = Contest.objects.get(pk=changed.pk)
    assert (after.version, after.pending) == (batch.old_version, contest.pending)


def test_undo_leaves_nothing_waiting_where_the_old_rules_had_been_loaded_again(changed, tmp_path):
    batch = made(changed)
    batches.apply(batch, by="organiser")
    contest, _ = loading.load(str(town.file_of(tmp_path)))
    assert contest.pending == batch.old_version
    batches.undo(batch, by="organiser")
    after = Contest.objects.get(pk=changed.pk)
    assert (after.version, after.pending) == (batch.old_version, None)


def test_a_report_that_arrives_after_the_rules_changed_is_scored_under_those_in_force(changed):
    running = factories.running(evaluation=factories.submission(contest=changed))
    report = factories.report(contest=changed)
    batches.apply(made(changed), by="organiser")
    lifecycle.record(running.pk, 1, report)
    running.refresh_from_db()
    changed.refresh_from_db()
    assert running.score.version == changed.version


def test_teams_that_merge_while_it_computes_stand_once(changed, monkeypatch):
    """The computed scores name the teams that owned the entries when they were read."""
    went, stays = (changed.teams.get(name=name) for name in ("slow", "fast"))
    captains = [team.memberships.get().user for team in (went, stays)]
    append = batches.rescoring.copying.append

    def merged_meanwhile(rows):
        teams.merge(teams.offer(stays, "slow", captains[1]), captains[0])
        append(rows)

    monkeypatch.setattr(batches.rescoring.copying, "append", merged_meanwhile)
    batch = made(changed)
    batches.apply(batch, by="organiser")
    assert sorted(town.ranking(changed)) == ["accurate", "fast", "middling"]
    assert not Score.objects.filter(current_for__isnull=False, team=went).exists()
    batches.undo(batch, by="organiser")
    assert "slow" not in town.ranking(changed)


def test_waiting_entries_follow_the_rules_and_a_note_says_so(changed):
    waiting = factories.checked(evaluation=factories.submission(contest=changed))
    batch = made(changed)
    batches.apply(batch, by="organiser")
    waiting.refresh_from_db()
    assert waiting.version == batch.version
    assert batch.version.sha256[:12] in waiting.transitions.last().reason


def test_a_worker_with_the_new_file_grades_what_waits_under_the_old_one_if_it_grades_alike(changed):
    waiting = factories.checked(evaluation=factories.submission(contest=changed))
    assert waiting.version == changed.version != changed.pending
    job = lifecycle.claim(factories.worker(), {changed.slug: changed.pending.sha256})
    assert job.evaluation == waiting.pk
    assert job.contest_sha256 == changed.pending.sha256


def test_the_review_names_who_moves_medals_first(changed):
    batch = made(changed)
    found = batches.review(batch)
    assert (found.total, found.done, found.teams) == (9, 9, 4)
    assert found.matrix == [("scored", "scored", 9)]
    moves = {m.entrant: (m.old_rank, m.new_rank) for m in found.moves}
    assert moves["fast"] == (3, 1)
    assert found.moves[0].is_medal and min(found.moves[0].old_rank, found.moves[0].new_rank) == 1
    assert found.changed + found.quiet == 9
    assert found.changes[0].delta == max((c.delta for c in found.changes), key=abs)


def test_the_review_says_the_same_after_applying(changed):
    batch = made(changed)
    before = batches.review(batch)
    batches.apply(batch, by="organiser")
    assert batches.review(batch) == before


def test_changes_below_the_noise_threshold_are_not_listed(changed):
    found = batches.review(made(changed, noise=10.0))
    assert (found.changed, found.changes, found.quiet) == (0, [], 9)


def test_a_rescore_without_new_rules_changes_nothing(contest):
    scores = Score.objects.count()
    batch = made(contest)
    assert batches.apply(batch, by="organiser") == 0
    assert Score.objects.count() == scores


@pytest.mark.parametrize("act", [batches.apply, batches.cancel])
def test_a_batch_is_decided_once(changed, act):
    batch = made(changed)
    batches.apply(batch, by="organiser")
    after = town.picture(changed)
    refused("BATCH_STATE", lambda: act(batch, by="somebody else"))
    assert town.picture(changed) == after


def test_a_batch_is_started_once(changed):
    batch = batches.prepare(changed, "rescore", Filter(), reason="x", by="organiser")
    batches.start(batch, by="organiser")
    refused("BATCH_STATE", lambda: batches.start(batch, by="organiser"))
    assert batch.items.count() == 9


def test_two_batches_over_the_same_entries_are_refused(changed):
    before = town.picture(changed)
    first = made(changed)
    second = batches.prepare(changed, "rescore", Filter(), reason="again", by="organiser")
    refused("BATCH_OVERLAP", lambda: batches.start(second, by="organiser"))
    second.refresh_from_db()
    assert second.status == Status.DRAFT
    assert town.picture(changed) == before
    assert BatchItem.objects.filter(batch=second).count() == 0
    batches.apply(first, by="organiser")


def test_apply_while_it_is_at_work_is_refused(contest):
    batch = made(contest, "regrade")
    assert batch.status == Status.RUNNING
    refused("BATCH_RUNNING", lambda: batches.apply(batch, by="organiser"))


def test_undo_of_a_batch_that_a_later_one_covers_is_refused(contest):
    first = made(contest)
    batches.apply(first, by="organiser")
    second = made(contest)
    refused("BATCH_COVERED", lambda: batches.undo(first, by="organiser"))
    batches.apply(second, by="organiser")
    refused("BATCH_COVERED", lambda: batches.undo(first, by="organiser"))
    batches.undo(second, by="organiser")
    batches.undo(first, by="organiser")


def test_a_retry_computes_what_could_not_be_computed(changed):
    one = Result.objects.filter(evaluation__submission__kind="team").first()
    whole = lifecycle.whole_report(one)
    Result.objects.filter(pk=one.pk).update(report={**one.report, "quality": []}, is_packed=None)
    ScoreInputs.objects.filter(evaluation=one.pk).delete()
    batch = made(changed)
    assert batches.review(batch).done == 9 and len(batches.review(batch).problems) == 1
    refused("BATCH_UNMEASURED", lambda: batches.apply(batch, by="organiser"))
    Result.objects.filter(pk=one.pk).update(report=whole)
    ScoreInputs.objects.filter(evaluation=one.pk).delete()
    batch.refresh_from_db()
    assert batches.retry(batch, by="organiser") == 1
    assert batches.advance(batch)
    assert batches.apply(batch, by="organiser") == 9


def test_part_of_a_board_cannot_go_over_to_new_rules(changed):
    refused(
        "BATCH_PARTIAL",
        lambda: batches.prepare(changed, "rescore", Filter(score_min=0.5), reason="x", by="o"),
    )


def test_what_makes_no_sense_is_refused_with_a_hint(contest):
    def prepare(wanted=None, **options):
        options = {"reason": "x", "by": "o"} | options
        return lambda: batches.prepare(contest, "rescore", wanted or Filter(), **options)

    refused("BATCH_REASON", prepare(reason="  "))
    refused("BATCH_EMPTY", prepare(Filter(team=0)))
    refused("BATCH_EMPTY", prepare(Filter(phase="no such phase")))
    refused("BATCH_REPEATS", prepare(repeats=0))
    refused("BATCH_WORKERS", prepare(workers=["nobody"]))
    Contest.objects.update(finalised_at=timezone.now())
    refused("BATCH_FINAL", prepare())
    assert not Batch.objects.exists()


def test_the_filter_chooses(contest):
    def count(**fields):
        return batches.chosen(contest, "rescore", Filter(**fields)).count()

    middle = sorted(Score.objects.values_list("value", flat=True))[4]
    assert count() == 9
    assert count(score_min=middle) + count(score_max=middle) == 10
    assert (count(best=True), count(final=True)) == (5, 9)  # a team sends its two best
    assert (count(top=1), count(top=3), count(top=99)) == (2, 6, 8)  # organizers are not among them
    assert count(team=contest.teams.first().pk) == 2
    assert count(worker="gpu-1") == 9
    assert count(worker="gpu-2") == 0
    assert count(since=timezone.now() - timedelta(hours=1)) == 9
    assert count(until=timezone.now() - timedelta(hours=1)) == 0
    assert count(status="failed") == 0
    assert count(phase="open") == 9
    assert count(version=contest.version.sha256[:8]) == 9
    assert count(version="0000000") == 0
    entries = tuple(Evaluation.objects.values_list("submission", flat=True)[:3])
    assert count(submissions=entries) == 3


def test_who_what_and_why_is_kept(changed):
    batch = made(changed)
    batches.apply(batch, by=factories.user(name="hana", is_staff=True))
    batches.undo(batch, by="hana")
    acts = list(AuditEntry.objects.filter(target="batch").order_by("id"))
    assert [a.action for a in acts] == ["batch.start", "batch.apply", "batch.undo"]
    assert acts[1].by_name == "hana" and acts[1].by is not None
    assert acts[1].before == {"version": str(batch.old_version)}
    assert acts[1].reason == "a weight was wrong"
    assert batch.code_version


def test_the_teams_concerned_are_told_once_and_only_when_it_is_applied(changed):
    team = changed.teams.get(name="fast")
    team.memberships.update(mail_kinds=["rescored"])
    to_teams = Delivery.objects.exclude(kind="review")
    batch = made(changed)
    assert not to_teams.exists()
    batches.apply(batch, by="organiser")
    (told,) = to_teams
    assert (told.team, told.kind) == (team, "rescored")
    assert told.event["data"]["reason"] == "a weight was wrong"
    assert told.event["data"]["before"] != told.event["data"]["score"]


def test_telling_asks_nobody_who_does_not_listen(changed):
    def cost():
        batch = made(changed)
        with CaptureQueriesContext(connection) as found:
            batches.apply(batch, by="organiser")
        batches.undo(batch, by="organiser")
        return len(found)

    before = cost()
    for _ in range(3):
        factories.scored(contest=changed, speedup=3.0)
    assert cost() == before


def test_an_interrupted_rescore_goes_on_where_it_stopped(changed, monkeypatch):
    batch = batches.prepare(changed, "rescore", Filter(), reason="x", by="o")
    batches.start(batch, by="o")
    monkeypatch.setattr("leaderboard.batches.rescoring.CHUNK", 4)
    real, calls = batches.running.rescoring._compute, []

    def breaks_at_the_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise ConnectionError("the process was killed")
        real(*args)

    monkeypatch.setattr("leaderboard.batches.rescoring._compute", breaks_at_the_second)
    with pytest.raises(ConnectionError):
        batches.advance(batch)
    assert batch.items.filter(new__isnull=False).count() == 4
    monkeypatch.setattr("leaderboard.batches.rescoring._compute", real)
    assert batches.advance(batch)
    assert batch.items.filter(new_score__isnull=False).count() == 9
