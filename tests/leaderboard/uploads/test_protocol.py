"""tus 1.0 as specified, and what this server refuses."""

from __future__ import annotations

import errno
import hashlib
import os
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from leaderboard import uploads
from leaderboard.models import Contest, Submission, Upload
from leaderboard.storage import archives, staging
from leaderboard.submissions import quota
from tests import factories
from tests.leaderboard.uploads.tus import BODY, Tus, checksum, files, metadata

pytestmark = pytest.mark.django_db
DATA = b"PK\x05\x06" + bytes(range(256)) * 40


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def captain(contest):
    captain = factories.user()
    factories.team(contest=contest, captain=captain, name="Hangang")
    return captain


@pytest.fixture
def tus(client, captain):
    return Tus(client, captain)


def test_options_tells_version_extensions_and_size_without_a_token(client, contest):
    response = client.options("/api/uploads/")
    assert response.status_code == 204
    assert response["Tus-Resumable"] == response["Tus-Version"] == "1.0.0"
    assert set(response["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "expiration", "termination", "checksum",
    }  # fmt: skip
    assert int(response["Tus-Max-Size"]) == contest.rules.limits.archive_bytes
    assert "sha1" in response["Tus-Checksum-Algorithm"]


def test_create_append_append_becomes_one_submission(tus, settings, captain):
    created = tus.create(len(DATA), filename="모델 v1.zip", note="first")
    assert created.status_code == 201
    assert created["Upload-Expires"]
    first = tus.patch(0, DATA[:4000])
    assert (first.status_code, first["Upload-Offset"]) == (204, "4000")
    assert not Submission.objects.exists()
    head = tus.head()
    assert (head["Upload-Offset"], head["Upload-Length"]) == ("4000", str(len(DATA)))
    assert head["Cache-Control"] == "no-store"
    assert head["Upload-Metadata"] == metadata(contest="demo", filename="모델 v1.zip", note="first")
    last = tus.patch(4000, DATA[4000:])
    row = Submission.objects.get()
    assert last.status_code == 204
    assert last["Content-Location"].endswith(row.get_absolute_url())
    assert (row.archive_name, row.note, row.team.name) == ("모델 v1.zip", "first", "Hangang")
    assert (row.archive_bytes, row.archive_sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert files(settings) == [f"uploads/{row.archive}"]
    assert (settings.HOME / "uploads" / row.archive).read_bytes() == DATA
    assert (settings.HOME / "uploads" / row.archive).stat().st_mode & 0o777 == 0o600
    assert quota.of(row.team).used == 1


def test_creation_with_upload_in_one_request(tus):
    response = tus.create(len(DATA), body=DATA)
    assert (response.status_code, response["Upload-Offset"]) == (201, str(len(DATA)))
    assert tus.enter().json()["id"] == Submission.objects.get().pk


def test_finishing_again_gives_the_same_submission(tus):
    tus.create(len(DATA), body=DATA)
    numbers = {tus.enter().json()["id"] for _ in range(3)}
    assert numbers == {Submission.objects.get().pk}
    assert tus.patch(len(DATA), b"")["Content-Location"].endswith(f"/{numbers.pop()}/")


def test_a_restart_between_the_last_byte_and_the_entry_loses_nothing(tus, settings):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    key = tus.url.rpartition("/")[2]
    staging.write(key, 100, DATA[100:])  # written and committed, then the process died
    Upload.objects.filter(pk=key).update(offset_bytes=len(DATA))
    staging.digests.forget(key)
    assert tus.head()["Upload-Offset"] == str(len(DATA))
    assert tus.enter().json()["archive_sha256"] == hashlib.sha256(DATA).hexdigest()


def test_the_sweeper_enters_what_its_client_left_complete(tus, settings):
    tus.create(len(DATA))
    key = tus.url.rpartition("/")[2]
    staging.write(key, 0, DATA)
    now = timezone.now() + timedelta(seconds=settings.UPLOAD_EXPIRES_S)
    Upload.objects.filter(pk=key).update(offset_bytes=len(DATA), expires=now)
    uploads.finish_stranded()
    assert not Submission.objects.exists()  # its client may be doing so right now
    Upload.objects.update(
        expires=timezone.now() + timedelta(seconds=settings.UPLOAD_EXPIRES_S - 200)
    )
    uploads.finish_stranded()
    uploads.finish_stranded()
    assert Submission.objects.count() == 1


def stranded(tus, settings, data=DATA):
    """A complete upload whose client disconnected some minutes ago; its key."""
    tus.create(len(data))
    key = tus.url.rpartition("/")[2]
    staging.write(key, 0, data)
    staging.digests.forget(key)
    quiet = timezone.now() + timedelta(seconds=settings.UPLOAD_EXPIRES_S - 200)
    Upload.objects.filter(pk=key).update(offset_bytes=len(data), expires=quiet)
    return key


def test_a_complete_upload_whose_file_is_lost_is_told_so_and_left_alone(tus, settings):
    key = stranded(tus, settings)
    staging.path_of(key).unlink()  # the database was restored without the disk
    response = tus.enter()
    assert (response.status_code, response.json()["code"]) == (410, "UPLOAD_LOST")
    assert Upload.objects.get().refusal == "UPLOAD_LOST"


def test_an_upload_that_cannot_be_entered_now_holds_up_no_other(tus, settings, monkeypatch):
    lost, broken, good = (stranded(tus, settings, DATA + bytes([n])) for n in range(3))
    staging.path_of(lost).unlink()
    real = archives.take

    def take(path, key):
        if broken in key:
            raise OSError(errno.EIO, "the storage is down")
        real(path, key)

    monkeypatch.setattr(archives, "take", take)
    with pytest.raises(ExceptionGroup) as found:
        uploads.finish_stranded()
    assert [type(error) for error in found.value.exceptions] == [OSError]
    assert Submission.objects.get().archive == f"archives/{good}"
    monkeypatch.undo()
    uploads.finish_stranded()
    assert Submission.objects.count() == 2


def test_an_expired_upload_that_cannot_be_removed_holds_up_no_other(tus, settings, monkeypatch):
    broken, good = (stranded(tus, settings) for _ in range(2))
    Upload.objects.update(expires=timezone.now())
    real = archives.delete

    def delete(key):
        if broken in key:
            raise OSError(errno.EIO, "the storage is down")
        real(key)

    monkeypatch.setattr(archives, "delete", delete)
    with pytest.raises(ExceptionGroup):
        uploads.remove_expired()
    assert Upload.objects.get().pk == broken


def test_leftovers_of_a_broken_write_are_cut_off(tus, settings):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    path = staging.path_of(tus.url.rpartition("/")[2])
    with path.open("ab") as file:
        file.write(b"half a block that was never committed" * 1000)
    assert tus.head()["Upload-Offset"] == "100"
    tus.patch(100, DATA[100:])
    row = Submission.objects.get()
    assert (settings.HOME / "uploads" / row.archive).read_bytes() == DATA


def test_who_was_logged_out_meanwhile_is_told_in_their_language(client):
    answer = client.post("/api/uploads/", headers={"Accept-Language": "ko"})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert "로그인되어 있지 않거나" in answer.json()["message"]
    assert "다시 로그인" in answer.json()["hint"]


def test_wrong_offset_is_409_and_writes_nothing(tus):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    for offset in (0, 99, 101):
        response = tus.patch(offset, b"x")
        assert (response.status_code, response["Upload-Offset"]) == (409, "100")
        assert response.json()["code"] == "UPLOAD_OFFSET"
    assert tus.head()["Upload-Offset"] == "100"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_right_checksum_is_stored_and_a_wrong_one_is_460(tus, algorithm):
    tus.create(len(DATA))
    wrong = tus.patch(0, DATA[:99] + b"!", Upload_Checksum=checksum(DATA[:100], algorithm))
    assert (wrong.status_code, wrong.json()["code"]) == (460, "UPLOAD_CHECKSUM")
    assert tus.head()["Upload-Offset"] == "0"
    right = tus.patch(0, DATA[:100], Upload_Checksum=checksum(DATA[:100], algorithm))
    assert (right.status_code, right["Upload-Offset"]) == (204, "100")


@pytest.mark.parametrize("header", ["md5 AAAA", "sha1", "sha1 !!!", ""])
def test_unreadable_checksum_is_400(tus, header):
    tus.create(len(DATA))
    assert tus.patch(0, DATA[:100], Upload_Checksum=header).status_code == 400
    assert tus.head()["Upload-Offset"] == "0"


def test_whole_file_checksum_of_the_client_is_held_to(tus, settings):
    tus.create(len(DATA), sha256="0" * 64)
    response = tus.patch(0, DATA)
    assert (response.status_code, response.json()["code"]) == (460, "UPLOAD_CHECKSUM")
    assert not Submission.objects.exists()
    assert tus.enter().status_code == 460
    assert tus.delete().status_code == 204
    assert files(settings) == []


def test_termination_frees_the_disk_and_the_address(tus, settings):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    assert len(files(settings)) == 1
    assert tus.delete().status_code == 204
    assert files(settings) == []
    assert tus.head().status_code == tus.patch(100, b"x").status_code == 404


def test_terminating_an_entered_upload_leaves_the_submission(tus, settings):
    tus.create(len(DATA), body=DATA)
    assert tus.delete().status_code == 204
    assert files(settings) == [f"uploads/{Submission.objects.get().archive}"]


def test_expired_is_410_and_then_swept(tus, settings):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    Upload.objects.update(expires=timezone.now())
    response = tus.patch(100, b"x")
    assert (response.status_code, response.json()["code"]) == (410, "UPLOAD_EXPIRED")
    uploads.remove_expired()
    assert files(settings) == []
    assert tus.patch(100, b"x").status_code == 404


def test_every_piece_puts_the_end_off(tus):
    tus.create(len(DATA))
    Upload.objects.update(expires=timezone.now() + timedelta(seconds=60))
    tus.patch(0, DATA[:100])
    assert Upload.objects.get().expires > timezone.now() + timedelta(hours=23)


def test_a_file_that_nobody_knows_is_swept_once_it_is_old(settings, contest):
    staging.allocate("f" * 32)
    uploads.remove_expired()
    assert len(files(settings)) == 1  # its row may be about to be committed
    os.utime(staging.path_of("f" * 32), (0, 0))
    uploads.remove_expired()
    assert files(settings) == []


def test_more_bytes_than_announced_are_refused(tus):
    tus.create(100)
    response = tus.patch(0, DATA[:101])
    assert (response.status_code, response.json()["code"]) == (413, "UPLOAD_LENGTH_MISMATCH")
    assert tus.head()["Upload-Offset"] == "0"


def test_full_disk_is_507_and_keeps_the_offset(tus, monkeypatch):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    real = os.pwrite

    def full(descriptor, data, position):
        if position > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:50], position)

    monkeypatch.setattr(os, "pwrite", full)
    response = tus.patch(100, DATA[100:])
    assert (response.status_code, response.json()["code"]) == (507, "UPLOAD_DISK_FULL")
    monkeypatch.setattr(os, "pwrite", real)
    assert tus.head()["Upload-Offset"] == "100"
    assert staging.path_of(tus.url.rpartition("/")[2]).stat().st_size == 100
    tus.patch(100, DATA[100:])
    assert Submission.objects.get().archive_sha256 == hashlib.sha256(DATA).hexdigest()


