"""A finalized contest: what must be done first, what the database then refuses, and the evidence."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import zipfile
from datetime import timedelta
from io import BytesIO, StringIO

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import override

from grader.problems.catalogue import Problem
from leaderboard import batches, lifecycle, teams, uploads
from leaderboard.batches import Filter
from leaderboard.board import ranking
from leaderboard.contests import loading, phases
from leaderboard.contests.schedule import schedule
from leaderboard.core.errors import Refused
from leaderboard.models import (
    AuditEntry,
    Contest,
    Evaluation,
    FinalChoice,
    Result,
    Ruling,
    Score,
    Submission,
    Team,
)
from leaderboard.operations import references, sweeper
from leaderboard.organisers import closing
from leaderboard.organisers.closing import archive, evidence
from leaderboard.submissions import entering
from tests import factories
from tests.leaderboard.batches import town
from tests.leaderboard.contests.test_phases import HOUR, with_phase

pytestmark = pytest.mark.django_db
WHY = "every complaint is answered"


def over(*, extra: str = "") -> Contest:
    """A contest whose only phase is over, with two teams and a base model on the board."""
    contest = with_phase(start=-3 * HOUR, end=-HOUR, extra=extra)
    factories.scored(contest=contest, kind="base", title="base", scheme="bf16", speedup=1.0)
    for name, speedup in (("Hangang", 2.0), ("Naktong", 1.4)):
        team = Team.objects.create(contest=contest, name=name)
        person = factories.user(name=name.lower())
        team.memberships.create(contest=contest, user=person, is_captain=True)
        factories.scored(contest=contest, team=team, speedup=speedup, ago=2 * HOUR)
    Evaluation.objects.update(review_until=None)  # staff have looked at them
    return contest


@pytest.fixture
def contest():
    return over()


@pytest.fixture
def final(contest):
    return closing.finalise(contest, by="hana", reason=WHY)


def refused(code, contest, **options):
    with pytest.raises(Refused) as error:
        closing.finalise(contest, **{"by": "hana", "reason": WHY} | options)
    assert error.value.code == code
    assert error.value.message and error.value.hint and "%(" not in str(error.value)
    assert not Contest.objects.filter(finalised_at__isnull=False).exists()


def test_it_is_final_noted_and_the_board_is_as_it_was(contest):
    before = town.picture(contest)
    closing.finalise(contest, by=factories.user(name="hana", is_staff=True), reason=f" {WHY} ")
    assert town.picture(contest) == before
    contest.refresh_from_db()
    assert contest.finalised_at and not contest.accepts_submissions
    act = AuditEntry.objects.get(action="contest.finalise")
    assert (act.by_name, act.reason, act.before) == ("hana", WHY, {"finalised_at": None})
    with pytest.raises(Refused, match="CLOSING_FINAL"):
        closing.finalise(contest, by="hana", reason=WHY)


def test_what_has_to_be_done_before(contest):
    refused("CLOSING_REASON", contest, reason="  ")
    waiting = factories.submission(contest=contest, team=contest.teams.first())
    refused("CLOSING_QUEUE", contest)
    lifecycle.cancel(waiting.pk, by="hana")
    batch = batches.prepare(contest, "rescore", Filter(), reason="x", by="hana")
    refused("CLOSING_BATCH", contest)
    batches.cancel(batch, by="hana")
    Contest.objects.update(pending=F("version"))
    refused("CLOSING_PENDING", contest)
    Contest.objects.update(pending=None)
    Evaluation.objects.filter(submission__kind="team").update(status="failed", score=None)
    refused("CLOSING_EMPTY", contest)


def test_a_phase_that_runs_its_grace_and_the_time_of_choosing_are_waited_for():
    refused("CLOSING_PHASE", with_phase(start=-HOUR, end=HOUR))
    Contest.objects.update(version=None)
    type(Contest.objects.get().versions.get(sha256="f" * 64)).objects.filter(
        sha256="f" * 64
    ).delete()
    refused("CLOSING_PHASE", with_phase(start=-HOUR, end=-timedelta(minutes=9)))  # grace: 10 min


def test_choosing_goes_on_after_the_phase():
    contest = over(extra=f"select_until = {(timezone.now() + HOUR).isoformat()}")
    refused("CLOSING_CHOOSING", contest)


def test_every_way_in_says_that_it_is_final(final, tmp_path):
    before = town.picture(final)
    team = final.teams.get(name="Hangang")
    captain = team.memberships.get().user
    entry = team.submissions.get()

    def says(code, act):
        with pytest.raises(Refused) as error:
            act()
        assert error.value.code == code

    upload = ContentFile(b"PK", "model.zip")
    staff = factories.user(is_staff=True)
    says("CONTEST_FINAL", lambda: uploads.enter_whole(final, captain, upload))
    says(
        "CONTEST_FINAL",
        lambda: uploads.enter_whole(final, staff, upload, kind="reference"),
    )
    says("TEAM_CLOSED", lambda: teams.rename(team, "Other", captain))
    says("TEAM_CLOSED", lambda: teams.create(final, "New", factories.user()))
    says("TEAM_FINAL_CLOSED", lambda: teams.choose(team, [entry.pk], captain))
    says("BATCH_FINAL", lambda: batches.prepare(final, "rescore", Filter(), reason="x", by="o"))
    says("CONTEST_FINAL", lambda: phases.refuse_final(final))
    with pytest.raises(Refused, match="CONTEST_FINAL"):
        loading.load(str(town.file_of(tmp_path)))
    with pytest.raises(Refused, match="CONTEST_FINAL"):
        references._enter(final, references.entries(final)[0], final.rules.base_folder, staff)
    assert town.picture(final) == before


WRITES = {
    "a score is exchanged": lambda c: Evaluation.objects.filter(is_current=True).update(
        score=None, status="failed"
    ),
    "a status is changed": lambda c: Evaluation.objects.update(status="rejected"),
    "another evaluation": lambda c: Evaluation.objects.create(
        submission=c.submissions.first(), version=c.version, is_current=False
    ),
    "a score is rewritten": lambda c: Score.objects.update(value=1.0),
    "a report is rewritten": lambda c: Result.objects.update(report={}),
    "an entry": lambda c: factories.submission(contest=c, team=c.teams.first()),
    "an entry changes hands": lambda c: c.submissions.filter(kind="team").update(team=c.teams.last()),
    "a ruling": lambda c: Ruling.objects.create(
        contest=c, kind="disqualified", team=c.teams.first(), reason="x", by="x"
    ),
    "a choice": lambda c: FinalChoice.objects.create(
        team=c.teams.first(), submission=c.teams.first().submissions.get(), by="x"
    ),
    "a team is renamed": lambda c: c.teams.filter(name="Hangang").update(name="x"),
    "a team is added": lambda c: Team.objects.create(contest=c, name="late"),
    "it is opened again": lambda c: Contest.objects.update(finalised_at=None),
    "other rules": lambda c: Contest.objects.update(version=None),
    "it is frozen": lambda c: Contest.objects.update(frozen_at=timezone.now()),
    "it is deleted": lambda c: connection.cursor().execute("DELETE FROM leaderboard_contest"),
    "reports are deleted": lambda c: connection.cursor().execute("DELETE FROM leaderboard_result"),
}  # fmt: skip


@pytest.mark.parametrize("write", WRITES)
def test_the_database_itself_refuses(final, write):
    before = town.picture(final)
    with (
        pytest.raises(IntegrityError, match="CONTEST_FINAL: demo is finalised"),
        transaction.atomic(),
    ):
        WRITES[write](final)
        connection.check_constraints()
    assert town.picture(final) == before


def test_other_contests_go_on_and_so_do_revealing_and_the_self_test(final):
    other = factories.contest(slug="other")
    factories.scored(contest=other)
    assert len(ranking.board(other).entries) == 1
    Contest.objects.filter(pk="demo").update(revealed_at=timezone.now(), thawed_at=timezone.now())
    factories.submission(contest=final, kind="selftest", title="x")


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_is_being_written_is_waited_for_and_the_next_one_refused():
    contest, written, may_end = over(), threading.Event(), threading.Event()
    team = contest.teams.first()

    def enter():
        with transaction.atomic():
            factories.submission(contest=contest, team=team)
            written.set()
            may_end.wait(10)
        connection.close()

    thread = threading.Thread(target=enter)
    thread.start()
    assert written.wait(10)
    threading.Timer(0.5, may_end.set).start()
    refused("CLOSING_QUEUE", contest)  # it waited, and has seen the entry
    thread.join()
    lifecycle.cancel(Evaluation.objects.get(status="queued").pk, by="hana")
    closing.finalise(contest, by="hana", reason=WHY)
    with pytest.raises(IntegrityError, match="CONTEST_FINAL"):
        factories.submission(contest=contest, team=team)


def test_everybody_sees_on_the_board_that_it_is_final(contest, client):
    def page():
        return client.get("/contests/demo/", headers={"Accept-Language": "en"}).content.decode()

    assert "the result is final" not in page()
    closing.finalise(contest, by="hana", reason=WHY)
    assert "the result is final" in page()


def test_the_sweeper_goes_on_after_the_end(contest):
    held = factories.submission(contest=contest, team=contest.teams.first())
    assert lifecycle.hold(held.pk, factories.facts(), Problem("UPLOAD_SAME", detail="#1"))
    seal = closing.seal(closing.finalise(contest, by="hana", reason=WHY))
    with pytest.raises(Refused, match="CONTEST_FINAL"):
        entering.measure_again(Submission.objects.get(pk=held.submission_id), held.submission.user)
    Evaluation.objects.filter(pk=held.pk).update(held_until=timezone.now() - HOUR)
    assert sweeper.sweep()
    held.refresh_from_db()
    assert (held.status, held.held_until) == ("cancelled", None)
    text, *_ = archive.manifest(evidence.members(Contest.objects.get()))  # as it was sealed
    assert hashlib.sha256(text.encode()).hexdigest() == seal.after["manifest_sha256"]


def test_the_desk_says_what_comes_next(contest):
    def next_act():
        with override("en"):
            return schedule([Contest.objects.select_related("version").get()])[0].acts

    assert next_act() == ["All phases are over; reveal the private board and finalize"]
    closing.finalise(contest, by="hana", reason=WHY)
    assert next_act() == ["The result is final; reveal the private board"]
    Contest.objects.update(revealed_at=timezone.now())
    assert next_act() == []


def unpacked(contest):
    return zipfile.ZipFile(BytesIO(b"".join(closing.export(contest))))


def rows(archive, name):
    return [json.loads(line) for line in archive.read(f"{name}.jsonl").splitlines()]


def test_the_archive_is_the_same_whenever_it_is_asked_for(final):
    first = b"".join(closing.export(final))
    Contest.objects.update(revealed_at=timezone.now())
    closing.seal(final)
    factories.worker(name="another")
    assert b"".join(closing.export(final)) == first


def test_the_archive_holds_what_the_result_stands_on(final):
    archive = unpacked(final)
    board = json.loads(archive.read("board/public.json"))
    assert [entry["team"] for entry in board["entries"] if entry["kind"] == "team"] == [
        "Hangang",
        "Naktong",
    ]
    assert json.loads(archive.read("board/final.json"))["entries"]
    versions = [n for n in archive.namelist() if n.startswith("contest/versions/")]
    assert f"contest/versions/{final.version.sha256}.toml" in versions
    assert len(rows(archive, "submissions")) == len(rows(archive, "evaluations")) == 3
    assert {row["rules"] for row in rows(archive, "scores")} == {final.version.sha256}
    assert rows(archive, "audit")[-1]["action"] == "contest.finalise"
    assert len(rows(archive, "transitions")) >= 9 and len(rows(archive, "attempts")) == 3
    # keys and sentences do not follow the columns, so an archive is the same after an update
    first = rows(archive, "transitions")[0]
    assert set(first) == {"id", "created", "evaluation", "old", "new", "reason", "by"}
    assert first["reason"] == "submitted"  # in English, although the site defaults to Korean
    assert {"counts", "status"} <= set(rows(archive, "evaluations")[0])
    report = json.loads(archive.read(f"reports/{Result.objects.first().pk}.json"))
    assert report["system"]["worker"] and report["quality"][0]["items"]


def test_no_address_no_token_and_of_samples_the_digest_only(contest):
    result = Result.objects.first()
    sample = {"prompt": "secret prompt", "base": "b", "candidate": "c"}
    Result.objects.filter(pk=result.pk).update(report=result.report | {"samples": [sample]})
    AuditEntry.objects.create(
        by_name="mina@example.org", action="token.issue", target="apitoken", contest="demo",
        after={"token": "pbt_" + "x" * 43, "mail": "mina@example.org"},
    )  # fmt: skip
    archive = unpacked(closing.finalise(contest, by="hana", reason=WHY))
    everything = b"".join(archive.read(name) for name in archive.namelist())
    for secret in (b"example.org", b"pbt_x", b"secret prompt"):
        assert secret not in everything
    report = json.loads(archive.read(f"reports/{result.pk}.json"))
    assert len(report["samples"][0]["prompt"]) == 64
    assert rows(archive, "audit")[0]["by_name"] == "…@…"


def test_the_manifest_is_checked_without_this_project(final, tmp_path):
    unpacked(final).extractall(tmp_path)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "MANIFEST.sha256"],
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0


def command(*words):
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_from_the_dry_run_to_the_verified_archive(contest, tmp_path):
    assert "ready to finalize" in command("finalise", "demo", "--reason", WHY, "--dry-run")
    path = tmp_path / "evidence.zip"
    said = command("finalise", "demo", "--reason", WHY, "--output", str(path))
    seal = AuditEntry.objects.get(action="contest.seal")
    assert seal.after["manifest_sha256"] in said
    assert command("evidence", "verify", str(path)).startswith("genuine: ")
    again = tmp_path / "again.zip"
    command("evidence", "export", "demo", str(again))
    assert again.read_bytes() == path.read_bytes()
    assert AuditEntry.objects.filter(action="contest.seal").count() == 1


def rewritten(path, change):
    """The archive with members changed, added or left out, and its manifest adjusted."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist() if name != "MANIFEST.sha256"}
        manifest = old.read("MANIFEST.sha256")
    forged = change(members)
    if forged:
        lines = [f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in members.items()]
        manifest = "".join(lines).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, body in {**members, "MANIFEST.sha256": manifest}.items():
            new.writestr(name, body)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update({"scores.jsonl": b"{}\n"}), "scores.jsonl: differs"),
        (lambda m: m.pop("rulings.jsonl") and None, "rulings.jsonl: missing"),
        (lambda m: m.update({"more.txt": b""}), "more.txt: not in the manifest"),
        (
            lambda m: m.update({"scores.jsonl": b"{}\n"}) or True,
            "is not sealed in this site's audit log",
        ),
    ],
)
def test_an_archive_that_was_touched_is_found_out(contest, tmp_path, change, said):
    path = tmp_path / "evidence.zip"
    command("finalise", "demo", "--reason", WHY, "--output", str(path))
    rewritten(path, change)
    out = StringIO()
    with pytest.raises(CommandError, match="not genuine"):
        call_command("evidence", "verify", str(path), stdout=out)
    assert said in out.getvalue()


