"""Public and private scores: both stored, one shown."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import fmean

import pytest
from django.utils import timezone

from grader.protocol.documents import Report
from grader.schema import decode
from grader.scoring.compliance import public_private_gap
from grader.scoring.parts import is_public, questions
from leaderboard import batches, lifecycle
from leaderboard.batches import Filter
from leaderboard.board import ranking
from leaderboard.contests import loading
from leaderboard.models import Contest, Evaluation, Result, Score
from leaderboard.submissions import queries
from tests import factories
from tests.leaderboard.batches import town

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


def lopsided(contest, *, right, **facts):
    """A report with right answers only on the ``public`` or the ``private`` questions."""
    measured, rules = factories.report(contest=contest, **facts), contest.rules
    quality = []
    for benchmark, result in zip(rules.benchmarks, measured.quality, strict=True):
        items = tuple(
            replace(
                item,
                base_value=1.0,
                value=float(is_public(rules, benchmark, item.doc_hash) == (right == "public")),
            )
            for item in result.items
        )
        quality.append(replace(result, items=items, value=0.98765))
    return replace(measured, quality=tuple(quality))


def test_plain_columns_are_the_public_score(contest):
    row = factories.scored(contest=contest, measured=lopsided(contest, right="public")).score
    assert row.accuracy == 1.0
    assert row.of("public").accuracy == 1.0
    assert row.of("private").accuracy == 0.0
    assert row.of("private").speedup == row.speedup
    assert row.of("private").safetensors_bytes == row.safetensors_bytes
    assert len(row.replicates) == len(row.private_replicates) == 4000


def test_each_part_has_its_own_board(contest):
    for name in ("public", "private"):
        team = factories.team(contest=contest, name=name)
        factories.scored(contest=contest, team=team, measured=lopsided(contest, right=name))
    orders = {
        part: [e.entrant for e in ranking.board(contest, part).entries]
        for part in ("public", "private")
    }
    assert orders == {"public": ["public", "private"], "private": ["private", "public"]}
    assert all(e.standing.best == e.standing.worst for e in ranking.board(contest).entries)


def test_a_contest_without_private_questions_has_one_score(contest):
    version = contest.version
    source = version.source.replace('public_share = 0.0\ntwin_of = "gsm8k"\n', "")
    source = source.replace("[[benchmarks]]", "[[benchmarks]]\npublic_share = 1.0")
    version.source = source
    version.save(update_fields=["source"])
    row = factories.scored(contest=contest).score
    assert row.private is None
    assert row.of("private") == row.of("public")


@pytest.mark.parametrize("reader", ["anonymous", "owner", "stranger", "staff"])
def test_no_page_tells_a_private_value(contest, client, reader):
    """Right on private questions only: the public accuracy is 0, and any other number would be a leak."""
    evaluation = factories.scored(contest=contest, measured=lopsided(contest, right="private"))
    submission = evaluation.submission
    users = {
        "owner": lambda: submission.team.memberships.get().user,
        "stranger": factories.user,
        "staff": lambda: factories.user(is_staff=True),
    }
    if reader in users:
        client.force_login(users[reader]())
    private = evaluation.score.of("private")
    assert private.value > evaluation.score.value + 0.3
    texts = [
        b"".join(client.get(path)).decode()  # some are streamed
        for path in (
            f"/contests/{contest.slug}/",
            f"/contests/{contest.slug}/board.json",
            f"/contests/{contest.slug}/history/",
            f"/contests/{contest.slug}/history.json",
            f"/api/contests/{contest.slug}/board",
            f"/api/contests/{contest.slug}/history",
            submission.get_absolute_url(),
        )
    ]
    for text in texts:
        assert f"{private.value:.4f}" not in text
        assert f"{private.value:.10f}"[:8] not in text
        # the report's mean over both parts
        assert "98.8\N{NO-BREAK SPACE}%" not in text
        assert "0.98765" not in text


def test_the_reports_summary_is_over_public_questions_and_lists_none(contest):
    evaluation = factories.scored(contest=contest, measured=lopsided(contest, right="private"))
    summary = queries.report_summary(evaluation)
    assert [q["value"] for q in summary["quality"]] == [0.0, 0.0]
    assert all(isinstance(q["items"], int) for q in summary["quality"])
    assert "doc_hash" not in json.dumps(summary["quality"])
    private = queries.report_summary(evaluation, "private")
    assert [q["value"] for q in private["quality"]] == [1.0, 1.0, 1.0]
    *split, fresh = contest.rules.benchmarks
    for a, b, benchmark in zip(summary["quality"], private["quality"][:2], split, strict=True):
        assert a["items"] + b["items"] == benchmark.limit
    assert (private["quality"][2]["benchmark"], fresh.public_share) == (fresh.id, 0.0)


def test_the_summary_follows_the_rules_of_the_score_and_not_those_it_was_measured_under(tmp_path):
    """A rescore can make more questions private: their results must not stay on the page."""
    contest = town.build(tmp_path)
    first = Evaluation.objects.filter(submission__kind="team").first()
    late = factories.running(evaluation=factories.submission(contest=contest))
    lines = "limit = 160\npublic_share = 0.25\nexclude_docs = [1, 2, 3]"
    loading.load(str(town.file_of(tmp_path, ("limit = 160", lines))))
    contest.refresh_from_db()
    batch = batches.prepare(contest, "rescore", Filter(), reason="x", by="o")
    batches.start(batch, by="o")
    batches.advance(batch)
    batches.apply(batch, by="o")
    contest.refresh_from_db()
    lifecycle.record(late.pk, late.attempt, factories.report(contest=contest))
    rules = contest.rules
    for pk in (first.pk, late.pk):
        evaluation = queries.current_evaluation(Evaluation.objects.get(pk=pk).submission)
        assert evaluation.version != evaluation.score.version == contest.version
        measured = decode(Report, lifecycle.whole_report(Result.objects.get(pk=pk))).quality[0]
        for part in ("public", "private"):
            counted = questions(rules, rules.benchmarks[0], measured.items, part)
            shown = queries.report_summary(evaluation, part)["quality"][0]
            assert shown["items"] == len(counted)
            assert shown["value"] == pytest.approx(fmean(item.value for item in counted))
        whole = decode(Report, lifecycle.whole_report(Result.objects.get(pk=pk)))
        gaps = {check.measured for check in public_private_gap(whole, rules)}
        assert gaps <= {check["measured"] for check in queries.compliance_of(evaluation)}


def test_the_summary_leaves_out_a_benchmark_that_has_been_taken_out(tmp_path):
    contest = town.build(tmp_path)
    evaluation = Evaluation.objects.filter(submission__kind="team").first()
    kept, *_ = contest.rules.benchmarks
    path = town.file_of(tmp_path)
    text = path.read_text("utf-8")
    begin = text.index("[[benchmarks]]", text.index("[[benchmarks]]") + 1)
    end = text.index("\n[speed]")
    path.write_text((text[:begin] + text[end:]).replace("weight = 0.64", "weight = 1.0", 1))
    loading.load(str(path))
    contest.refresh_from_db()
    assert lifecycle.rescore(evaluation, contest.pending, by="o", reason="x")
    evaluation.refresh_from_db()
    shown = queries.report_summary(evaluation)["quality"]
    assert [row["benchmark"] for row in shown] == [kept.id]
    gaps = [c for c in queries.compliance_of(evaluation) if c["code"] == "FLAG_GAP"]
    assert [gap["where"] for gap in gaps] == [kept.id]


def test_rescoring_notices_a_change_of_the_private_part_alone(contest):
    evaluation = factories.scored(contest=contest)
    assert lifecycle.rescore(evaluation, contest.version, by="t", reason="t") is None
    changed = {**evaluation.score.private, "value": 0.1}
    Score.objects.filter(pk=evaluation.score_id).update(private=changed)
    assert (
        lifecycle.rescore(evaluation, contest.version, by="t", reason="t").private["value"] != 0.1
    )


def test_the_board_reads_replicates_of_the_best_scores_only(contest, django_assert_max_num_queries):
    team = factories.team(contest=contest)
    for speedup in (1.2, 2.0):
        factories.scored(contest=contest, team=team, speedup=speedup)
    with django_assert_max_num_queries(6) as captured:
        ranking.board(contest)
    with_replicates = [q["sql"] for q in captured if "replicates" in q["sql"]]
    assert len(with_replicates) == 1
    assert '"value"' not in with_replicates[0]


def test_a_revealed_contest_shows_each_entry_over_both_parts(contest, client):
    captain = factories.user()
    entry = factories.scored(contest=contest, team=factories.team(contest=contest, captain=captain))
    client.force_login(captain)
    path, english = f"/submissions/{entry.submission_id}/", {"Accept-Language": "en"}
    assert "rivate questions" not in client.get(path, headers=english).content.decode()
    Contest.objects.update(revealed_at=timezone.now())
    html = client.get(path, headers=english).content.decode()
    assert f"<strong>{entry.score.of('private').value:.4f}</strong>" in html
    assert "Public questions" in html and "Private questions" in html