def test_bytes_that_the_disk_lost_are_said_to_be_lost(tus):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    staging.path_of(tus.url.rpartition("/")[2]).write_bytes(b"")
    response = tus.patch(100, DATA[100:])
    assert (response.status_code, response.json()["code"]) == (410, "UPLOAD_LOST")


def test_what_was_only_announced_holds_no_room(tus, monkeypatch):
    monkeypatch.setattr("leaderboard.storage.disk.free_bytes", lambda: 1000)
    assert [tus.create(700).status_code for _ in range(3)] == [201] * 3
    assert tus.create(1001).status_code == 507


@pytest.mark.parametrize("with_checksum", [False, True])
def test_storing_stops_at_the_reserve_and_goes_on_when_there_is_room(
    tus, monkeypatch, with_checksum
):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    extra = {"Upload-Checksum": checksum(DATA[100:])} if with_checksum else {}
    with monkeypatch.context() as full:
        full.setattr("leaderboard.storage.disk.free_bytes", lambda: 10)
        response = tus.patch(100, DATA[100:], **extra)
    assert (response.status_code, response.json()["code"]) == (507, "UPLOAD_DISK_FULL")
    assert tus.head()["Upload-Offset"] == "100"
    assert tus.patch(100, DATA[100:], **extra).status_code == 204
    assert Submission.objects.get().archive_sha256 == hashlib.sha256(DATA).hexdigest()