def test_commands_say_what_is_wrong(contest, tmp_path):
    with pytest.raises(CommandError, match="CLOSING_NOT_FINAL"):
        command("evidence", "export", "demo", str(tmp_path / "x.zip"))
    assert not (tmp_path / "x.zip").exists()
    with pytest.raises(CommandError, match="no contest 'x'"):
        command("finalise", "x", "--reason", WHY)
    (tmp_path / "y.zip").write_bytes(b"no zip")
    with pytest.raises(CommandError, match="not an evidence archive"):
        command("evidence", "verify", str(tmp_path / "y.zip"))
    factories.submission(contest=contest, team=contest.teams.first())
    assert "CLOSING_QUEUE" in command("finalise", "demo", "--reason", WHY, "--dry-run")
    with pytest.raises(CommandError, match="CLOSING_QUEUE"):
        command("finalise", "demo", "--reason", WHY)


def test_the_sweeper_rings_until_it_is_sealed(final, monkeypatch):
    from leaderboard import tasks

    rung = []
    monkeypatch.setattr("leaderboard.core.doorbell.enqueue_seal", rung.append)
    sweeper.sweep()
    assert rung == ["demo"]
    tasks.seal("demo")
    sweeper.sweep()
    assert rung == ["demo"]
    assert Submission.objects.count() == 3