def test_unfinished_uploads_of_one_team_are_limited(client, contest, captain, tus):
    mate = factories.user()
    captain.memberships.get().team.memberships.create(user=mate, contest=contest)
    other = Tus(client, mate)
    answers = [one.create(10) for one in (tus, tus, other, tus, other, other)]
    assert [a.status_code for a in answers] == [201] * 5 + [429]
    assert answers[-1].json()["code"] == "UPLOAD_TOO_MANY"
    Upload.objects.first().delete()
    assert tus.create(10).status_code == 201


def test_an_upload_without_a_first_byte_gives_up_its_place_soon(tus):
    tus.create(len(DATA))
    row = Upload.objects.get()
    assert row.expires - row.created < timedelta(minutes=11)
    tus.patch(0, DATA[:100])
    row.refresh_from_db()
    assert row.expires - row.created > timedelta(hours=23)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("empty", 400, "UPLOAD_EMPTY"),
        ("too large", 413, "UPLOAD_TOO_LARGE"),
        ("disk full", 507, "UPLOAD_DISK_FULL"),
        ("closed", 403, "UPLOAD_CLOSED"),
        ("quota", 429, "UPLOAD_QUOTA"),
        ("no team", 403, "UPLOAD_NO_TEAM"),
        ("disqualified", 403, "UPLOAD_DISQUALIFIED"),
    ],
)
def test_refused_before_the_first_byte_in_the_readers_language(
    client, contest, captain, settings, case, status, code, language
):
    user, size = captain, len(DATA)
    if case == "empty":
        size = 0
    if case == "too large":
        size = contest.rules.limits.archive_bytes + 1
    if case == "disk full":
        settings.DISK_RESERVE_BYTES = 1 << 60
    if case == "closed":
        Contest.objects.update(is_open=False)
    if case == "no team":
        user = factories.user()
    if case == "disqualified":
        factories.ruling("disqualified", team=captain.memberships.get().team)
    if case == "quota":
        source = contest.version.source.replace(
            "submissions_per_day = 20", "submissions_per_day = 1"
        )
        type(contest.version).objects.filter(pk=contest.version_id).update(source=source)
        factories.submission(contest=contest, team=captain.memberships.get().team)
    before = files(settings)
    response = Tus(client, user, language).create(size)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code)
    assert body["hint"]
    assert body["message"].isascii() == (language == "en")
    assert not Upload.objects.exists()
    assert files(settings) == before


def test_closed_or_used_up_meanwhile_is_told_and_the_file_kept(tus, settings, contest):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    Contest.objects.update(is_open=False)
    response = tus.patch(100, DATA[100:])
    assert (response.status_code, response.json()["code"]) == (403, "UPLOAD_CLOSED")
    assert Upload.objects.get().refusal == "UPLOAD_CLOSED"
    assert not Submission.objects.exists()
    Contest.objects.update(is_open=True)
    assert tus.enter().status_code == 201
    assert Submission.objects.get().archive_sha256 == hashlib.sha256(DATA).hexdigest()


def test_whoever_left_the_team_meanwhile_enters_nothing_in_its_name(tus, captain, contest):
    tus.create(len(DATA))
    captain.memberships.all().delete()
    response = tus.patch(0, DATA)
    assert (response.status_code, response.json()["code"]) == (403, "UPLOAD_NO_TEAM")
    moved = factories.team(contest=contest, captain=captain)
    assert tus.enter().json()["team"] == moved.name


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "1e3"}, 400),
        ({"Upload-Length": "٣"}, 400),
        ({"Upload-Length": ""}, 400),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Metadata": "contest"}, 404),
        ({"Upload-Metadata": "contest !!!"}, 400),
        ({"Upload-Metadata": "contest ZGVtbw==,contest ZGVtbw=="}, 400),
        ({"Upload-Metadata": "contest bm9uZQ=="}, 404),
        ({"Upload-Metadata": "x" * 5000}, 400),
        ({"Upload-Metadata": "contest ZGVtbw==,sha256 eA=="}, 400),
        ({"Upload-Metadata": "contest ZGVtbw==,kind eA=="}, 400),
        ({"Upload-Metadata": "contest ZGVtbw==,kind YmFzZQ=="}, 403),
    ],
)
def test_malformed_creation(tus, headers, status):
    response = tus.create(
        10, headers={k: v.encode("utf-8").decode("latin-1") for k, v in headers.items()}
    )
    assert response.status_code == status
    assert response.json()["message"]
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a\x00b.zip",
        "C:\\models\\x.zip",
        "a\u202egnp.exe",
        "\r\nX: y",
        "가" * 300,
    ],
)
def test_a_file_name_is_only_ever_text(tus, settings, name):
    tus.create(len(DATA), body=DATA, filename=name)
    row = Submission.objects.get()
    assert "/" not in row.archive_name and "\\" not in row.archive_name
    assert row.archive_name.isprintable() and 1 <= len(row.archive_name) <= 255
    assert files(settings) == [f"uploads/{row.archive}"]


def test_patch_needs_its_content_type_length_and_offset(tus):
    tus.create(10)
    url, headers = tus.url, tus.headers | {"Upload-Offset": "0"}
    assert tus.client.generic("PATCH", url, b"x", headers=headers).status_code == 415
    assert tus.client.generic("PATCH", url, b"x", BODY, headers=tus.headers).status_code == 400
    assert tus.client.get(url, headers=headers).status_code == 405
    assert tus.head()["Upload-Offset"] == "0"


def test_post_with_an_override_is_that_method(tus):
    tus.create(10)
    headers = tus.headers | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    response = tus.client.generic("POST", tus.url, b"0123456789", BODY, headers=headers)
    assert (response.status_code, response["Upload-Offset"]) == (204, "10")


def test_owner_only(client, contest, captain, tus):
    mate = factories.user()
    captain.memberships.get().team.memberships.create(contest=contest, user=mate)
    tus.create(len(DATA))
    for other, status in (
        (mate, 404),
        (factories.user(), 404),
        (factories.user(is_staff=True), 404),
        (None, 401),
    ):
        theirs = Tus(client, other)
        theirs.url = tus.url
        found = (theirs.head(), theirs.patch(0, b"x"), theirs.delete(), theirs.enter())
        assert [r.status_code for r in found] == [status] * 4
    assert tus.head().status_code == 200


def test_revoked_or_unknown_token_is_401(client, captain, tus):
    captain.api_tokens.update(revoked=timezone.now())
    assert tus.create(10).status_code == 401
    tus.headers["Authorization"] = "Bearer nonsense"
    assert tus.create(10).status_code == 401


def test_a_session_needs_the_csrf_header(captain, contest):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(captain)
    tus = Tus(browser)
    assert tus.create(10).status_code == 403
    page = browser.get("/contests/demo/submit/")
    tus.headers["X-CSRFToken"] = str(page.context["csrf_token"])
    assert tus.create(10).status_code == 201
    assert tus.patch(0, b"0123456789").status_code == 204
    del tus.headers["X-CSRFToken"]
    assert tus.delete().status_code == 403
    assert Submission.objects.count() == 1


def test_staff_publish_a_reference(client, contest):
    staff = Tus(client, factories.user(is_staff=True))
    staff.create(len(DATA), body=DATA, kind="reference", title="W8A8")
    row = Submission.objects.get()
    assert (row.kind, row.title, row.team) == ("reference", "W8A8", None)
